"""The small CSVs under `assets/costmodel/`: facts used at run time, a source in every row."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from llmrec_core.errors import AssetError
from llmrec_core.installation import ASSETS
from llmrec_core.language import t

FOLDER = ASSETS / "costmodel"


@lru_cache(maxsize=16)
def rows(name: str, folder: Path = FOLDER) -> tuple[dict[str, str], ...]:
    """Rows of `assets/costmodel/NAME.csv`, as strings.

    Args:
        name: of the table.
        folder: where the tables stand.

    Raises:
        AssetError: when the table is missing or empty.
    """
    path = folder / f"{name}.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            listed = tuple(csv.DictReader(file))
    except OSError as error:
        raise AssetError(
            t(
                "the table {name} of the cost model cannot be read: {strerror}",
                name=path.name,
                strerror=error.strerror,
            )
        ) from error
    if not listed:
        raise AssetError(
            t(
                "the table {name} of the cost model has no row; restore it from the repository",
                name=path.name,
            )
        )
    return listed


def number(text: str | None) -> float | None:
    """A cell as a number; None when it is empty."""
    return float(text) if text else None


def nearest(wanted: str, names: Iterable[str]) -> str:
    """Up to three names like the wanted one, for an error message.

    Args:
        wanted: what was asked for.
        names: what there is.
    """
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(wanted.lower(), list(folded), n=3, cutoff=0.3)
    if not close:
        close = sorted(folded)[:3]
    return ", ".join(folded[name] for name in close)
