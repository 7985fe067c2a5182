"""Will this person like that item, learned from a few labelled pairs of other people? AUC against the number of labels.

Labelled pairs come with the data set (prompts in TALLRec's form) or are made from its ratings: each rating after a
person's first ten, training and test people apart. The like rate of a person's history needs no label and is the line to beat.
The result has the form of a label curve, so the Quality page draws it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.regimes import SHOTS, Pairs, few_shots, given_pairs, made_pairs
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.metrics import classification
from llmrec_core.recommenders.pairs import RECENT, PairModel, like_rate
from llmrec_core.types import Columns

MOST_TEST = 5_000
"""Pairs made from ratings that are asked for, drawn by seed 0."""


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    data: str
    labels: tuple[int, ...] = SHOTS
    seeds: int = 5
    liked_above: float | None = None
    """Ratings above count as liked, where pairs are made from ratings; None: the median rating."""

    def __post_init__(self) -> None:
        if not self.labels or min(self.labels) < 2:
            raise UsageError(f"labels are {list(self.labels)}; expected numbers of at least 2, one of each class")
        if self.seeds < 1:
            raise UsageError(f"seeds is {self.seeds}; expected at least 1")


def pairs_of(dataset: Dataset, liked_above: float | None = None) -> tuple[Pairs, Pairs, str]:
    """(training, test, where they come from); no person is on both sides.

    Raises:
        UnsupportedError: for a data set with neither labelled pairs nor ratings of two kinds.
    """
    if "pairs" in dataset.extras:
        return given_pairs(dataset, "train"), given_pairs(dataset, "test"), "pairs as given"
    ratings = dataset.interactions[Columns.RATING].to_numpy(float)
    level = float(np.median(ratings)) - 1e-9 if liked_above is None else liked_above
    if ratings.min() > level or ratings.max() <= level:
        raise UnsupportedError(
            f"{dataset.name!r} has no labelled pairs and its ratings do not part into liked and not liked at {level:g}"
        )
    train, test = made_pairs(dataset, level)
    rows = np.sort(np.random.default_rng(0).permutation(len(test))[:MOST_TEST])
    return train, test.take(rows), f"pairs made from ratings, liked above {level:.3g}"


def measure(plan: Plan, dataset: Dataset, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Rows as of a label curve, with GAUC, log loss, calibration error and the paired gain over the like rate.

    Raises:
        UnsupportedError: as `pairs_of`, or when one side has only liked or only disliked pairs.
    """
    train, test, origin = pairs_of(dataset, plan.liked_above)
    for side, pairs in (("training", train), ("test", test)):
        if len(np.unique(pairs.labels)) < 2:
            raise UnsupportedError(f"{plan.data!r} has {side} pairs of one class only: AUC is undefined")
    base, recent = like_rate(test), like_rate(test, RECENT)
    free = [
        _row("Like rate of the history", 0, test, [base], base, 0.0),
        _row(f"Like rate, recent items weigh more ({RECENT:g})", 0, test, [recent], base, 0.0),
    ]
    rows: list[dict[str, Any]] = []
    for n in sorted({min(n, len(train)) for n in plan.labels}):
        predicted, seconds = [], 0.0
        for seed in range(plan.seeds):
            began = time.perf_counter()
            predicted.append(PairModel(dataset.n_items).fit(few_shots(train, n, seed)).predict(test))
            seconds += time.perf_counter() - began
        last = _row("Regression on like rates and item quality", n, test, predicted, base, seconds / plan.seeds)
        rows += [*(one | {"labels": n} for one in free), last]
        gap = last["gain_over_like_rate"]
        say(
            f"{n:5,} labels: AUC {last['value']:.3f} ({last['low']:.3f} to {last['high']:.3f}; over people {last['low_users']:.3f} to "
            f"{last['high_users']:.3f}), {gap[0]:+.3f} ({gap[1]:+.3f} to {gap[2]:+.3f}) over the like rate's {free[0]['value']:.3f}; "
            f"GAUC {last['gauc']:.3f}, log loss {last['log_loss']:.3f}, calibration error {last['calibration_error']:.3f}"
        )
    people = len(np.unique(test.users))
    return {
        "rows": rows,
        "metric_title": "AUC",
        "conditions": f"{plan.data} {dataset.content_hash[:8]}, {origin}; {len(test):,} test pairs of {people} people who are not in "
        f"training; {plan.seeds} draws of labels; intervals over pairs",
        "plan": {"data": plan.data, "labels": list(plan.labels), "seeds": plan.seeds},
    }


def _mean_auc(labels: np.ndarray, *scores: np.ndarray) -> float:
    return float(np.mean([classification.auc(labels, one) for one in scores]))


def _row(
    method: str, n: int, test: Pairs, scores: Sequence[np.ndarray], base: np.ndarray, seconds: float
) -> dict[str, Any]:
    """One method after n labels; `scores` of each seed."""

    def gain(labels: np.ndarray, against: np.ndarray, *ours: np.ndarray) -> float:
        return _mean_auc(labels, *ours) - classification.auc(labels, against)

    value, low, high = classification.bootstrap(_mean_auc, test.labels, *scores)
    _, low_users, high_users = classification.bootstrap_groups(_mean_auc, test.users, test.labels, *scores)
    by_seed = [classification.auc(test.labels, one) for one in scores]
    clipped = [np.clip(one, 1e-6, 1 - 1e-6) for one in scores]
    return {
        "method": method,
        "labels": n,
        "value": value,
        "low": low,
        "high": high,
        "low_users": low_users,
        "high_users": high_users,
        "seeds": by_seed,
        "spread": float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        "gauc": float(np.mean([classification.gauc(test.labels, one, test.users) for one in scores])),
        "log_loss": float(np.mean([classification.log_loss(test.labels, one).mean() for one in clipped])),
        "calibration_error": float(np.mean([classification.calibration_error(test.labels, one) for one in clipped])),
        "gain_over_like_rate": list(classification.bootstrap(gain, test.labels, base, *scores)),
        "train_s": seconds,
        "train_usd": None,
    }
