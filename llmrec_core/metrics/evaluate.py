"""From a scorer to the quality rows of a run record: scores in batches, ranks, means with intervals, by slice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from llmrec_core.data.candidates import PADDING, candidate_sets
from llmrec_core.data.splits import Case, Split
from llmrec_core.metrics import ranking
from llmrec_core.metrics.beyond import coverage, diversity, genre_vectors, gini, novelty, top_k
from llmrec_core.metrics.intervals import bootstrap_mean
from llmrec_core.metrics.propensity import popularity_propensities, snips
from llmrec_core.metrics.slices import slices
from llmrec_core.types import Columns, Measurement, Samples

Score = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]
_BATCH_CELLS = 4_000_000  # candidates scored at once


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
    """NDCG@k, Recall@k, Hit@k, MAP@k, MRR and AUC of a scorer on the cases, and what its lists are like (`of_lists`).

    Args:
        score: as `Recommender.score`; whatever it gives padding (-1) is ignored.
        candidates: (cases, N), relevant items anywhere in the row; or a kind for `candidate_sets`, then built batch
            by batch, so
            that full rankings of a large catalogue need no (cases, items) array.
        protocol_name: e.g. `loo/100-uniform`.
        progress: called with cases done and total.

    Returns:
        One measurement per metric and slice (an empty slice has a reason instead of a value), and per-user samples,
        keys = users.

    Raises:
        ValueError: when the scorer returns NaN or another shape.
    """
    lists: list[np.ndarray] = []
    values = per_user(score, split, cases, candidates, k, seed=seed, batch=batch, progress=progress, lists=lists)
    users = [case.user for case in cases]
    rows = []
    for slice_name, mask in slices(split, cases).items():
        for name, column in values.items():
            rows.append(summarise(name, column, mask, slice_name, protocol_name))
    if lists:
        rows += of_lists(np.concatenate(lists), values[f"ndcg@{k}"], split, cases, protocol_name, k)
    samples = [Samples(name, column.tolist(), users, protocol_name) for name, column in values.items()]
    return rows, samples


def summarise(name: str, values: np.ndarray, mask: np.ndarray, slice_name: str, protocol_name: str) -> Measurement:
    """The mean of a slice with its interval, or why there is none."""
    kept = values[mask & ~np.isnan(values)]
    if not len(kept):
        reason = f"no user of slice {slice_name!r} in the sample" if not mask.any() else "undefined for these users"
        return Measurement(name, None, "1", n=0, slice=slice_name, protocol=protocol_name, reason=reason)
    mean, low, high = bootstrap_mean(kept)
    return Measurement(name, mean, "1", low, high, len(kept), slice_name, protocol_name)


def of_lists(
    lists: np.ndarray, ndcg: np.ndarray, split: Split, cases: Sequence[Case], protocol_name: str, k: int
) -> list[Measurement]:
    """Coverage, Gini, novelty and diversity of top-k lists (users, k), and NDCG weighted by inverse propensity.

    The weighted NDCG counts a case by 1/q of its withheld item (the rarest, if several), so that it asks how good the
    lists would be if people had met all items alike; `effective_users` says how many users that weighting leaves.
    """
    counts = split.item_counts
    rarest = np.array([int(case.relevant[np.argmin(counts[case.relevant])]) for case in cases])
    weighted = snips(ndcg, popularity_propensities(counts)[rarest])
    items = split.dataset.items[Columns.GENRES].astype(str).tolist()
    everybody = np.ones(len(cases), dtype=bool)

    def whole(name: str, value: float, low: float | None = None, high: float | None = None) -> Measurement:
        return Measurement(name, value, "1", low, high, len(cases), protocol=protocol_name)

    def mean(name: str, values: np.ndarray) -> Measurement:
        return summarise(name, values, everybody, "all", protocol_name)

    varied = mean(f"diversity@{k}", diversity(lists, genre_vectors(items)))
    if not any(items):
        reason = "items have no genres to differ in"
        varied = Measurement(f"diversity@{k}", None, "1", n=len(cases), protocol=protocol_name, reason=reason)
    return [
        whole(f"coverage@{k}", coverage(lists, len(counts))),
        whole(f"gini@{k}", gini(lists, len(counts))),
        dataclasses.replace(mean(f"novelty@{k}", novelty(lists, counts)), unit="bit"),
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
    """The metrics of every case, in their order: `ndcg@k`, `recall@k`, `hit@k`, `map@k`, `mrr`, `auc`.

    Args:
        lists: is given the top-k lists, a part (cases, k) at a time.
    """
    if isinstance(candidates, str) and candidates == "full":
        batch = max(1, min(batch, _BATCH_CELLS // max(split.dataset.n_items, 1)))
    parts = []
    for start in range(0, len(cases), batch):
        some = cases[start : start + batch]
        items = (
            candidate_sets(split, some, candidates, seed)
            if isinstance(candidates, str)
            else candidates[start : start + batch]
        )
        scores = _scores(score, some, items)
        parts.append(_metrics(scores, some, items, k))
        if lists is not None:
            lists.append(top_k(scores, items, k))
        if progress:
            progress(start + len(some), len(cases))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _scores(score: Score, cases: Sequence[Case], items: np.ndarray) -> np.ndarray:
    """Scores (cases, N), float64, -inf on padding."""
    scores = np.asarray(score([case.history for case in cases], items), dtype=np.float64)
    if scores.shape != items.shape:
        raise ValueError(f"the scorer returned shape {scores.shape} for candidates of shape {items.shape}")
    return np.where(items != PADDING, scores, -np.inf)


def _metrics(scores: np.ndarray, cases: Sequence[Case], items: np.ndarray, k: int) -> dict[str, np.ndarray]:
    real = items != PADDING
    relevant = np.stack([np.isin(row, case.relevant) for row, case in zip(items, cases, strict=True)])
    found = ranking.ranks(scores, relevant)
    return {
        f"ndcg@{k}": ranking.ndcg(found, k),
        f"recall@{k}": ranking.recall(found, k),
        f"hit@{k}": ranking.hit(found, k),
        f"map@{k}": ranking.average_precision(found, k),
        "mrr": ranking.mrr(found),
        "auc": ranking.auc(found, real.sum(axis=1)),
    }
