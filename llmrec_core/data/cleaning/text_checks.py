"""Titles that are damaged or doubled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ftfy
import numpy as np
import pandas as pd

from llmrec_core.data.text import fold
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def damaged_text(text: str) -> bool:
    r"""Whether letters were lost or decoded twice.

    >>> damaged_text("BallakÃ© Sissoko"), damaged_text("Amélie"), damaged_text("Caf\ufffd")
    (True, False, True)
    """
    if text.isascii():
        return bool(_CONTROL.search(text))
    return "\ufffd" in text or bool(_CONTROL.search(text)) or ftfy.fix_encoding(text) != text


def repair_text(text: str) -> str:
    r"""The title with letters that were decoded twice put right; as it was when that is not sure.

    >>> repair_text("BallakÃ© Sissoko"), repair_text("Caf\ufffd")
    ('Ballaké Sissoko', 'Caf\ufffd')
    """
    return _CONTROL.sub(" ", ftfy.fix_encoding(text)).strip()


def near_duplicate_titles(dataset: Dataset) -> np.ndarray:
    """Items whose folded title an earlier item has."""
    folded = pd.Series([fold(title) for title in dataset.items[Columns.TITLE]])
    doubled: np.ndarray = (folded.duplicated() & (folded != "")).to_numpy()
    return doubled
