"""Equal times: whose withheld item is the last one only by the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmrec_core.data.dataset import Dataset, content_hash
from llmrec_core.data.history import first_of_each, ordered_table
from llmrec_core.data.splits import Case, Split
from llmrec_core.types import Columns


def tied_cases(split: Split, cases: Sequence[Case]) -> np.ndarray:
    """Whether equal times decide which item is withheld, bool, shape (cases,).

    That is so when the item met before it has the same time. A cut at one instant withholds
    everything that came later, so that no order decides.

    Args:
        split: whose times decide.
        cases: of it, one a person.
    """
    if split.name == "time":
        return np.zeros(len(cases), dtype=bool)
    is_tied = tied_users(split.dataset)
    return np.array([is_tied[case.user] for case in cases], dtype=bool)


def tied_users(dataset: Dataset) -> np.ndarray:
    """Whether the last two items that a person met have one time, bool, shape (users,)."""
    is_tied = np.zeros(dataset.n_users, dtype=bool)
    if dataset.order == "time":
        user, _, same = _met(dataset)
        last = np.flatnonzero(np.append(user[1:] != user[:-1], True))
        is_tied[user[last]] = same[last]
    return is_tied


@dataclass(frozen=True)
class Neighbours:
    """Items that a person met one after the other at the same time."""

    count: int
    ascending: int
    """Of them, those in which the item with the larger number comes second."""


def tied_neighbours(dataset: Dataset) -> Neighbours:
    """How many neighbours have equal times, and how many of them ascend by item number."""
    if dataset.order != "time":
        return Neighbours(0, 0)
    _, item, same = _met(dataset)
    second = np.flatnonzero(same)
    place = item_places(dataset)
    rises = place[item[second]] > place[item[second - 1]]
    return Neighbours(len(second), int(rises.sum()))


def item_places(dataset: Dataset) -> np.ndarray:
    """Place of each item by its identifier: by value where all are whole numbers, else by text."""
    names = dataset.items[Columns.ITEM_ID].astype(str)
    if names.str.fullmatch(r"\d{1,18}").all():
        order = np.argsort(names.astype(np.int64).to_numpy(), kind="stable")
    else:
        order = np.argsort(names.to_numpy(dtype=object), kind="stable")
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


def shuffled_ties(dataset: Dataset, seed: int) -> Dataset:
    """The data set with its rows in an order drawn by chance, which equal times then keep.

    Args:
        dataset: what is shuffled.
        seed: of the order.
    """
    order = np.random.default_rng(seed).permutation(len(dataset.interactions))
    table = dataset.interactions.iloc[order].reset_index(drop=True)
    identity = content_hash(table, dataset.items, dataset.users, dataset.extras)
    return replace(dataset, interactions=table, content_hash=identity)


def _met(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User and item of each first meeting in order, and whether the one before has its time."""
    table = ordered_table(dataset)
    table = table[first_of_each(table)]
    user, item, when = (
        table[column].to_numpy() for column in (Columns.USER, Columns.ITEM, Columns.TIME)
    )
    same = np.zeros(len(user), dtype=bool)
    equal = (when[1:] == when[:-1]) | (np.isnan(when[1:]) & np.isnan(when[:-1]))
    same[1:] = equal & (user[1:] == user[:-1])
    return user, item, same
