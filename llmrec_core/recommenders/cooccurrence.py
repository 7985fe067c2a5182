"""How often two items stand near each other in histories, and item vectors factorised from that.

Item-kNN divides these counts by popularity; SASRec starts its item vectors from their factors, as a
few hundred people's histories are too few to learn both the vectors and what to do with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

_USERS_AT_ONCE = 20_000
_SMOOTHING = 0.75
"""Power of the context's count, so that rare items do not get the largest values (Levy, Goldberg &
Dagan, TACL 2015)."""


def co_occurrences(
    sequences: Sequence[np.ndarray],
    items: int,
    *,
    window: int,
    backward: float = 1.0,
    fade: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> sparse.csr_array:
    """Weighted counts (items, items) of j after i, no diagonal.

    Args:
        sequences: item codes of each user, oldest first, no item twice.
        items: how many items there are.
        window: largest distance at which two items count; 0 = any, both ways alike and without
            `fade`.
        backward: weight of "j before i" against "i before j".
        fade: a pair at distance d counts d^-fade.
        progress: called with users done and total.
    """
    total = sparse.csr_array((items, items), dtype=np.float32)
    for start in range(0, len(sequences), _USERS_AT_ONCE):
        some = sequences[start : start + _USERS_AT_ONCE]
        total = total + (
            _near(some, items, window, backward, fade) if window else _together(some, items)
        )
        if progress:
            progress(start + len(some), len(sequences))
    return sparse.csr_array(total)


def _flat(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Row number and item of every interaction."""
    users = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    return users, np.concatenate([*sequences, np.zeros(0, np.int64)])


def _together(sequences: Sequence[np.ndarray], items: int) -> sparse.csr_array:
    users, flat = _flat(sequences)
    seen = sparse.csr_array(
        (np.ones(len(flat), np.float32), (users, flat)), shape=(len(sequences), items)
    )
    total = sparse.csr_array(seen.T @ seen)
    total.setdiag(0)
    total.eliminate_zeros()
    return total


def _near(
    sequences: Sequence[np.ndarray], items: int, window: int, backward: float, fade: float
) -> sparse.csr_array:
    users, flat = _flat(sequences)
    total = sparse.csr_array((items, items), dtype=np.float32)
    for distance in range(1, window + 1):
        same = users[:-distance] == users[distance:]
        if not same.any():
            break
        before, after = flat[:-distance][same], flat[distance:][same]
        weight = np.full(len(before), distance**-fade, np.float32)
        forward = sparse.csr_array((weight, (before, after)), shape=(items, items))
        total = total + forward + backward * forward.T
    return sparse.csr_array(total)


def item_vectors(counts: sparse.csr_array, width: int, seed: int = 0) -> np.ndarray:
    """Item vectors from the counts of neighbours.

    The symmetric factors U·√S of the positive pointwise mutual information

        max(0, log( counts(i, j) · Σ counts^0.75 ÷ (count(i) · count(j)^0.75) )),
        count(i) = Σ over j of counts(i, j)

    which is what word2vec factorises implicitly.

    Args:
        counts: symmetric, as `co_occurrences` with `backward = 1`.
        width: length of a vector; there are no more dimensions than items.
        seed: of the random projection.

    Returns:
        Vectors (items, min(width, items)), float32, with standard deviation 1; the rows of items
        without any neighbour are 0.

    Source: Levy & Goldberg, NeurIPS 2014; Levy, Goldberg & Dagan, TACL 2015.
    """
    # The import takes a second, and item-kNN does without it.
    from sklearn.utils.extmath import randomized_svd

    pairs = counts.tocoo()
    of_item = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    smoothed = of_item**_SMOOTHING
    value = np.log(pairs.data * smoothed.sum() / (of_item[pairs.row] * smoothed[pairs.col]))
    kept = value > 0
    information = sparse.csr_array(
        (value[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape
    )
    if not information.nnz:
        return np.zeros((counts.shape[0], min(width, counts.shape[0])), np.float32)
    left, strength, _ = randomized_svd(information, min(width, counts.shape[0]), random_state=seed)
    vectors = left * np.sqrt(strength)
    scaled: np.ndarray = (vectors / vectors.std()).astype(np.float32)
    return scaled
