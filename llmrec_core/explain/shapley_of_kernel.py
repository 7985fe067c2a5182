"""The covariance that `estimate` conditions on, and its Shapley values in closed form.

Shapley values are linear in the game, so those of a Gaussian process are Gaussian: what is needed
is phi of k(·, T) for each scored coalition T, and phi applied to both sides of k. Both are
integrals over the probability t with which everybody is present (Owen, Management Science 1972),
which Gauss-Legendre nodes give exactly. See `estimate` for k and its letters.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from llmrec_core.explain.shapley import sizes_of

NEGLIGIBLE = 8.5
"""Standard deviations beyond which a Gaussian is below the rounding of float64."""
Dials = tuple[float, float, float, float]
"""rho, a, b, l."""


def covariance_of(masks: np.ndarray, long: np.ndarray, z: np.ndarray, dials: Dials) -> np.ndarray:
    """K between coalitions given as bit masks, lengths and ±1 by player."""
    rho, a, b, scale = dials
    covariance = rho ** sizes_of(masks[:, None] ^ masks[None])
    if a or b:
        covariance = covariance + np.exp(-0.5 * ((long[:, None] - long[None]) / scale) ** 2) * (
            a + b * (z @ z.T) / z.shape[1]
        )
    return covariance


def functional(
    units: tuple[float, ...], long: np.ndarray, z: np.ndarray, dials: Dials
) -> tuple[np.ndarray, np.ndarray]:
    """Phi of k(·, T) for every scored T (coalitions, n), and the prior variance of each (n,)."""
    rho, a, b, scale = dials
    n = len(units)
    cross = _hamming_cross(n, rho)[
        (z > 0).sum(1)
    ]  # (coalitions, 2): for players inside T, outside T
    result = np.where(z > 0, cross[:, :1], cross[:, 1:])
    prior = np.full(n, _hamming_prior(n, rho))
    if a or b:
        weights, frequencies, drift, lean = _waves(units, scale)
        turned = weights * np.exp(-1j * np.outer(long, frequencies))  # (coalitions, waves)
        result = result + a * (turned @ drift).real
        result = result + b / n * np.einsum("mw,wij,mj->mi", turned, lean, z, optimize=True).real
        prior = (
            prior
            + a * weights @ (np.abs(drift) ** 2)
            + b / n * weights @ (np.abs(lean) ** 2).sum(2)
        )
    return result, prior


@lru_cache(maxsize=64)
def _waves(
    units: tuple[float, ...], scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """r(d) as a sum of weights · cos(frequency · d), and what phi makes of the waves.

    Returns:
        weights, frequencies (W,); phi of e^(i w L_S) as (W, n); phi_i of z_j(S) e^(i w L_S) as (W,
        n, n).
    """
    sizes, n = np.array(units), len(units)
    # trapezoids up to where r's spectrum, and r itself at the first repetition, are below rounding
    step, most = 2 * math.pi / (sizes.sum() + NEGLIGIBLE * scale), NEGLIGIBLE / scale
    frequencies = np.arange(math.ceil(most / step) + 1) * step
    weights = np.exp(-0.5 * (frequencies * scale) ** 2) * step * scale * math.sqrt(2 / math.pi)
    weights[0] /= 2
    t, w = (nodes[None, :, None] for nodes in _nodes(n))
    turn = np.exp(1j * np.outer(frequencies, sizes))[:, None]  # (W, 1, n)
    joins, leans = (
        1 - t + t * turn,
        t * turn - (1 - t),
    )  # (W, nodes, n): a player's share of a random coalition's wave
    others = w * _others(joins)
    lean = np.empty((len(frequencies), n, n), dtype=complex)
    for j in range(n):
        rest = joins.copy()
        rest[..., j] = leans[..., j]
        lean[:, :, j] = (w * (turn - 1) * _others(rest)).sum(1)
    own = np.arange(n)
    lean[:, own, own] = ((turn + 1) * others).sum(1)
    return weights, frequencies, ((turn - 1) * others).sum(1), lean


def _others(factors: np.ndarray) -> np.ndarray:
    """Product over the last axis of all but each place's own factor."""
    before, after = np.ones_like(factors), np.ones_like(factors)
    before[..., 1:] = np.cumprod(factors[..., :-1], axis=-1)
    after[..., :-1] = np.cumprod(factors[..., :0:-1], axis=-1)[..., ::-1]
    product: np.ndarray = before * after
    return product


@lru_cache(maxsize=64)
def _nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on [0, 1], exact for polynomials up to degree 2n + 1."""
    x, w = np.polynomial.legendre.leggauss(n + 1)
    return (x + 1) / 2, w / 2


@lru_cache(maxsize=256)
def _hamming_cross(n: int, rho: float) -> np.ndarray:
    """Phi of S → rho^|S xor T| for |T| = 0 … n: for a player inside T and for one outside.

    With everybody present with probability t, phi_i is the mean over t of i's effect (Owen's
    integral); the others contribute t + rho (1-t) inside T and rho t + 1 - t outside.
    """
    t, w = _nodes(n)
    inside, outside = t + rho * (1 - t), rho * t + 1 - t
    rows = np.zeros((n + 1, 2))
    for size in range(n + 1):
        if size > 0:
            rows[size, 0] = (1 - rho) * (w * inside ** (size - 1) * outside ** (n - size)).sum()
        if size < n:
            rows[size, 1] = -(1 - rho) * (w * inside**size * outside ** (n - size - 1)).sum()
    return rows


@lru_cache(maxsize=256)
def _hamming_prior(n: int, rho: float) -> float:
    """phi_i applied to both sides of rho^|S xor T|."""
    t, w = _nodes(n)
    differ = t[:, None] + t[None] - 2 * t[:, None] * t[None]
    return float(2 * (1 - rho) * (w[:, None] * w[None] * (1 - (1 - rho) * differ) ** (n - 1)).sum())
