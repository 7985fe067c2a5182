"""Checks of data sets as files: `HOME/data-checks/HASH.json`, one document a content hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmrec_core.files import write_json
from llmrec_core.ledger.json_values import jsonable
from llmrec_core.settings import Settings


def write(body: Mapping[str, Any], settings: Settings) -> None:
    """Keep the document of a check, in place of an earlier one of the same content."""
    write_json(_path(str(body["content_hash"]), settings), jsonable(body))


def read(content_hash: str, settings: Settings) -> dict[str, Any] | None:
    """The checks of this content; `None` when none were made, or their file is damaged."""
    try:
        body = json.loads(_path(content_hash, settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) and isinstance(body.get("rows"), list) else None


def _path(content_hash: str, settings: Settings) -> Path:
    return settings.home / "data-checks" / f"{content_hash}.json"
