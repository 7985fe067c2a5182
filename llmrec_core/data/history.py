"""What a model reads of a person: their events in order, with one stated rule for what they repeat.

People take the same thing again: a song, a brand of milk. Training, evaluation, serving and
explaining must read the same form of such a history, so all of them take it from here.

| rule | what is read of the events a b a c a |
|---|---|
| first | a b c: an item counts once, where it was met first |
| last | b c a: an item counts once, where it was taken last |
| all | a b a c a: every event counts |

What is withheld for a test does not depend on the rule: it is always an item at the event in
which the person met it first, and the rule is applied to the events before that one. So no later
event changes what is read of earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.types import REPEATS, Columns


@dataclass(frozen=True)
class Events:
    """The events of one person, oldest first."""

    items: np.ndarray
    """Item codes, shape (events,)."""
    new: np.ndarray
    """True at the event in which the person met its item first, shape (events,)."""
    times: np.ndarray
    """Seconds since 1970, NaN where unknown, shape (events,)."""

    @classmethod
    def of_items(cls, items: Sequence[int] | np.ndarray) -> Events:
        """Events without times, e.g. of a history that somebody typed.

        Args:
            items: item codes, oldest first.
        """
        codes = np.asarray(items, dtype=np.int64)
        new = np.zeros(len(codes), dtype=bool)
        new[np.unique(codes, return_index=True)[1]] = True
        return cls(codes, new, np.full(len(codes), np.nan))

    @property
    def met(self) -> np.ndarray:
        """Positions of the events in which an item was met first, in order."""
        return np.flatnonzero(self.new)

    def before(self, position: int) -> Events:
        """The events before the one at `position`.

        Args:
            position: among these events, from 0.
        """
        return Events(self.items[:position], self.new[:position], self.times[:position])

    def read(self, repeats: str) -> np.ndarray:
        """The item codes that a model reads of these events, oldest first.

        Args:
            repeats: one of `REPEATS`; the module's table shows what each reads.

        Raises:
            UsageError: for another rule.
        """
        if repeats not in REPEATS:
            raise UsageError(
                t(
                    "the rule for repeats is {repeats!r}; expected one of {expected}",
                    repeats=repeats,
                    expected=", ".join(REPEATS),
                )
            )
        if repeats == "all" or self.new.all():
            return self.items
        if repeats == "first":
            kept = np.flatnonzero(self.new)
        else:
            from_the_end = np.unique(self.items[::-1], return_index=True)[1]
            kept = np.sort(len(self.items) - 1 - from_the_end)
        items: np.ndarray = self.items[kept]
        return items


def order_key(dataset: Dataset) -> np.ndarray:
    """What orders the interactions of a person: smaller is earlier, shape (interactions,).

    Equal and unknown times keep the order of the file. Where a data set has no order, a user's
    events are shuffled once by a fixed seed.
    """
    count = len(dataset.interactions)
    if dataset.order == "none":
        return np.random.default_rng(0).permutation(count)
    if dataset.order == "file":
        return np.arange(count)
    times: np.ndarray = dataset.interactions[Columns.TIME].to_numpy()
    return times


def ordered_table(dataset: Dataset) -> pd.DataFrame:
    """The interactions sorted by user code, then by `order_key`."""
    table = dataset.interactions
    rows = np.lexsort((np.arange(len(table)), order_key(dataset), table[Columns.USER].to_numpy()))
    return table.iloc[rows]


def first_of_each(table: pd.DataFrame) -> np.ndarray:
    """True at the first row of each (user, item) of an ordered table, shape (interactions,).

    Args:
        table: as `ordered_table` returns it.
    """
    is_repeat: np.ndarray = table.duplicated([Columns.USER, Columns.ITEM]).to_numpy()
    return ~is_repeat


def events_by_user(dataset: Dataset) -> list[Events]:
    """The events of every user, in the order of user codes."""
    table = ordered_table(dataset)
    cuts = np.searchsorted(table[Columns.USER].to_numpy(), np.arange(1, dataset.n_users))
    columns = (
        table[Columns.ITEM].to_numpy(),
        first_of_each(table),
        table[Columns.TIME].to_numpy(),
    )
    parts = (np.split(column, cuts) for column in columns)
    return [Events(*of_user) for of_user in zip(*parts, strict=True)]


def events_of(dataset: Dataset, user: int) -> Events:
    """The events of the user with code `user`."""
    table = dataset.interactions
    rows = np.flatnonzero(table[Columns.USER].to_numpy() == user)
    rows = rows[np.lexsort((rows, order_key(dataset)[rows]))]
    events = Events.of_items(table[Columns.ITEM].to_numpy()[rows])
    return Events(events.items, events.new, table[Columns.TIME].to_numpy()[rows])
