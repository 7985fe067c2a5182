"""Checks that a quality figure must pass before it is believed; each result is a sentence with its numbers.

Split: nothing asked was trained on, nothing known is a candidate, nothing of the future in a time cut. Measurement:
equal to scikit-learn's, equal for any batch size and order of users. Recommender: learned from shuffled labels it
knows no more than popularity; asked for shuffled targets it is at chance.

`data check` makes all of them on demand. Every run makes `check_run` on its own weights and keeps the answers in its record:
not the one of shuffled targets, whose 95 % interval would call one honest run in twenty wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from llmrec_core.data.candidates import PADDING, candidate_sets, sample_cases
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split, time_cuts
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.spec import RunSpec
from llmrec_core.metrics import ranking
from llmrec_core.metrics.evaluate import Score, per_user
from llmrec_core.metrics.intervals import bootstrap_mean
from llmrec_core.recommenders.base import Recommender
from llmrec_core.recommenders.registry import CLASSICAL
from llmrec_core.recommenders.remembered import Remembered
from llmrec_core.types import Columns

RECOMPUTED_USERS = 50
RUN_USERS, RUN_FIT_S = 10, 10.0
"""Of the checks in a run: users scored again, and the longest fit that is repeated on shuffled labels."""


@dataclass(frozen=True)
class CheckResult:
    """One check: passed or not, and what was seen."""

    check: str
    passed: bool | None
    """None: not made; `detail` says why."""
    detail: str


def check_split(split: Split, candidates: str = "100-uniform", seed: int = 0, users: int = 200) -> list[CheckResult]:
    """Overlap of training and test, candidates that are known already, and training from the future."""
    cases = sample_cases(split.test, users, seed)
    trained = sum(np.isin(case.relevant, split.train[case.user]).sum() for case in split.test)
    results = [
        CheckResult(
            "train-test-overlap",
            not trained,
            f"{trained} withheld items of {len(split.test)} users are in their training data",
        )
    ]
    sets = candidate_sets(split, cases, candidates, seed)
    known = twice = absent = 0
    for case, row in zip(cases, sets, strict=True):
        row = row[row != PADDING]
        known += np.isin(row, case.history).sum()
        twice += len(row) - len(np.unique(row))
        absent += not np.isin(case.relevant, row).any()
    results.append(
        CheckResult(
            "candidates",
            not (known or twice or absent),
            f"{len(cases)} users: {known} candidates from the history, {twice} twice, {absent} users without their own",
        )
    )
    if split.name == "time":
        first, second = time_cuts(split.dataset)
        table = split.dataset.interactions
        early = table.groupby([Columns.USER, Columns.ITEM])[Columns.TIME].min()
        latest = max(
            (early[user, item] for user, items in enumerate(split.train) for item in items[-1:]), default=-np.inf
        )
        earliest = min((early[case.user, case.relevant[0]] for case in split.test), default=np.inf)
        results.append(
            CheckResult(
                "time-order",
                latest < first and earliest >= second,
                f"last training {latest:.0f} < cut {first:.0f}; first asked {earliest:.0f} ≥ cut {second:.0f}",
            )
        )
    return results


def check_measurement(
    score: Score, split: Split, candidates: str = "100-uniform", seed: int = 0, users: int = 200
) -> list[CheckResult]:
    """The metric against scikit-learn on 50 users, and against itself with other batches and orders."""
    cases = sample_cases(split.test, users, seed)
    once = Remembered(score).score
    values = per_user(once, split, cases, candidates, seed=seed)
    small = per_user(score, split, cases[::-1], candidates, seed=seed, batch=7)
    gap = max(float(np.abs(small[name][::-1] - column).max()) for name, column in values.items())
    results = [
        CheckResult(
            "order-and-batch", gap < 1e-6, f"largest difference with users reversed and batches of 7: {gap:.1e}"
        )
    ]
    few = cases[:RECOMPUTED_USERS]
    ours, theirs = _recompute(once, split, few, candidates, seed)
    gap = float(np.abs(ours - theirs).max())
    results.append(
        CheckResult(
            "independent-metric",
            gap < 1e-6,
            f"{len(few)} users, NDCG@10 and AUC against scikit-learn: largest difference {gap:.1e}",
        )
    )
    return results


def _recompute(
    score: Score, split: Split, cases: Sequence[Case], candidates: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Our NDCG@10 and AUC beside scikit-learn's; ties are broken first, as the two treat them differently."""
    from sklearn.metrics import ndcg_score, roc_auc_score

    sets = candidate_sets(split, cases, candidates, seed)
    scores = np.asarray(score([case.history for case in cases], sets), dtype=np.float64)
    ours, theirs = [], []
    for row, case, values in zip(sets, cases, scores, strict=True):
        real = row != PADDING
        place = np.argsort(np.argsort(-values[real], kind="stable")).astype(float)  # distinct: no ties left
        relevant = np.isin(row[real], case.relevant)
        found = ranking.ranks(-place[None], relevant[None])
        ours.append([ranking.ndcg(found)[0], ranking.auc(found, np.array([real.sum()]))[0]])
        theirs.append([ndcg_score([relevant.astype(int)], [-place], k=10), roc_auc_score(relevant, -place)])
    return np.array(ours), np.array(theirs)


def check_recommender(
    build: Callable[[Dataset], Recommender],
    split: Split,
    folder: Path,
    candidates: str = "100-uniform",
    seed: int = 0,
    users: int = 400,
) -> list[CheckResult]:
    """All checks of a recommender, fitted once: shuffled labels, shuffled targets (their AUC's interval must hold 0.5), measurement."""
    fitted = build(split.dataset)
    fitted.fit(split, RunContext(folder))
    cases = sample_cases(split.test, users, seed)
    chance = bootstrap_mean(_auc_of_random_targets(fitted.score, split, cases, candidates, seed))
    return [
        check_shuffled_labels(fitted.score, build, split, folder, candidates, seed, users),
        CheckResult(
            "shuffled-targets",
            chance[1] <= 0.5 <= chance[2],
            f"AUC for random targets {chance[0]:.3f} ({chance[1]:.3f} to {chance[2]:.3f}); chance is 0.5",
        ),
        *check_measurement(fitted.score, split, candidates, seed, users),
    ]


def check_shuffled_labels(
    score: Score,
    build: Callable[[Dataset], Recommender],
    split: Split,
    folder: Path,
    candidates: str = "100-uniform",
    seed: int = 0,
    users: int = 400,
) -> CheckResult:
    """Whether a recommender that learned from shuffled labels knows no more than popularity and chance.

    Shuffled: training items are permuted over all interactions (so popularity stays) and titles over all items. Then
    NDCG@10 must not be above popularity's and above chance beyond the interval.

    Args:
        score: of the recommender fitted on the truth.
        build: the same recommender, unfitted.
    """
    from llmrec_core.recommenders.popularity import Popularity

    cases = sample_cases(split.test, users, seed)
    popular, shuffled = Popularity(), shuffle_labels(split, seed)
    popular.fit(split, RunContext(folder))
    level = bootstrap_mean(per_user(popular.score, split, cases, candidates, seed=seed)["ndcg@10"])
    blind = build(shuffled.dataset)
    blind.fit(shuffled, RunContext(folder))
    after = bootstrap_mean(per_user(blind.score, split, cases, candidates, seed=seed)["ndcg@10"])
    before = bootstrap_mean(per_user(score, split, cases, candidates, seed=seed)["ndcg@10"])
    random = _chance_ndcg(split, cases, candidates, seed)
    return CheckResult(
        "shuffled-labels",
        after[1] <= max(level[2], random),
        f"NDCG@10 {before[0]:.3f} → {after[0]:.3f} ({after[1]:.3f} to {after[2]:.3f}) on shuffled labels; "
        f"popularity {level[0]:.3f} ({level[1]:.3f} to {level[2]:.3f}), chance {random:.3f}",
    )


def check_run(
    score: Score, build: Callable[[Dataset], Recommender], split: Split, spec: RunSpec, fit_s: float, folder: Path
) -> list[CheckResult]:
    """The checks of one run's protocol and weights.

    Args:
        build: the same recommender unfitted, for shuffled labels.
        fit_s: how long fitting took: above `RUN_FIT_S`, or where a neural model would be trained again, labels are not shuffled.
        folder: for what fitting writes.
    """
    chosen, protocol = spec.recommender, spec.protocol
    results = check_split(split, protocol.candidates, protocol.seed)
    results += check_measurement(score, split, protocol.candidates, protocol.seed, users=RUN_USERS)
    if chosen.adaptation == "none" and chosen.backbone:
        reason = "it learns from no labels"
    elif spec.weights_from:
        reason = f"it uses the weights of {spec.weights_from!r}"
    elif chosen.family not in (*CLASSICAL, "fusion") or fit_s > RUN_FIT_S:
        reason = f"fitting took {fit_s:.0f} s and is not repeated in a run"
    else:
        return [
            *results,
            check_shuffled_labels(score, build, split, folder, protocol.candidates, protocol.seed, users=200),
        ]
    return [*results, CheckResult("shuffled-labels", None, reason)]


def _chance_ndcg(split: Split, cases: Sequence[Case], candidates: str, seed: int, k: int = 10) -> float:
    """Mean NDCG@k of candidates in random order: R/N of every place's gain, over the ideal of min(k, R) places."""
    gains = 1 / np.log2(np.arange(2, k + 2))
    values = []
    for case, row in zip(cases, candidate_sets(split, cases, candidates, seed), strict=True):
        row = row[row != PADDING]
        relevant = int(np.isin(row, case.relevant).sum())
        values.append(relevant / len(row) * gains[: len(row)].sum() / gains[: min(k, relevant)].sum())
    return float(np.mean(values))


def shuffle_labels(split: Split, seed: int) -> Split:
    """The split with training items permuted over all interactions and item attributes permuted over items."""
    rng = np.random.default_rng(seed)
    flat = rng.permutation(np.concatenate(split.train))
    train = np.split(flat, np.cumsum([len(items) for items in split.train])[:-1])
    items = split.dataset.items
    mixed = items.iloc[rng.permutation(len(items))].reset_index(drop=True)
    mixed = pd.concat([items[[Columns.ITEM_ID]], mixed.drop(columns=Columns.ITEM_ID)], axis=1)
    return replace(split, dataset=replace(split.dataset, items=mixed), train=train)


def _auc_of_random_targets(score: Score, split: Split, cases: Sequence[Case], candidates: str, seed: int) -> np.ndarray:
    """AUC of one unseen candidate a user, drawn at random, against the others; the true target is left out."""
    values = []
    for case, row in zip(cases, candidate_sets(split, cases, candidates, seed), strict=True):
        others = row[(row != PADDING) & ~np.isin(row, case.relevant)]
        if len(others) > 1:
            scores = np.asarray(score([case.history], others[None]), dtype=np.float64)
            target = np.random.default_rng((seed, case.user, 2)).integers(len(others))
            found = ranking.ranks(scores, np.arange(len(others))[None] == target)
            values.append(ranking.auc(found, np.array([len(others)]))[0])
    return np.array(values)
