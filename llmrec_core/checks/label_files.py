"""Label curves as files: `HOME/label-curves/NAME.json`, one document each, written whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from llmrec_core.errors import UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.ledger.json_values import jsonable
from llmrec_core.settings import Settings


def folder(settings: Settings) -> Path:
    """Where label curves stand."""
    return settings.home / "label-curves"


def write(name: str, body: dict[str, Any], settings: Settings) -> Path:
    """Store a curve under a name of letters, digits and `._-`.

    Raises:
        UsageError: for another name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", name):
        raise UsageError(
            t("a label curve cannot be called {name!r}; use letters, digits and . _ -", name=name)
        )
    path = folder(settings) / f"{name}.json"
    write_json(path, jsonable(body))
    return path


def read_all(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every stored curve by name; a damaged file is left out."""
    curves = {}
    for path in sorted(folder(settings).glob("*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(body, dict) and isinstance(body.get("rows"), list):
            curves[path.stem] = body
    return curves
