"""Made-up people who push an item: histories without a taste, many of which hold the same item.

A real history leans on common tastes, so a few principal components of the user–item matrix hold a
good part of it; a history of fillers around a target does not. One such history means little, as
odd people exist. When most people of an item are odd, the item is pushed, and its odd people are
shills.

The likeness to principal components is the idea of PCA-VarSelect (Mehta & Nejdl, UMUAI 19, 2009);
the test by item takes the place of its fixed number of attackers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from llmrec_core.language import t
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

COMPONENTS = 10
LEAST_HISTORY = 10
"""Items of a history that can be judged."""
LEAST_USERS = 100
"""Judged users below which there is no common taste to compare with."""
TYPICAL_HISTORY = 15
"""Median items of all histories; below, ten components hold next to nothing of anybody."""
LEAST_PUSHERS = 6
MEAN_RANK = 0.15
"""Mean rank (0 the oddest, 1 the most usual) of a pushed item's people."""
Z = -5.0
"""Standard deviations of that mean below one half, if people were spread at random."""
_SIZE_BINS, _BIN_LEAST = 12, 40


def too_small(dataset: Dataset) -> str:
    """Why histories cannot be judged; empty when they can."""
    sizes = np.bincount(dataset.interactions[Columns.USER], minlength=dataset.n_users)
    judged = sizes[sizes >= LEAST_HISTORY]
    if len(judged) < LEAST_USERS or dataset.n_items <= COMPONENTS:
        return t(
            "fewer than {least} people have {items} items", least=LEAST_USERS, items=LEAST_HISTORY
        )
    if np.median(sizes[sizes > 0]) < TYPICAL_HISTORY:
        return t(
            "half of the people have fewer than {items} items, too few to show a taste",
            items=TYPICAL_HISTORY,
        )
    return ""


def shills(dataset: Dataset) -> np.ndarray:
    """Users with an odd history who hold an item that mostly odd users hold; a mask."""
    held = _held(dataset)
    sizes = np.diff(held.indptr)
    judged = np.flatnonzero(sizes >= LEAST_HISTORY)
    rank = np.ones(dataset.n_users)
    rank[judged] = _ranks(_leaning(held)[judged], sizes[judged])
    of_judged = sparse.csr_array(held[judged])
    people = np.asarray(of_judged.sum(axis=0)).ravel()
    mean = np.asarray(of_judged.T @ rank[judged]).ravel() / np.maximum(people, 1)
    # Ranks are even between 0 and 1, so a mean of n has a standard deviation of (12 n)^-1/2.
    z = (mean - 0.5) * np.sqrt(12 * people)
    pushed = (people >= LEAST_PUSHERS) & (mean < MEAN_RANK) & (z < Z)
    holds = np.asarray(held @ pushed.astype(np.float64)).ravel() > 0
    return holds & (rank < 2 * MEAN_RANK)


def _held(dataset: Dataset) -> sparse.csr_array:
    """1 where a user has an item, shape (users, items)."""
    table = dataset.interactions.drop_duplicates([Columns.USER, Columns.ITEM])
    where = (table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy())
    shape = (dataset.n_users, dataset.n_items)
    return sparse.csr_array((np.ones(len(table)), where), shape=shape)


def _leaning(held: sparse.csr_array) -> np.ndarray:
    """Share of each user's history that the first components hold, shape (users,).

    Items count with one over the root of their people, so that popularity is not taken for taste.
    """
    people = np.asarray(held.sum(axis=0)).ravel()
    weighted = held @ sparse.diags_array(np.maximum(people, 1) ** -0.5)
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    unit = sparse.csr_array(sparse.diags_array(1 / np.maximum(length, 1e-12)) @ weighted)
    _, _, components = linalg.svds(unit, k=COMPONENTS, random_state=0)
    leaning: np.ndarray = ((unit @ components.T) ** 2).sum(axis=1)
    return leaning


def _ranks(leaning: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Rank of each user, 0 to 1, of how much the history leans compared with others of its size."""
    order = np.argsort(sizes, kind="stable")
    bins = np.array_split(order, min(_SIZE_BINS, max(len(order) // _BIN_LEAST, 1)))
    size, place = np.unique([np.median(np.log(sizes[users])) for users in bins], return_index=True)
    usual = np.array([np.median(np.log(leaning[users] + 1e-9)) for users in bins])[place]
    beyond = np.log(leaning + 1e-9) - np.interp(np.log(sizes), size, usual)
    ranks = np.empty(len(beyond))
    ranks[np.argsort(beyond, kind="stable")] = (np.arange(len(beyond)) + 0.5) / len(beyond)
    return ranks
