"""From a scorer to the quality rows of a run record.

Candidates are scored in batches and ranked; each metric's mean gets its interval, by slice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from llmrec_core.contract.recommender import Score
from llmrec_core.data.candidates import PADDING, candidate_sets
from llmrec_core.data.splits import Case, Split
from llmrec_core.errors import NotFiniteError
from llmrec_core.language import t
from llmrec_core.metrics import ranking
from llmrec_core.metrics.belief import UNIT, Ends
from llmrec_core.metrics.beyond import coverage, diversity, genre_vectors, gini, novelty, top_k
from llmrec_core.metrics.intervals import mean_interval
from llmrec_core.metrics.propensity import popularity_propensities, snips
from llmrec_core.metrics.slices import slices
from llmrec_core.types import Columns, Measurement, Samples

_BATCH_CELLS = 4_000_000
"""Candidates scored at once."""


def evaluate(
    score: Score,
    split: Split,
    cases: Sequence[Case],
    candidates: np.ndarray | str,
    protocol_name: str,
    k: int = 10,
    *,
    seed: int = 0,
    batch: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Measurement], list[Samples]]:
    """NDCG@k, Recall@k, Hit@k, MAP@k, MRR and AUC of a scorer on the cases, and `of_lists`.

    Args:
        score: as `Recommender.score`; whatever it gives padding (-1) is ignored.
        split: what the cases come from.
        cases: the users to serve and what was withheld from them.
        candidates: (cases, N), relevant items anywhere in the row; or a kind for `candidate_sets`,
            which is then built batch by batch, so that full rankings of a large catalogue need no
            (cases, items) array.
        protocol_name: e.g. `loo/100-uniform`.
        k: length of a list.
        seed: of the candidates that are built here.
        batch: cases scored at once.
        progress: called with cases done and total.

    Returns:
        One measurement per metric and slice (an empty slice has a reason instead of a value), and
        the samples of each user, keys = users.

    Raises:
        ValueError: when the scorer returns another shape.
        NotFiniteError: when it returns scores that are no finite numbers.
    """
    lists: list[np.ndarray] = []
    values = per_user(
        score, split, cases, candidates, k, seed=seed, batch=batch, progress=progress, lists=lists
    )
    users = [case.user for case in cases]
    rows = []
    for slice_name, mask in slices(split, cases).items():
        for name, column in values.items():
            rows.append(summarise(name, column, mask, slice_name, protocol_name))
    if lists:
        rows += of_lists(np.concatenate(lists), values[f"ndcg@{k}"], split, cases, protocol_name, k)
    samples = [
        Samples(name, column.tolist(), users, protocol_name) for name, column in values.items()
    ]
    return rows, samples


def summarise(
    name: str,
    values: np.ndarray,
    mask: np.ndarray,
    slice_name: str,
    protocol_name: str,
    within: Ends = UNIT,
) -> Measurement:
    """The mean of a slice with its interval, or why there is none.

    Args:
        name: of the metric.
        values: one per case, NaN where it is undefined, shape (cases,).
        mask: which cases belong to the slice, shape (cases,).
        slice_name: e.g. `cold items`.
        protocol_name: e.g. `loo/100-uniform`.
        within: what a value can be at least and at most.
    """
    kept = values[mask & ~np.isnan(values)]
    if not len(kept):
        reason = (
            t("no user of slice {slice_name!r} in the sample", slice_name=slice_name)
            if not mask.any()
            else t("undefined for these users")
        )
        return Measurement(
            name, None, "1", n=0, slice=slice_name, protocol=protocol_name, reason=reason
        )
    mean, low, high = mean_interval(kept, within)
    return Measurement(name, mean, "1", low, high, len(kept), slice_name, protocol_name)


def of_lists(
    lists: np.ndarray,
    ndcg: np.ndarray,
    split: Split,
    cases: Sequence[Case],
    protocol_name: str,
    k: int,
) -> list[Measurement]:
    """Coverage, Gini, novelty and diversity of lists, and NDCG weighted by inverse propensity.

    The weighted NDCG counts a case by 1/q of its withheld item (the rarest, if several), so that it
    asks how good the lists would be if people had met all items alike; `effective_users` says how
    many users that weighting leaves.

    Args:
        lists: item codes of the top k, -1 pads, shape (cases, k).
        ndcg: NDCG@k of each case, shape (cases,).
        split: what the cases come from.
        cases: the users and what was withheld from them.
        protocol_name: e.g. `loo/100-uniform`.
        k: length of a list.
    """
    counts = split.item_counts
    rarest = np.array([int(case.relevant[np.argmin(counts[case.relevant])]) for case in cases])
    weighted = snips(ndcg, popularity_propensities(counts)[rarest])
    items = split.dataset.items[Columns.GENRES].astype(str).tolist()
    everybody = np.ones(len(cases), dtype=bool)

    def whole(
        name: str, value: float, low: float | None = None, high: float | None = None
    ) -> Measurement:
        return Measurement(name, value, "1", low, high, len(cases), protocol=protocol_name)

    def mean(name: str, values: np.ndarray, within: Ends = UNIT) -> Measurement:
        return summarise(name, values, everybody, "all", protocol_name, within)

    rarest_bits = (0.0, float(np.log2(max(counts.sum(), 2))))  # of an item seen once

    varied = mean(f"diversity@{k}", diversity(lists, genre_vectors(items)))
    if not any(items):
        reason = t("items have no genres to differ in")
        varied = Measurement(
            f"diversity@{k}", None, "1", n=len(cases), protocol=protocol_name, reason=reason
        )
    return [
        whole(f"coverage@{k}", coverage(lists, len(counts))),
        whole(f"gini@{k}", gini(lists, len(counts))),
        dataclasses.replace(mean(f"novelty@{k}", novelty(lists, counts), rarest_bits), unit="bit"),
        varied,
        whole(f"snips_ndcg@{k}", weighted.value, weighted.low, weighted.high),
        whole("effective_users", weighted.effective_n),
    ]


def per_user(
    score: Score,
    split: Split,
    cases: Sequence[Case],
    candidates: np.ndarray | str,
    k: int = 10,
    *,
    seed: int = 0,
    batch: int = 256,
    progress: Callable[[int, int], None] | None = None,
    lists: list[np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """The metrics of every case: `ndcg@k`, `recall@k`, `hit@k`, `map@k`, `mrr` and `auc`.

    Args:
        score: as for `evaluate`.
        split: as for `evaluate`.
        cases: as for `evaluate`.
        candidates: as for `evaluate`.
        k: length of a list.
        seed: of the candidates that are built here.
        batch: cases scored at once.
        progress: called with cases done and total.
        lists: is given the top-k lists, a part (cases, k) at a time.

    Returns:
        Metric → values in the order of the cases, shape (cases,).
    """
    if isinstance(candidates, str) and candidates == "full":
        batch = max(1, min(batch, _BATCH_CELLS // max(split.dataset.n_items, 1)))
    parts = []
    for start in range(0, len(cases), batch):
        batch_cases = cases[start : start + batch]
        items = (
            candidate_sets(split, batch_cases, candidates, seed)
            if isinstance(candidates, str)
            else candidates[start : start + batch]
        )
        scores = _scores(score, batch_cases, items)
        parts.append(_metrics(scores, batch_cases, items, k))
        if lists is not None:
            lists.append(top_k(scores, items, k))
        if progress:
            progress(start + len(batch_cases), len(cases))
    return (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    )


def _scores(score: Score, cases: Sequence[Case], items: np.ndarray) -> np.ndarray:
    """Scores (cases, N), float64, -inf on padding."""
    scores = np.asarray(score([case.history for case in cases], items), dtype=np.float64)
    if scores.shape != items.shape:
        raise ValueError(
            t(
                "the scorer returned shape {shape} for candidates of shape {shape_2}",
                shape=scores.shape,
                shape_2=items.shape,
            )
        )
    real = items != PADDING
    broken = int((np.isnan(scores) | np.isposinf(scores))[real].sum())
    if broken:
        raise NotFiniteError(
            t(
                "{broken} of {count} scores are no finite numbers: training diverged, or the model "
                "is damaged; lower training.learning_rate or look at recommender.options, and run "
                "it again",
                broken=broken,
                count=int(real.sum()),
            )
        )
    return np.where(real, scores, -np.inf)


def _metrics(
    scores: np.ndarray, cases: Sequence[Case], items: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    real = items != PADDING
    relevant = np.stack(
        [np.isin(row, case.relevant) for row, case in zip(items, cases, strict=True)]
    )
    ranks = ranking.ranks(scores, relevant)
    return {
        f"ndcg@{k}": ranking.ndcg(ranks, k),
        f"recall@{k}": ranking.recall(ranks, k),
        f"hit@{k}": ranking.hit(ranks, k),
        f"map@{k}": ranking.average_precision(ranks, k),
        "mrr": ranking.mrr(ranks),
        "auc": ranking.auc(ranks, real.sum(axis=1)),
    }
