"""Predict whether a person likes an item, from few labelled pairs of other people.

The result is AUC against the number of labels.
Labelled pairs come with the data set (prompts in TALLRec's form) or are made from its ratings: each
rating after a person's first ten, training and test people apart. The like rate of a person's
history needs no label and is the line to beat. The result has the form of a label curve, so the
Quality page draws it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from llmrec_core.checks.curve_rows import PairRow
from llmrec_core.contract.bounds import Draws, Labels, Name
from llmrec_core.contract.parsing import Number, parsed
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.regimes import SHOTS, Pairs, few_shots, given_pairs, made_pairs
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.metrics import classification
from llmrec_core.recommenders.pairs import RECENT, PairModel, like_rate
from llmrec_core.types import Columns

MOST_TEST = 5_000
"""Pairs made from ratings that are asked for, drawn by seed 0."""


@parsed
class Plan:
    """What to measure."""

    data: Name
    """Name of a data set."""
    labels: Labels = SHOTS
    """Training pairs, one row of the result each."""
    seeds: Draws = 5
    """Draws of the labels."""
    liked_above: Annotated[Number, Field(ge=-1e9, le=1e9)] | None = None
    """Ratings above count as liked, where pairs are made from ratings; None: the median rating."""


def pairs_of(dataset: Dataset, liked_above: float | None = None) -> tuple[Pairs, Pairs, str]:
    """(training, test, where they come from); no person is on both sides.

    Raises:
        UnsupportedError: for a data set with neither labelled pairs nor ratings of two kinds.
    """
    if "pairs" in dataset.extras:
        return given_pairs(dataset, "train"), given_pairs(dataset, "test"), t("pairs as given")
    ratings = dataset.interactions[Columns.RATING].to_numpy(float)
    level = float(np.median(ratings)) - 1e-9 if liked_above is None else liked_above
    if ratings.min() > level or ratings.max() <= level:
        raise UnsupportedError(
            t(
                "{name!r} has no labelled pairs and its ratings do not part into liked and not "
                "liked at {level:g}",
                name=dataset.name,
                level=level,
            )
        )
    train, test = made_pairs(dataset, level)
    rows = np.sort(np.random.default_rng(0).permutation(len(test))[:MOST_TEST])
    return (
        train,
        test.take(rows),
        t("pairs made from ratings, liked above {level:.3g}", level=level),
    )


def measure(
    plan: Plan, dataset: Dataset, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure each method after so many labels.

    Rows have the form of a label curve. Each also holds GAUC, log loss, calibration error and the
    paired gain in AUC over the like rate.

    Raises:
        UnsupportedError: as `pairs_of`, or when one side has only liked or only disliked pairs.
    """
    train, test, origin = pairs_of(dataset, plan.liked_above)
    for side, pairs in (("training", train), ("test", test)):
        if len(np.unique(pairs.labels)) < 2:
            raise UnsupportedError(
                t(
                    "{data!r} has {side} pairs of one class only: AUC is undefined",
                    data=plan.data,
                    side=side,
                )
            )
    base, recent = like_rate(test), like_rate(test, RECENT)
    free = [
        _row(t("Like rate of the history"), 0, test, [base], base, 0.0),
        _row(
            t("Like rate, recent items weigh more ({RECENT:g})", RECENT=RECENT),
            0,
            test,
            [recent],
            base,
            0.0,
        ),
    ]
    rows: list[PairRow] = []
    for n in sorted({min(n, len(train)) for n in plan.labels}):
        predicted, seconds = [], 0.0
        for seed in range(plan.seeds):
            began = time.perf_counter()
            predicted.append(
                PairModel(dataset.n_items).fit(few_shots(train, n, seed)).predict(test)
            )
            seconds += time.perf_counter() - began
        last = _row(
            t("Regression on like rates and item quality"),
            n,
            test,
            predicted,
            base,
            seconds / plan.seeds,
        )
        rows += [*(replace(row, labels=n) for row in free), last]
        gap = last.gain_over_like_rate
        say(
            t(
                "{n:5,} labels: AUC {value:.3f} ({low:.3f} to {high:.3f}; over people "
                "{low_users:.3f} to {high_users:.3f}), {gap:+.3f} ({gap_2:+.3f} to "
                "{gap_3:+.3f}) over the like rate's {value_2:.3f}; GAUC {gauc:.3f}, log loss "
                "{log_loss:.3f}, calibration error {calibration_error:.3f}",
                n=n,
                value=last.value,
                low=last.low,
                high=last.high,
                low_users=last.low_users,
                high_users=last.high_users,
                gap=gap[0],
                gap_2=gap[1],
                gap_3=gap[2],
                value_2=free[0].value,
                gauc=last.gauc,
                log_loss=last.log_loss,
                calibration_error=last.calibration_error,
            )
        )
    people = len(np.unique(test.users))
    return {
        "rows": [row.to_dict() for row in rows],
        "metric_title": "AUC",
        "conditions": t(
            "{data} {content_hash}, {origin}; {n_test:,} test pairs of {people} people who "
            "are not in training; {seeds} draws of labels; intervals over pairs",
            data=plan.data,
            content_hash=dataset.content_hash[:8],
            origin=origin,
            n_test=len(test),
            people=people,
            seeds=plan.seeds,
        ),
        "plan": {"data": plan.data, "labels": list(plan.labels), "seeds": plan.seeds},
    }


def _mean_auc(labels: np.ndarray, *scores: np.ndarray) -> float:
    return float(np.mean([classification.auc(labels, values) for values in scores]))


def _row(
    method: str, n: int, test: Pairs, scores: Sequence[np.ndarray], base: np.ndarray, seconds: float
) -> PairRow:
    """One method after n labels; `scores` of each seed."""

    def gain(labels: np.ndarray, against: np.ndarray, *ours: np.ndarray) -> float:
        return _mean_auc(labels, *ours) - classification.auc(labels, against)

    value, low, high = classification.bootstrap(_mean_auc, test.labels, *scores)
    _, low_users, high_users = classification.bootstrap_groups(
        _mean_auc, test.users, test.labels, *scores
    )
    by_seed = [classification.auc(test.labels, values) for values in scores]
    clipped = [np.clip(values, 1e-6, 1 - 1e-6) for values in scores]
    return PairRow(
        method=method,
        labels=n,
        value=value,
        low=low,
        high=high,
        low_users=low_users,
        high_users=high_users,
        seeds=by_seed,
        spread=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        gauc=float(
            np.mean([classification.gauc(test.labels, values, test.users) for values in scores])
        ),
        log_loss=float(
            np.mean([classification.log_loss(test.labels, values) for values in clipped])
        ),
        calibration_error=float(
            np.mean([classification.calibration_error(test.labels, values) for values in clipped])
        ),
        gain_over_like_rate=list(classification.bootstrap(gain, test.labels, base, *scores)),
        train_s=seconds,
        train_usd=None,
    )
