"""The algebra of coalition tables: Shapley values and interactions. NumPy only, float64.

A table holds v(S) for all 2^n coalitions of n players, at index Σ 2^i over the players i in S.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

Z95 = 1.96
"""Standard deviations on both sides of the mean that hold 95 % of a Gaussian."""
CAUTION = 1.25
"""Standard errors a value that an error is stated with; about nine cases in ten stay below."""


def sizes_of(masks: np.ndarray) -> np.ndarray:
    """Number of players in each coalition (int64 bit masks).

    Args:
        masks: shape (coalitions,).
    """
    return np.bitwise_count(masks.astype(np.uint64)).astype(np.int64)


def present(masks: np.ndarray, players: int) -> np.ndarray:
    """Coalitions as booleans (coalitions, players).

    Args:
        masks: bit masks, int64, shape (coalitions,).
        players: how many there are.
    """
    return (masks[:, None] >> np.arange(players) & 1).astype(bool)


def players_of(table: np.ndarray) -> int:
    """N of a table of 2^n values.

    Args:
        table: shape (2^n,).
    """
    n = len(table).bit_length() - 1
    assert len(table) == 1 << n, "a table holds every coalition"
    return n


def shapley_from_table(table: np.ndarray) -> np.ndarray:
    """Shapley values (n,) of a game given by the values of all 2^n coalitions.

    phi_i = sum over S without i of |S|! (n-|S|-1)! / n! * (v(S + i) - v(S)).

    Args:
        table: value of each coalition at its bit mask, shape (2^n,).

    >>> shapley_from_table(np.array([0.0, 1.0, 2.0, 5.0])).tolist()  # v(a)=1, v(b)=2, v(ab)=5
    [2.0, 3.0]
    """
    table = np.asarray(table, dtype=np.float64)
    n = players_of(table)
    values = np.empty(n)
    for player in range(n):
        without = _without(n, 1 << player)
        values[player] = (
            _weights(n)[sizes_of(without)] * (table[without | 1 << player] - table[without])
        ).sum()
    return values


def interactions_from_table(table: np.ndarray) -> np.ndarray:
    """Shapley interaction index (n, n) of every pair, 0 on the diagonal.

    Above 0 the two are worth more together.

    I_ij = sum over S without i, j of |S|! (n-|S|-2)! / (n-1)! (v(S+ij) - v(S+i) - v(S+j) + v(S)).
    It is a mean of the pair's surplus, so a game of pairs and single terms gives back its pair
    terms (Grabisch & Roubens 1999).

    Args:
        table: value of each coalition at its bit mask, shape (2^n,).
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
            surplus = (
                table[rest | first | second]
                - table[rest | first]
                - table[rest | second]
                + table[rest]
            )
            result[i, j] = result[j, i] = (weights[sizes_of(rest)] * surplus).sum()
    return result


def relative_error(values: np.ndarray, errors: np.ndarray) -> float:
    """Upper estimate of the summed absolute error over the sum of absolute values.

    It is 0 for a constant game.

    The expected sum is 0.8 standard errors a value; `CAUTION` of them are taken.

    Args:
        values: Shapley values (players,).
        errors: half-widths of their 95 % intervals (players,).
    """
    total = float(np.abs(values).sum())
    return float(CAUTION * errors.sum() / Z95) / total if total > 0 else 0.0


def decayed_shapley(weights: np.ndarray, decay: float) -> np.ndarray:
    """Shapley values (n,) of v(S) = sum over i in S of w_i · decay^(members of S after i).

    The score of EASE, item-kNN and TF-IDF: an item counts less the more items follow it. Player i
    and the m later ones play w_i · 1[i in S] · d^|S and later|; with everybody arriving at a
    uniform time, i gets w_i times the mean of (1 - t (1-d))^m, and the later ones share what is
    left of w_i · d^m equally.

    Args:
        weights: w_i of each item, oldest first, shape (n,).
        decay: factor for each later member, above 0 and at most 1.
    """
    weights = np.asarray(weights, dtype=np.float64)
    n = len(weights)
    later = np.arange(n - 1, -1, -1)
    if decay == 1.0:
        own = np.ones(n)
    else:
        own = (1 - decay ** (later + 1.0)) / ((later + 1) * (1 - decay))
    share = np.where(later > 0, (decay**later - own) / np.maximum(later, 1), 0.0) * weights
    # what every later player gets from each earlier one
    before = np.concatenate(([0.0], np.cumsum(share)[:-1]))
    values: np.ndarray = own * weights + before
    return values


@lru_cache(maxsize=64)
def _weights(n: int) -> np.ndarray:
    """|S|! (n-|S|-1)! / n! for |S| = 0 … n-1."""
    return np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])


def _without(n: int, bits: int) -> np.ndarray:
    masks = np.arange(1 << n)
    others: np.ndarray = masks[masks & bits == 0]
    return others
