"""Checks that a quality figure must pass before it is believed; each result is a sentence.

Split: nothing asked was trained on, nothing known is a candidate, nothing of the future stands in a
time cut. Measurement: it equals scikit-learn's, for any batch size and order of users. Recommender:
learned from shuffled labels it knows no more than popularity, and asked for shuffled targets it is
at chance.

`data check` makes all of them on demand. Every run makes `check_run` on its own weights and keeps
the answers in its record. It leaves out the one of shuffled targets, whose 95 % interval would call
one honest run in twenty wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from llmrec_core.contract.families import recorded_family
from llmrec_core.contract.recommender import Recommender, Score
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Split, time_cuts
from llmrec_core.language import t
from llmrec_core.metrics import ranking
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import mean_interval
from llmrec_core.recommenders.popularity import Popularity
from llmrec_core.recommenders.remembered import Remembered
from llmrec_core.types import Columns

RECOMPUTED_USERS = 50
RUN_USERS, RUN_SHUFFLED_USERS, RUN_FIT_S = 10, 200, 10.0
"""Of the checks in a run: users scored again, users asked after shuffling, and the longest fit that
is repeated on shuffled labels."""
METRIC_GAP = 1e-6
"""Largest difference of two ways to the same metric: the rounding of float32 scores."""

Build = Callable[[Dataset], Recommender]
"""Makes a recommender, to be fitted, for a data set."""


@dataclass(frozen=True)
class CheckResult:
    """One check: passed or not, and what was seen."""

    check: str
    passed: bool | None
    """None where it was not made; `detail` says why."""
    detail: str


def check_split(exam: Exam) -> list[CheckResult]:
    """Overlap of training and test, candidates that are known already, training from the future."""
    results = [_check_overlap(exam.split), _check_candidates(exam)]
    return [*results, _check_time_order(exam.split)] if exam.split.name == "time" else results


def _check_overlap(split: Split) -> CheckResult:
    trained = sum(np.isin(case.relevant, split.train[case.user]).sum() for case in split.test)
    return CheckResult(
        "train-test-overlap",
        not trained,
        t(
            "{trained} withheld items of {users} users are in their training data",
            trained=trained,
            users=len(split.test),
        ),
    )


def _check_candidates(exam: Exam) -> CheckResult:
    from_history = twice = absent = 0
    for place, case in enumerate(exam.cases):
        row = exam.offered(place)
        from_history += int(np.isin(row, case.history).sum())
        twice += len(row) - len(np.unique(row))
        absent += not np.isin(case.relevant, row).any()
    return CheckResult(
        "candidates",
        not (from_history or twice or absent),
        t(
            "{users} users: {from_history} candidates from the history, {twice} twice, {absent} "
            "users without their own",
            users=len(exam.cases),
            from_history=from_history,
            twice=twice,
            absent=absent,
        ),
    )


def _check_time_order(split: Split) -> CheckResult:
    first, second = time_cuts(split.dataset)
    table = split.dataset.interactions
    early = table.groupby([Columns.USER, Columns.ITEM])[Columns.TIME].min()
    latest = max(
        (early[user, item] for user, items in enumerate(split.train) for item in items[-1:]),
        default=-np.inf,
    )
    earliest = min((early[case.user, case.relevant[0]] for case in split.test), default=np.inf)
    return CheckResult(
        "time-order",
        bool(latest < first and earliest >= second),
        t(
            "last training {latest:.0f} < cut {first:.0f}; first asked {earliest:.0f} ≥ "
            "cut {second:.0f}",
            latest=latest,
            first=first,
            earliest=earliest,
            second=second,
        ),
    )


def check_measurement(score: Score, exam: Exam) -> list[CheckResult]:
    """The metric against scikit-learn, and against itself with other batches and orders."""
    once = Remembered(score).score
    values = per_user(once, exam.split, exam.cases, exam.candidates)
    reversed_values = per_user(score, exam.split, exam.cases[::-1], exam.candidates[::-1], batch=7)
    gap = max(_largest_gap(reversed_values[name][::-1], column) for name, column in values.items())
    return [
        CheckResult(
            "order-and-batch",
            gap < METRIC_GAP,
            t("largest difference with users reversed and batches of 7: {gap:.1g}", gap=gap),
        ),
        _check_against_scikit_learn(once, exam.sample(RECOMPUTED_USERS)),
    ]


def _largest_gap(values: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two columns; where a metric does not exist, both must lack it."""
    if (np.isnan(values) != np.isnan(other)).any():
        return float("inf")
    return float(np.abs(np.nan_to_num(values) - np.nan_to_num(other)).max(initial=0.0))


def _check_against_scikit_learn(score: Score, exam: Exam) -> CheckResult:
    """Our NDCG@10 and AUC beside scikit-learn's.

    Ties are broken first, as the two treat them differently. Lists in which everything or nothing
    is relevant are left out: there is nothing to order, and scikit-learn refuses them.
    """
    from sklearn.metrics import ndcg_score, roc_auc_score

    scores = np.asarray(score(exam.histories, exam.candidates), dtype=np.float64)
    ours, theirs = [], []
    for place, case in enumerate(exam.cases):
        row = exam.offered(place)
        values = scores[place, exam.candidates[place] >= 0]
        order = np.argsort(np.argsort(-values, kind="stable")).astype(float)  # no ties are left
        relevant = np.isin(row, case.relevant)
        if relevant.all() or not relevant.any():
            continue
        ranks = ranking.ranks(-order[None], relevant[None])
        ours.append([ranking.ndcg(ranks)[0], ranking.auc(ranks, np.array([len(row)]))[0]])
        theirs.append(
            [ndcg_score([relevant.astype(int)], [-order], k=10), roc_auc_score(relevant, -order)]
        )
    if not ours:
        reason = t("nobody has another candidate than the right one, so there is nothing to order")
        return CheckResult("independent-metric", None, reason)
    gap = float(np.abs(np.array(ours) - np.array(theirs)).max())
    return CheckResult(
        "independent-metric",
        gap < METRIC_GAP,
        t(
            "{users} users, NDCG@10 and AUC against scikit-learn: largest difference {gap:.1g}",
            users=len(ours),
            gap=gap,
        ),
    )


def check_recommender(build: Build, exam: Exam, folder: Path) -> list[CheckResult]:
    """All checks of a recommender, fitted once.

    Args:
        build: makes it, to be fitted.
        exam: what it is asked.
        folder: for what fitting writes.
    """
    fitted = build(exam.split.dataset)
    fitted.fit(exam.split, RunContext(folder))
    return [
        check_shuffled_labels(fitted.score, build, exam, folder),
        _check_shuffled_targets(fitted.score, exam),
        *check_measurement(fitted.score, exam),
    ]


def _check_shuffled_targets(score: Score, exam: Exam) -> CheckResult:
    """Whether the interval of the AUC for random targets holds 0.5."""
    mean, low, high = mean_interval(_auc_of_random_targets(score, exam))
    return CheckResult(
        "shuffled-targets",
        low <= 0.5 <= high,
        t(
            "AUC for random targets {mean:.3f} ({low:.3f} to {high:.3f}); chance is 0.5",
            mean=mean,
            low=low,
            high=high,
        ),
    )


def check_shuffled_labels(score: Score, build: Build, exam: Exam, folder: Path) -> CheckResult:
    """Whether a recommender that learned from shuffled labels knows no more than popularity.

    Training items are permuted over all interactions (so popularity stays) and titles over all
    items. Then NDCG@10 must not be above popularity's and above chance beyond the interval.

    Args:
        score: of the recommender fitted on the truth.
        build: makes the same recommender, to be fitted.
        exam: what both are asked.
        folder: for what fitting writes.
    """
    popular, shuffled = Popularity(), shuffle_labels(exam.split, exam.seed)
    popular.fit(exam.split, RunContext(folder))
    blind = build(shuffled.dataset)
    blind.fit(shuffled, RunContext(folder))
    level, after, before = (
        mean_interval(per_user(scorer, exam.split, exam.cases, exam.candidates)["ndcg@10"])
        for scorer in (popular.score, blind.score, score)
    )
    chance = _chance_ndcg(exam)
    return CheckResult(
        "shuffled-labels",
        after[1] <= max(level[2], chance),
        t(
            "NDCG@10 {before:.3f} → {after:.3f} ({after_low:.3f} to {after_high:.3f}) on shuffled "
            "labels; popularity {level:.3f} ({level_low:.3f} to {level_high:.3f}), "
            "chance {chance:.3f}",
            before=before[0],
            after=after[0],
            after_low=after[1],
            after_high=after[2],
            level=level[0],
            level_low=level[1],
            level_high=level[2],
            chance=chance,
        ),
    )


def check_run(
    score: Score, build: Build, exam: Exam, spec: RunSpec, fit_s: float, folder: Path
) -> list[CheckResult]:
    """The checks of one run's protocol and weights.

    Args:
        score: of the run's recommender.
        build: makes the same recommender, to be fitted on shuffled labels.
        exam: the run's own.
        spec: the run's.
        fit_s: how long fitting took. Above `RUN_FIT_S`, or where a neural model would be trained
            again, labels are not shuffled.
        folder: for what fitting writes.
    """
    drawn = exam.sample(RUN_SHUFFLED_USERS)
    results = [*check_split(drawn), *check_measurement(score, exam.sample(RUN_USERS))]
    if not spec.recommender.learns:
        reason = t("it learns from no labels")
    elif spec.borrows_weights:
        reason = t("it uses the weights of {weights_from!r}", weights_from=spec.weights_from)
    elif not recorded_family(spec.recommender.family).fits_in_seconds or fit_s > RUN_FIT_S:
        reason = t("fitting took {fit_s:.0f} s and is not repeated in a run", fit_s=fit_s)
    else:
        return [*results, check_shuffled_labels(score, build, drawn, folder)]
    return [*results, CheckResult("shuffled-labels", None, reason)]


def _chance_ndcg(exam: Exam, k: int = 10) -> float:
    """Mean NDCG@k of candidates in random order.

    It is R/N of every place's gain, over the ideal of min(k, R) places, with R relevant ones of N.
    """
    gains = 1 / np.log2(np.arange(2, k + 2))
    values = []
    for place, case in enumerate(exam.cases):
        row = exam.offered(place)
        relevant = int(np.isin(row, case.relevant).sum())
        values.append(
            relevant / len(row) * gains[: len(row)].sum() / gains[: min(k, relevant)].sum()
        )
    return float(np.mean(values))


def shuffle_labels(split: Split, seed: int) -> Split:
    """The split with training items permuted over interactions and attributes over items."""
    rng = np.random.default_rng(seed)
    flat = rng.permutation(np.concatenate(split.train))
    train = np.split(flat, np.cumsum([len(items) for items in split.train])[:-1])
    items = split.dataset.items
    mixed = items.iloc[rng.permutation(len(items))].reset_index(drop=True)
    mixed = pd.concat([items[[Columns.ITEM_ID]], mixed.drop(columns=Columns.ITEM_ID)], axis=1)
    return replace(split, dataset=replace(split.dataset, items=mixed), train=train)


def _auc_of_random_targets(score: Score, exam: Exam) -> np.ndarray:
    """AUC of one unseen candidate a user, drawn at random, against the others.

    The true target is left out.
    """
    values = []
    for place, case in enumerate(exam.cases):
        row = exam.offered(place)
        others = row[~np.isin(row, case.relevant)]
        if len(others) > 1:
            scores = np.asarray(score([case.history], others[None]), dtype=np.float64)
            target = np.random.default_rng((exam.seed, case.user, 2)).integers(len(others))
            ranks = ranking.ranks(scores, np.arange(len(others))[None] == target)
            values.append(ranking.auc(ranks, np.array([len(others)]))[0])
    return np.array(values)
