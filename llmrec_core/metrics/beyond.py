"""What recommended lists do beyond being right: how much of the catalogue they show, how evenly, how new, how varied.

Symbols: lists = top-k item codes, shape (users, k), -1 pads; I = items of the catalogue; p_i = share of training
interactions.
"""

from __future__ import annotations

import numpy as np


def exposure(lists: np.ndarray, items: int) -> np.ndarray:
    """How often each item is shown, int64, shape (items,).

    >>> exposure(np.array([[0, 1], [0, -1]]), 3).tolist()
    [2, 1, 0]
    """
    return np.bincount(lists[lists >= 0], minlength=items)


def coverage(lists: np.ndarray, items: int) -> float:
    """Share of the catalogue that appears in at least one list.

    >>> coverage(np.array([[0, 1], [0, 2]]), 4)
    0.75
    """
    return float((exposure(lists, items) > 0).mean())


def gini(lists: np.ndarray, items: int) -> float:
    """Gini coefficient of exposure over the catalogue: 0 = all items alike, towards 1 = all on one item.

    G = Σ_j (2j − I − 1) x_j ÷ (I Σ x) with exposures x sorted ascending.

    >>> gini(np.array([[0], [1]]), 2), gini(np.array([[0], [0]]), 2)  # even; all on one of two: (2·2−2−1)·2 ÷ (2·2)
    (0.0, 0.5)
    """
    shown = np.sort(exposure(lists, items))
    place = 2 * np.arange(1, items + 1) - items - 1
    return float((place * shown).sum() / (items * max(shown.sum(), 1)))


def novelty(lists: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean self-information −log2 p_i of each user's list, bits; an unseen item counts as one interaction.

    >>> novelty(np.array([[0, 1]]), np.array([4, 4])).tolist()  # each has half of the interactions: 1 bit
    [1.0]
    """
    bits = -np.log2(np.maximum(counts, 1) / max(counts.sum(), 1))
    shown = lists >= 0
    return np.where(shown, bits[lists], 0.0).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)


def diversity(lists: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Intra-list diversity per user: mean 1 − cosine over pairs of the list; NaN for lists shorter than two.

    Args:
        vectors: one row an item (genres, text embeddings); a zero row is orthogonal to all.

    >>> diversity(np.array([[0, 1]]), np.eye(2)).tolist()
    [1.0]
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    values = []
    for row in lists:
        mine = unit[row[row >= 0]]
        pairs = len(mine) * (len(mine) - 1)
        # Σ_{a≠b} cos = |Σ v|² − Σ |v|²
        cosines = np.square(mine.sum(axis=0)).sum() - np.square(mine).sum()
        values.append(1 - cosines / pairs if pairs else float("nan"))
    return np.array(values)


def genre_vectors(genres: list[str]) -> np.ndarray:
    """0/1 rows over all genres, for `diversity`.

    >>> genre_vectors(["Action|Drama", "Drama"]).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    names = sorted({genre for row in genres for genre in row.split("|") if genre})
    place = {name: column for column, name in enumerate(names)}
    vectors = np.zeros((len(genres), max(len(names), 1)))
    for row, text in enumerate(genres):
        vectors[row, [place[genre] for genre in text.split("|") if genre]] = 1
    return vectors


def top_k(scores: np.ndarray, candidates: np.ndarray, k: int = 10) -> np.ndarray:
    """The k best candidates of every row, best first, -1 where there are fewer; ties in the order of candidates."""
    order = np.argsort(-np.where(candidates >= 0, scores, -np.inf), axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(candidates, order, axis=1)
    return np.pad(best, ((0, 0), (0, max(0, k - best.shape[1]))), constant_values=-1)
