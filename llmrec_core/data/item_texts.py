"""The text of an item as a model reads it: its title, its genres, and what relates it to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrec_core.data.relations import relation_texts
from llmrec_core.data.text import UNTITLED
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset


def item_text(dataset: Dataset, item: int, genres: bool = True) -> str:
    """The text a language model reads for an item, e.g. `The Matrix (1999), Action, Sci-Fi`.

    Args:
        dataset: where the item stands.
        item: its code.
        genres: whether they follow the title.
    """
    row = dataset.items.loc[item]
    title = str(row[Columns.TITLE]) or UNTITLED
    extra = str(row[Columns.GENRES]) if genres else ""
    return ", ".join([title, *extra.split("|")]) if extra else title


def item_texts(dataset: Dataset, genres: bool = True, relations: int = 0) -> list[str]:
    """`item_text` of every item, in the order of the codes, followed by relations where wanted.

    Args:
        dataset: the catalogue.
        genres: whether they follow each title.
        relations: how many relations of an item follow at most (data/relations.py).

    Raises:
        UnsupportedError: for relations of a data set that has none.
    """
    extras = dataset.items[Columns.GENRES].tolist() if genres else [""] * dataset.n_items
    texts = [
        ", ".join([str(title) or UNTITLED, *str(extra).split("|")])
        if extra
        else str(title) or UNTITLED
        for title, extra in zip(dataset.items[Columns.TITLE].tolist(), extras, strict=True)
    ]
    if not relations:
        return texts
    further = relation_texts(dataset, relations)
    return [f"{text}, {more}" if more else text for text, more in zip(texts, further, strict=True)]
