"""Ranking metrics, one value a user, from the ranks of the relevant items.

Symbols: R = relevant items of a user among the candidates; r_i = rank of the i-th of them, 1 =
best; N = candidates.

Items with equal scores all get the mean of their ranks (two tied for first: 1.5 each): a model that
scores everything alike is neither lucky nor punished by the order of the list. Users with nothing
relevant are the caller's to leave out and count.
"""

from __future__ import annotations

import numpy as np

from llmrec_core.language import t


def ranks(scores: np.ndarray, relevant_mask: np.ndarray) -> np.ndarray:
    """Ranks of the relevant items, ascending, float, shape (users, most relevant items); NaN pads.

    Args:
        scores: (users, candidates), higher is better; -inf marks padding.
        relevant_mask: bool, same shape.

    Raises:
        ValueError: when a score is NaN.

    >>> relevant = np.array([[True, False, False], [True, False, True]])
    >>> ranks(np.array([[0.2, 0.9, 0.5], [0.7, 0.7, 0.1]]), relevant)
    array([[3. , nan],
           [1.5, 3. ]])
    """
    if np.isnan(scores).any():
        raise ValueError(t("a score is NaN: the recommender is broken, its metrics would be too"))
    counts = relevant_mask.sum(axis=1)
    places = np.full((len(scores), max(int(counts.max(initial=0)), 1)), np.nan)
    for row, (values, mask) in enumerate(zip(scores, relevant_mask, strict=True)):
        own = values[mask][:, None]
        above = (values > own).sum(axis=1)
        tied = (values == own).sum(axis=1)  # with itself
        places[row, : len(own)] = np.sort(above + (tied + 1) / 2)
    return places


def ndcg(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """NDCG@k = Σ_{r_i ≤ k} 1/log2(1 + r_i) ÷ Σ_{j=1}^{min(k, R)} 1/log2(1 + j), per user.

    The ideal has min(k, R) items, so a perfect list is 1 even when R < k.

    Args:
        ranks: of the relevant items, from 1, shape (users, R); NaN pads.
        k: length of the list.

    >>> ndcg(np.array([[3.0]])).round(3).tolist()  # one relevant item at rank 3: 1/log2(4) ÷ 1
    [0.5]
    >>> ndcg(np.array([[1.0, 3.0]])).round(3).tolist()  # (1 + 0.5) ÷ (1 + 1/log2(3))
    [0.92]
    """
    gains = np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    relevant = np.minimum(_counts(ranks), k)
    return np.asarray(gains.sum(axis=1) / ideal[np.maximum(relevant, 1) - 1])


def recall(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """Recall@k = |{i: r_i ≤ k}| ÷ R, per user; with one relevant item it equals Hit@k.

    Args:
        ranks: of the relevant items, from 1, shape (users, R); NaN pads.
        k: length of the list.

    >>> recall(np.array([[1.0, 12.0]])).tolist()
    [0.5]
    """
    return np.asarray((ranks <= k).sum(axis=1) / np.maximum(_counts(ranks), 1))


def hit(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """Hit@k = 1 if any r_i ≤ k, else 0, per user.

    Args:
        ranks: of the relevant items, from 1, shape (users, R); NaN pads.
        k: length of the list.

    >>> hit(np.array([[1.0, 12.0], [11.0, 12.0]])).tolist()
    [1.0, 0.0]
    """
    return (ranks <= k).any(axis=1).astype(float)


def mrr(ranks: np.ndarray) -> np.ndarray:
    """Reciprocal rank 1 ÷ min r_i, per user; its mean is MRR. No cut-off.

    Args:
        ranks: of the relevant items, from 1, shape (users, R); NaN pads.

    >>> mrr(np.array([[4.0, 8.0]])).tolist()
    [0.25]
    """
    return np.asarray(1 / np.nanmin(ranks, axis=1))


def average_precision(ranks: np.ndarray, k: int | None = None) -> np.ndarray:
    """AP@k = Σ_{r_i ≤ k} i / r_i ÷ min(k, R) with r sorted ascending, per user; its mean is MAP.

    Without `k` there is no cut-off.

    Args:
        ranks: of the relevant items, from 1, shape (users, R); NaN pads.
        k: length of the list; None for the whole ranking.

    >>> average_precision(np.array([[1.0, 4.0]])).tolist()  # (1/1 + 2/4) ÷ 2
    [0.75]
    """
    precision = np.arange(1, ranks.shape[1] + 1) / ranks
    counts = _counts(ranks)
    inside = ~np.isnan(ranks) if k is None else ranks <= k
    reachable = counts if k is None else np.minimum(counts, k)
    total: np.ndarray = np.where(inside, precision, 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(reachable, 1))


def auc(ranks: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Share of (relevant, other) pairs in the right order, per user; a tie counts half.

    NaN where there is no other.

    Args:
        ranks: as `ranks` returns.
        candidates: N per user, relevant ones included, padding not.

    >>> auc(np.array([[2.0]]), np.array([5])).tolist()  # 3 of the 4 others are below
    [0.75]
    """
    counts = _counts(ranks)
    others = candidates - counts
    # Σ r_i counts, for each relevant item: itself, the relevant ones and the others above it.
    others_above = np.nansum(ranks, axis=1) - counts * (counts + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(others > 0, 1 - others_above / (counts * others), np.nan)


def _counts(ranks: np.ndarray) -> np.ndarray:
    return np.asarray((~np.isnan(ranks)).sum(axis=1))
