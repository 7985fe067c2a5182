"""The small CSVs under `assets/costmodel/`: facts used at run time, a source in every row."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from llmrec_core.errors import AssetError

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "costmodel"


@lru_cache(maxsize=16)
def rows(name: str, folder: Path = FOLDER) -> tuple[dict[str, str], ...]:
    """Rows of `assets/costmodel/NAME.csv`, as strings.

    Raises:
        AssetError: when the table is missing or empty.
    """
    path = folder / f"{name}.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = tuple(csv.DictReader(file))
    except OSError as error:
        raise AssetError(f"the table {path.name} of the cost model cannot be read: {error.strerror}") from error
    if not found:
        raise AssetError(f"the table {path.name} of the cost model has no row; restore it from the repository")
    return found


def number(text: str | None) -> float | None:
    """A cell as a number; None when it is empty."""
    return float(text) if text else None


def nearest(wanted: str, names: Iterable[str]) -> str:
    """Up to three names like the wanted one, for an error message."""
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(wanted.lower(), list(folded), n=3, cutoff=0.3)
    if not close:
        close = sorted(folded)[:3]
    return ", ".join(folded[one] for one in close)
