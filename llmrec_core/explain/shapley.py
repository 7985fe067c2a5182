"""The algebra of coalition tables: Shapley values, interactions, leave-one-out. NumPy only, float64.

A table holds v(S) for all 2^n coalitions of n players, at index Σ 2^i over the players i in S.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


def sizes_of(masks: np.ndarray) -> np.ndarray:
    """Number of players in each coalition (int64 bit masks)."""
    return np.bitwise_count(masks.astype(np.uint64)).astype(np.int64)


def present(masks: np.ndarray, players: int) -> np.ndarray:
    """Coalitions as booleans (coalitions, players)."""
    return (masks[:, None] >> np.arange(players) & 1).astype(bool)


def players_of(table: np.ndarray) -> int:
    """n of a table of 2^n values."""
    n = len(table).bit_length() - 1
    assert len(table) == 1 << n, "a table holds every coalition"
    return n


def shapley_from_table(table: np.ndarray) -> np.ndarray:
    """Shapley values (n,) of a game given by the values of all 2^n coalitions.

    phi_i = sum over S without i of |S|! (n-|S|-1)! / n! * (v(S + i) - v(S)).

    >>> shapley_from_table(np.array([0.0, 1.0, 2.0, 5.0])).tolist()  # v(a)=1, v(b)=2, v(ab)=5
    [2.0, 3.0]
    """
    table = np.asarray(table, dtype=np.float64)
    n = players_of(table)
    values = np.empty(n)
    for player in range(n):
        without = _without(n, 1 << player)
        values[player] = (_weights(n)[sizes_of(without)] * (table[without | 1 << player] - table[without])).sum()
    return values


def interactions_from_table(table: np.ndarray) -> np.ndarray:
    """Shapley interaction index (n, n) of every pair, 0 on the diagonal: above 0 the two are worth more together.

    I_ij = sum over S without i, j of |S|! (n-|S|-2)! / (n-1)! * (v(S+ij) - v(S+i) - v(S+j) + v(S)); it is a mean of the
    pair's surplus, so a game of pairs and single terms gives back its pair terms (Grabisch & Roubens 1999).
    """
    table = np.asarray(table, dtype=np.float64)
    n = players_of(table)
    result = np.zeros((n, n))
    if n < 2:
        return result
    weights = _weights(n - 1)
    for i in range(n):
        for j in range(i):
            first, second = 1 << i, 1 << j
            rest = _without(n, first | second)
            surplus = table[rest | first | second] - table[rest | first] - table[rest | second] + table[rest]
            result[i, j] = result[j, i] = (weights[sizes_of(rest)] * surplus).sum()
    return result


def leave_one_out(full: float, without: np.ndarray) -> np.ndarray:
    """What the score loses when one player alone is left out: v(N) - v(N - i)."""
    return full - np.asarray(without, dtype=np.float64)


def decayed_shapley(weights: np.ndarray, decay: float) -> np.ndarray:
    """Shapley values (n,) of v(S) = sum over i in S of w_i · decay^(members of S later than i), for any n.

    The score of EASE, item-kNN and TF-IDF: an item counts less the more items follow it. Player i and the m later ones
    play w_i · 1[i in S] · d^|S and later|; with everybody arriving at a uniform time, i gets w_i times the mean of
    (1 - t (1-d))^m, and the later ones share what is left of w_i · d^m equally.
    """
    weights = np.asarray(weights, dtype=np.float64)
    n = len(weights)
    later = np.arange(n - 1, -1, -1)
    if decay == 1.0:
        own = np.ones(n)
    else:
        own = (1 - decay ** (later + 1.0)) / ((later + 1) * (1 - decay))
    share = np.where(later > 0, (decay**later - own) / np.maximum(later, 1), 0.0) * weights
    before = np.concatenate(([0.0], np.cumsum(share)[:-1]))  # what every later player gets from each earlier one
    return own * weights + before


@lru_cache(maxsize=64)
def _weights(n: int) -> np.ndarray:
    """|S|! (n-|S|-1)! / n! for |S| = 0 … n-1."""
    return np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])


def _without(n: int, bits: int) -> np.ndarray:
    masks = np.arange(1 << n)
    return masks[masks & bits == 0]
