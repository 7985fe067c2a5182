"""Label curves as files: `HOME/label-curves/NAME.json`, one document each, written whole."""

from __future__ import annotations

import itertools
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


def write_beside(name: str, body: dict[str, Any], settings: Settings) -> Path:
    """Store a curve so that no row of another one is lost.

    A curve under the same conditions takes the new rows in; under other conditions it keeps its
    name, and the new curve takes the next one that is free.

    Raises:
        UsageError: for a name that no file can have.
    """
    stored = read_all(settings)
    taken = {path.stem for path in folder(settings).glob("*.json")}
    for number in itertools.count(1):
        own = name if number == 1 else f"{name}-curve-{number}"
        if own not in taken:
            return write(own, body, settings)
        earlier = stored.get(own)
        if earlier is not None and (
            not earlier["rows"] or earlier.get("conditions") == body["conditions"]
        ):
            return write(own, _merged(earlier, body), settings)
    raise AssertionError("some number is free")


def _merged(earlier: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The new curve with those rows and methods of an earlier one that it has not measured."""
    measured = {(row["method"], row["labels"]) for row in body["rows"]}
    kept = [row for row in earlier["rows"] if (row["method"], row["labels"]) not in measured]
    plan, before = body["plan"], earlier.get("plan") or {}
    methods = dict.fromkeys([*before.get("methods", ()), *plan["methods"]])
    labels = sorted({*before.get("labels", ()), *plan["labels"]})
    return body | {
        "rows": sorted([*kept, *body["rows"]], key=lambda row: int(row["labels"])),
        "plan": plan | {"methods": list(methods), "labels": labels},
        "point_s": (earlier.get("point_s") or {}) | body["point_s"],
    }


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
