"""Whose list or reason a question is about: a person of the data set, or titles somebody types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.history import Events, events_of
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.types import RepeatRule


def history_of(
    dataset: Dataset, user_id: str, titles: Sequence[str], repeats: RepeatRule = "first"
) -> np.ndarray:
    """Item codes of a person, or of somebody new who likes these titles, oldest first.

    Args:
        dataset: where people, items and titles stand.
        user_id: id of a person as in the file; empty for somebody new.
        titles: as a person types them, oldest first; read where there is no user.
        repeats: which events of a repeated item are read (data/history.py).

    Raises:
        UsageError: when neither is given, for an unknown user, and when a title fits no item.
    """
    if user_id:
        return events_of(dataset, dataset.user_code(user_id)).read(repeats)
    if not titles:
        raise UsageError(
            t("say whose recommendations: a user id, or at least one title of a history")
        )
    return Events.of_items([_title_code(dataset, title) for title in titles]).read(repeats)


def _title_code(dataset: Dataset, title: str) -> int:
    """The item that a title, or an item's id, means; titles come first."""
    matches = dataset.find_titles(title)
    if matches:
        return int(matches[0])
    if dataset.has_item(title):
        return dataset.item_code(title)
    if not (dataset.items["title"] != "").any():
        return dataset.item_code(title)
    raise UsageError(
        t(
            "no item is called {title!r}; type a part of a title, or an id, as it stands in the "
            "data set",
            title=title,
        )
    )
