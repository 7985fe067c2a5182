"""Who is trained on what and asked for what: leave-one-out in time, and a cut at one instant for everybody.

| split | training | validation: history → relevant | test: history → relevant |
|---|---|---|---|
| loo | all but a user's last two | the same → last but one | all but the last → last |
| time | before T1 | before T1 → from T1 to T2 | before T2 → from T2 on |
| loo-cold-items | as loo, a tenth of the items taken out | as loo, where the relevant item is one of those | likewise |
| loo-cold-users | as loo, a fifth of the users taken out | of those alone, the history cut to five items | likewise |

T1 and T2 are the 0.8 and 0.9 quantiles of all times. Leave-one-out lets a model learn from other users' future (Ji
et al., TOIS 41(3):75, 2023); the cut does not. Equal times keep the file's order. Where a data set has no order at all
(`Dataset.order == "none"`) a user's items are shuffled once by a fixed seed, so "last" is a random hold-out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.types import SPLITS, Columns


@dataclass(frozen=True)
class Case:
    """One question to a recommender: what comes after `history`? Right is what is in `relevant`."""

    user: int
    history: np.ndarray
    relevant: np.ndarray


@dataclass(frozen=True)
class Split:
    """Training sequences and the cases to answer; only `train` may be learned from."""

    dataset: Dataset
    name: str
    train: list[np.ndarray]
    """One array of item codes a user, oldest first; may be empty."""
    valid: list[Case]
    test: list[Case]
    sequences: list[np.ndarray] = field(repr=False)
    """Everything a user ever touched, in order: what negatives must not come from. Never learn from it."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Users without a case, counted by reason."""

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Training interactions per item, int64, shape (items,)."""
        return np.bincount(np.concatenate(self.train), minlength=self.dataset.n_items)


def split(dataset: Dataset, name: str) -> Split:
    """The split `name` of a data set.

    Raises:
        UsageError: for an unknown name.
        UnsupportedError: for `time` on a data set without times.
        DataError: when no user is left to be asked.
    """
    if name not in SPLITS:
        raise UsageError(f"unknown split {name!r}; expected one of {', '.join(SPLITS)}")
    made = _time_cut(dataset) if name == "time" else _leave_one_out(dataset)
    if name.startswith("loo-cold"):
        from llmrec_core.data import regimes  # regimes takes splits apart

        made = regimes.cold_items(made) if name == "loo-cold-items" else regimes.cold_users(made)
    if not made.test:
        raise DataError(
            f"{dataset.name!r} leaves no user to test with split {name!r} ({dataset.n_users} users, "
            f"{len(dataset.interactions)} interactions); users need at least three interactions"
        )
    return made


def ordered_rows(dataset: Dataset) -> np.ndarray:
    """Row numbers of the interactions sorted by user, then time; ties and unknown times keep the file's order."""
    table = dataset.interactions
    if dataset.order == "none":
        key: np.ndarray = np.random.default_rng(0).permutation(len(table))
    elif dataset.order == "file":
        key = np.arange(len(table))
    else:
        key = table[Columns.TIME].to_numpy()
    return np.lexsort((np.arange(len(table)), key, table[Columns.USER].to_numpy()))


def _sequences(dataset: Dataset) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Item codes and times per user, in order; a repeated item counts once, at its first time."""
    rows = ordered_rows(dataset)
    table = dataset.interactions.iloc[rows]
    table = table[~table.duplicated([Columns.USER, Columns.ITEM]).to_numpy()]
    users = table[Columns.USER].to_numpy()
    cuts = np.searchsorted(users, np.arange(1, dataset.n_users))
    items = np.split(table[Columns.ITEM].to_numpy(), cuts)
    return items, np.split(table[Columns.TIME].to_numpy(), cuts)


def _leave_one_out(dataset: Dataset) -> Split:
    sequences, _ = _sequences(dataset)
    train, valid, test = [], [], []
    for user, items in enumerate(sequences):
        if len(items) < 3:
            train.append(items)
            continue
        train.append(items[:-2])
        valid.append(Case(user, items[:-2], items[-2:-1]))
        test.append(Case(user, items[:-1], items[-1:]))
    left_out = {"fewer than three items": dataset.n_users - len(test)}
    return Split(dataset, "loo", train, valid, test, sequences, left_out)


def _time_cut(dataset: Dataset) -> Split:
    if dataset.order != "time":
        raise UnsupportedError(f"{dataset.name!r} has no times, so it cannot be cut at an instant; use split 'loo'")
    first, second = time_cuts(dataset)
    sequences, times = _sequences(dataset)
    train, valid, test = [], [], []
    new = quiet = 0
    for user, (items, when) in enumerate(zip(sequences, times, strict=True)):
        a, b = np.searchsorted(when, (first, second))
        train.append(items[:a])
        if a and b > a:
            valid.append(Case(user, items[:a], items[a:b]))
        if b and len(items) > b:
            test.append(Case(user, items[:b], items[b:]))
        new += not b
        quiet += len(items) == b > 0
    left_out = {"nothing before the cut": new, "nothing after the cut": quiet}
    return Split(dataset, "time", train, valid, test, sequences, left_out)


def time_cuts(dataset: Dataset) -> tuple[float, float]:
    """The two instants of split `time`, seconds."""
    first, second = np.quantile(dataset.interactions[Columns.TIME].to_numpy(), (0.8, 0.9))
    return float(first), float(second)
