"""Which items a recommender is asked to order for each case.

The set decides the number, so it is part of every protocol:

| kind | candidates |
|---|---|
| full | every item that is not in the history |
| 100-uniform | the withheld item and 99 drawn uniformly from items the user never touched |
| 100-popular | likewise, drawn by popularity in training |
| shelf | the withheld item and all that nobody has taken in training, as a shop's new arrivals |
| given-NAME | the first 20 of the list NAME of the data set; the withheld item ends it if absent |

A published list is of what comes after a user's last but one item, so it serves test cases; users
without one are not asked. Where there is none to use (validation), `given-NAME` draws 20 uniformly.

The draw of a user depends on (seed, user) alone: not on which other users are asked, nor on their
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import t
from llmrec_core.types import GIVEN_ITEMS, Columns

MAX_RELEVANT = 10  # relevant items put among N sampled candidates, the earliest ones
PADDING = -1
GIVEN = "given-"
SHELF = "shelf"


def sample_cases(cases: Sequence[Case], users: int, seed: int) -> list[Case]:
    """`users` of the cases, in the order of user codes: the same for every run with this seed.

    Args:
        cases: the cases to draw from, one a user.
        users: how many to draw; 0 means all.
        seed: of the draw.
    """
    ordered = sorted(cases, key=lambda case: case.user)
    if not users or users >= len(ordered):
        return ordered
    # A user's rank in the draw is its own random key: leaving out one does not redraw the others.
    keys = np.array([np.random.default_rng((seed, case.user)).random() for case in ordered])
    return [ordered[position] for position in np.sort(np.argsort(keys, kind="stable")[:users])]


def candidate_sets(split: Split, cases: Sequence[Case], kind: str, seed: int) -> np.ndarray:
    """Item codes, int64, shape (cases, N); relevant items first, -1 pads rows that are shorter.

    Args:
        split: the split, whose training decides what is popular.
        cases: the cases asked, one row each.
        kind: `full`, `shelf`, `N-uniform`, `N-popular` or `given-NAME`.
        seed: of the draw of sampled candidates.

    Raises:
        UsageError: for another kind.
        UnsupportedError: when the data set came without lists of that name.
    """
    if kind == "full":
        return _stack([_full(split, case) for case in cases])
    if kind == SHELF:
        return _stack([_shelf(split, case) for case in cases])
    if kind.startswith(GIVEN):
        lists = given_lists(split.dataset, kind.removeprefix(GIVEN))
        return _stack([_given(split, case, lists, seed) for case in cases])
    count, _, how = kind.partition("-")
    if not count.isdigit() or int(count) < 2 or how not in ("uniform", "popular"):
        raise UsageError(
            t(
                "unknown candidate set {kind!r}; expected full, shelf, e.g. 100-uniform or "
                "100-popular, or given-NAME",
                kind=kind,
            )
        )
    weights = split.item_counts if how == "popular" else None
    return _stack([_sampled(split, case, int(count), weights, seed) for case in cases])


def given_lists(dataset: Dataset, name: str) -> dict[int, np.ndarray]:
    """User code → item codes of the list `name` that came with a data set, in its order.

    Raises:
        UnsupportedError: when there is none of that name.
    """
    table = dataset.extras.get("lists")
    rows = table[table["method"] == name] if table is not None else None
    if rows is None or not len(rows):
        names = sorted(table["method"].unique()) if table is not None else []
        raise UnsupportedError(
            t(
                "{name!r} has no candidate lists {name_2!r}; there are: {known}",
                name=dataset.name,
                name_2=name,
                known=", ".join(names) or "none",
            )
        )
    code = {item: number for number, item in enumerate(dataset.items[Columns.ITEM_ID])}
    user_code = {user: number for number, user in enumerate(dataset.users[Columns.USER_ID])}
    return {
        user_code[user]: np.array([code[item] for item in text.split()])
        for user, text in zip(rows["user_id"], rows["items"], strict=True)
    }


def askable(split: Split, kind: str) -> Split:
    """The split with the cases that this kind serves: for `given-NAME` of users with a list."""
    if not kind.startswith(GIVEN):
        return split
    lists = given_lists(split.dataset, kind.removeprefix(GIVEN))
    return replace(split, test=[case for case in split.test if case.user in lists])


def _given(split: Split, case: Case, lists: dict[int, np.ndarray], seed: int) -> np.ndarray:
    target = int(case.relevant[0])
    if case.user not in lists or target != split.sequences[case.user][-1]:
        return _sampled(split, case, GIVEN_ITEMS, None, seed)
    others = [int(item) for item in lists[case.user][:GIVEN_ITEMS] if item != target]
    return np.array([target, *others[: GIVEN_ITEMS - 1]])


def _full(split: Split, case: Case) -> np.ndarray:
    return _among(np.ones(split.dataset.n_items, dtype=bool), case)


def _shelf(split: Split, case: Case) -> np.ndarray:
    return _among(split.item_counts == 0, case)


def _among(offered: np.ndarray, case: Case) -> np.ndarray:
    """The relevant items, then the others that are offered; nothing from the history.

    Args:
        offered: whether each item is, shape (items,); written to.
        case: whose history is left out.
    """
    relevant = np.setdiff1d(case.relevant, case.history)
    offered[case.history] = False
    offered[relevant] = False
    return np.concatenate([relevant, np.flatnonzero(offered)])


def _sampled(
    split: Split, case: Case, count: int, weights: np.ndarray | None, seed: int
) -> np.ndarray:
    relevant = case.relevant[~np.isin(case.relevant, case.history)][: min(MAX_RELEVANT, count - 1)]
    rng = np.random.default_rng((seed, case.user, 0 if weights is None else 1))
    free = np.ones(split.dataset.n_items, dtype=bool)
    free[split.sequences[case.user]] = False
    if weights is not None:
        free &= weights > 0
    pool = np.flatnonzero(free)
    wanted = min(count - len(relevant), len(pool))
    if weights is None:
        drawn = rng.choice(pool, wanted, replace=False)
    else:
        # Exponential races: the `wanted` smallest E/w are a draw without replacement, with
        # probability ∝ w.
        drawn = pool[
            np.argsort(rng.exponential(size=len(pool)) / weights[pool], kind="stable")[:wanted]
        ]
    return np.concatenate([relevant, drawn])


def _stack(rows: list[np.ndarray]) -> np.ndarray:
    stacked = np.full((len(rows), max(map(len, rows), default=0)), PADDING, dtype=np.int64)
    for target, row in zip(stacked, rows, strict=True):
        target[: len(row)] = row
    return stacked
