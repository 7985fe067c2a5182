"""Who is trained on what and asked for what.

Leave-one-out in time, and a cut at one instant for everybody:

| split | training | validation: history → relevant | test: history → relevant |
|---|---|---|---|
| loo | all but a user's last two | the same → last but one | all but the last → last |
| time | before T1 | before T1 → from T1 to T2 | before T2 → from T2 on |
| loo-cold-items | as loo, a tenth of the items taken out | as loo, of those items | likewise |
| loo-cold-users | as loo, a fifth of the users taken out | of those, five items | likewise |

T1 and T2 are the 0.8 and 0.9 quantiles of all times. Leave-one-out lets a model learn from other
users' future (Ji et al., TOIS 41(3):75, 2023); the cut does not. Equal times keep the file's order.
Where a data set has no order at all (`Dataset.order == "none"`) a user's items are shuffled once by
a fixed seed, so "last" is a random hold-out. What is withheld is always an item at the event in
which the person met it first; data/history.py says what is read of the events before that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.history import events_by_user
from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.language import t
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
    """Every item a user ever touched, once, in the order in which they met it.

    It says what negatives must not come from. Never learn from it.
    """
    left_out: dict[str, int] = field(default_factory=dict)
    """Users without a case, counted by reason."""
    repeats: str = "first"
    """Which events of a repeated item are read (data/history.py)."""

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Training interactions per item, int64, shape (items,)."""
        return np.bincount(np.concatenate(self.train), minlength=self.dataset.n_items)


def split(dataset: Dataset, name: str, repeats: str = "first") -> Split:
    """The split `name` of a data set.

    Args:
        dataset: with at least one user of three different items.
        name: one of `SPLITS`.
        repeats: which events of a repeated item are read, one of `REPEATS` (data/history.py).

    Raises:
        UsageError: for an unknown name or rule.
        UnsupportedError: for `time` on a data set without times.
        DataError: when no user is left to be asked.
    """
    if name not in SPLITS:
        raise UsageError(
            t(
                "unknown split {name!r}; expected one of {SPLITS}",
                name=name,
                SPLITS=", ".join(SPLITS),
            )
        )
    parts = _time_cut(dataset, repeats) if name == "time" else _leave_one_out(dataset, repeats)
    if name.startswith("loo-cold"):
        from llmrec_core.data import regimes  # regimes takes splits apart

        parts = regimes.cold_items(parts) if name == "loo-cold-items" else regimes.cold_users(parts)
    if not parts.test:
        raise DataError(
            t(
                "{name!r} leaves no user to test with split {name_2!r} ({n_users} users, "
                "{n_interactions} interactions); users need at least three interactions",
                name=dataset.name,
                name_2=name,
                n_users=dataset.n_users,
                n_interactions=len(dataset.interactions),
            )
        )
    return parts


def _leave_one_out(dataset: Dataset, repeats: str) -> Split:
    train, valid, test, sequences = [], [], [], []
    for user, events in enumerate(events_by_user(dataset)):
        met = events.met
        sequences.append(events.read("first"))
        if len(met) < 3:
            train.append(events.read(repeats))
            continue
        train.append(events.before(met[-2]).read(repeats))
        valid.append(Case(user, train[-1], events.items[met[-2:-1]]))
        test.append(Case(user, events.before(met[-1]).read(repeats), events.items[met[-1:]]))
    left_out = {"fewer than three items": dataset.n_users - len(test)}
    return Split(dataset, "loo", train, valid, test, sequences, left_out, repeats)


def _time_cut(dataset: Dataset, repeats: str) -> Split:
    if dataset.order != "time":
        raise UnsupportedError(
            t(
                "{name!r} has no times, so it cannot be cut at an instant; use split 'loo'",
                name=dataset.name,
            )
        )
    first, second = time_cuts(dataset)
    train, valid, test, sequences = [], [], [], []
    new = quiet = 0
    for user, events in enumerate(events_by_user(dataset)):
        a, b = (int(cut) for cut in np.searchsorted(events.times, (first, second)))
        met = events.met
        between, after = met[(a <= met) & (met < b)], met[met >= b]
        sequences.append(events.read("first"))
        train.append(events.before(a).read(repeats))
        if a and len(between):
            valid.append(Case(user, train[-1], events.items[between]))
        if b and len(after):
            test.append(Case(user, events.before(b).read(repeats), events.items[after]))
        new += not b
        quiet += b > 0 and not len(after)
    left_out = {"nothing before the cut": new, "nothing after the cut": quiet}
    return Split(dataset, "time", train, valid, test, sequences, left_out, repeats)


def time_cuts(dataset: Dataset) -> tuple[float, float]:
    """The two instants of split `time`, seconds."""
    first, second = np.quantile(dataset.interactions[Columns.TIME].to_numpy(), (0.8, 0.9))
    return float(first), float(second)
