"""Label curves as files: `HOME/label-curves/NAME.json`, one document each, written whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from llmrec_core.errors import UsageError
from llmrec_core.experiments.store import jsonable
from llmrec_core.settings import Settings


def folder(settings: Settings) -> Path:
    return settings.home / "label-curves"


def write(name: str, body: dict[str, Any], settings: Settings) -> Path:
    """Store a curve under a name of letters, digits and `._-`.

    Raises:
        UsageError: for another name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", name):
        raise UsageError(f"a label curve cannot be called {name!r}; use letters, digits and . _ -")
    path = folder(settings) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(jsonable(body), ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
    return path


def read_all(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every stored curve by name; a damaged file is left out."""
    found = {}
    for path in sorted(folder(settings).glob("*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(body, dict) and isinstance(body.get("rows"), list):
            found[path.stem] = body
    return found
