"""The families that the checks of a data set ask when none is named."""

from __future__ import annotations

from llmrec_core.data.dataset import Dataset
from llmrec_core.types import Columns

CLASSICAL = ("popularity", "directed-counts", "item-knn", "ease")
OF_WORDS = "tf-idf"
"""Checked besides where items have titles."""
OF_SPLIT = "data"
"""Subject of the checks that ask no recommender."""


def usual_families(dataset: Dataset) -> tuple[str, ...]:
    """The classical families, and words where items have titles."""
    titled = bool((dataset.items[Columns.TITLE] != "").any())
    return (*CLASSICAL, *((OF_WORDS,) if titled else ()))
