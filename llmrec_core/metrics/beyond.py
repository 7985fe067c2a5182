"""What recommended lists do beyond being right: coverage, evenness, novelty and diversity.

Symbols: lists = top-k item codes, shape (users, k), -1 pads; I = items of the catalogue; p_i =
share of training interactions.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def exposure(lists: np.ndarray, items: int) -> np.ndarray:
    """How often each item is shown, int64, shape (items,).

    Args:
        lists: item codes shown, shape (users, k); -1 pads.
        items: how many items the catalogue has.

    >>> exposure(np.array([[0, 1], [0, -1]]), 3).tolist()
    [2, 1, 0]
    """
    return np.bincount(lists[lists >= 0], minlength=items)


def coverage(lists: np.ndarray, items: int) -> float:
    """Share of the catalogue that appears in at least one list.

    Args:
        lists: item codes shown, shape (users, k); -1 pads.
        items: how many items the catalogue has.

    >>> coverage(np.array([[0, 1], [0, 2]]), 4)
    0.75
    """
    return float((exposure(lists, items) > 0).mean())


def gini(lists: np.ndarray, items: int) -> float:
    """Gini coefficient of exposure over the catalogue: 0 = all items alike, near 1 = all on one.

    G = Σ_j (2j − I − 1) x_j ÷ (I Σ x) with exposures x sorted ascending.

    Args:
        lists: item codes shown, shape (users, k); -1 pads.
        items: how many items the catalogue has.

    >>> gini(np.array([[0], [1]]), 2)  # even
    0.0
    >>> gini(np.array([[0], [0]]), 2)  # all on one of two: (2·2−2−1)·2 ÷ (2·2)
    0.5
    """
    shown = np.sort(exposure(lists, items))
    place = 2 * np.arange(1, items + 1) - items - 1
    return float((place * shown).sum() / (items * max(shown.sum(), 1)))


def novelty(lists: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean self-information −log2 p_i of each user's list, bits.

    An unseen item counts as one interaction.

    Args:
        lists: item codes shown, shape (users, k); -1 pads.
        counts: training interactions of each item, shape (items,).

    >>> novelty(np.array([[0, 1]]), np.array([4, 4])).tolist()  # half of the interactions: 1 bit
    [1.0]
    """
    bits = -np.log2(np.maximum(counts, 1) / max(counts.sum(), 1))
    shown = lists >= 0
    total: np.ndarray = np.where(shown, bits[lists], 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(shown.sum(axis=1), 1))


def diversity(lists: np.ndarray, vectors: np.ndarray | sparse.csr_array) -> np.ndarray:
    """Intra-list diversity per user: mean 1 − cosine over pairs of the list.

    Lists shorter than two have NaN.

    Args:
        lists: item codes, shape (users, k); -1 pads.
        vectors: one row an item (genres, text embeddings); a zero row is orthogonal to all.

    >>> diversity(np.array([[0, 1]]), np.eye(2)).tolist()
    [1.0]
    """
    unit = sparse.csr_array(vectors, dtype=np.float64)
    norms = np.sqrt(np.asarray(unit.multiply(unit).sum(axis=1)).ravel())
    unit = sparse.diags_array(1 / np.maximum(norms, 1e-12)) @ unit
    shown = lists >= 0
    picked = sparse.csr_array(
        (np.ones(shown.sum()), (np.nonzero(shown)[0], lists[shown])), (len(lists), len(norms))
    )
    together = picked @ unit
    # Σ_{a≠b} cos = |Σ v|² − Σ |v|²
    cosines = np.asarray(together.multiply(together).sum(axis=1)).ravel() - picked @ (
        norms > 0
    ).astype(float)
    pairs = shown.sum(axis=1) * (shown.sum(axis=1) - 1)
    return np.where(pairs > 0, 1 - cosines / np.maximum(pairs, 1), np.nan)


def genre_vectors(genres: list[str]) -> sparse.csr_array:
    """0/1 rows over all genres, for `diversity`.

    Args:
        genres: of each item, joined by |.

    >>> genre_vectors(["Action|Drama", "Drama"]).toarray().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    own = [sorted({genre for genre in row.split("|") if genre}) for row in genres]
    place = {
        name: column
        for column, name in enumerate(sorted({name for names in own for name in names}))
    }
    rows = np.repeat(np.arange(len(own)), [len(names) for names in own])
    columns = np.array([place[name] for names in own for name in names], dtype=np.int64)
    return sparse.csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(len(own), max(len(place), 1))
    )


def top_k(scores: np.ndarray, candidates: np.ndarray, k: int = 10) -> np.ndarray:
    """The k best candidates of every row, best first, -1 where there are fewer.

    Ties stand in the order of candidates.

    Args:
        scores: higher is better, shape (users, N).
        candidates: item codes, same shape; -1 pads.
        k: length of the lists.
    """
    order = np.argsort(-np.where(candidates >= 0, scores, -np.inf), axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(candidates, order, axis=1)
    return np.pad(best, ((0, 0), (0, max(0, k - best.shape[1]))), constant_values=-1)
