"""From a scorer to the quality rows of a run record: scores in batches, ranks, means with intervals, by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from llmrec_core.data.candidates import PADDING, candidate_sets
from llmrec_core.data.splits import Case, Split
from llmrec_core.metrics import ranking
from llmrec_core.metrics.intervals import bootstrap_mean
from llmrec_core.metrics.slices import slices
from llmrec_core.types import Measurement, Samples

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
    """NDCG@k, Recall@k, MRR and AUC of a scorer on the cases.

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
    values = per_user(score, split, cases, candidates, k, seed=seed, batch=batch, progress=progress)
    users = [case.user for case in cases]
    rows = []
    for slice_name, mask in slices(split, cases).items():
        for name, column in values.items():
            rows.append(summarise(name, column, mask, slice_name, protocol_name))
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
) -> dict[str, np.ndarray]:
    """The metrics of every case, in their order: `ndcg@k`, `recall@k`, `mrr`, `auc`."""
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
        parts.append(_metrics(score, some, items, k))
        if progress:
            progress(start + len(some), len(cases))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _metrics(score: Score, cases: Sequence[Case], items: np.ndarray, k: int) -> dict[str, np.ndarray]:
    real = items != PADDING
    scores = np.asarray(score([case.history for case in cases], items), dtype=np.float64)
    if scores.shape != items.shape:
        raise ValueError(f"the scorer returned shape {scores.shape} for candidates of shape {items.shape}")
    scores = np.where(real, scores, -np.inf)
    relevant = np.stack([np.isin(row, case.relevant) for row, case in zip(items, cases, strict=True)])
    found = ranking.ranks(scores, relevant)
    return {
        f"ndcg@{k}": ranking.ndcg(found, k),
        f"recall@{k}": ranking.recall(found, k),
        "mrr": ranking.mrr(found),
        "auc": ranking.auc(found, real.sum(axis=1)),
    }
