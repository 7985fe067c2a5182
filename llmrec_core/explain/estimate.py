"""Shapley values from some of the coalitions, with an error bar on each. NumPy and SciPy, float64.

Coalitions are drawn in pairs (S and everybody else), stratified by size, small and large ones first, as in paired
KernelSHAP (Covert & Lee, arXiv:2012.01536). Instead of one weighted least squares a Gaussian process is conditioned on
them, for two reasons seen in the tables of fine-tuned rankers: a model's score drifts with the *length* of what it
reads, and a coalition says something about its neighbours. Its covariance is

    k(S, T) = rho^|S xor T|  +  (a  +  b · z_S·z_T / n) · r(L_S - L_T),     r(d) = exp(-d² / 2 l²),

L the length of a coalition in units of its players' mean (tokens, or items where nothing else is known), z = ±1 by
player, with a constant and one linear term per player as free mean. Shapley values are linear in the game, so
their posterior mean and variance are closed forms for any n. rho, a, b, l maximise the restricted likelihood over a
grid, the scale follows. Sampled values are met exactly, so base + values = prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import solve_triangular
from threadpoolctl import ThreadpoolController

from llmrec_core.explain.shapley import present, shapley_from_table, sizes_of

JITTER = 1e-8
NEGLIGIBLE = 8.5
"""Standard deviations beyond which a Gaussian is below the rounding of float64."""
Z95 = 1.96
CAUTION = 1.25
CHOSEN_ON = 160
"""Coalitions, the first ones, on which the covariance is chosen; it changes little with more."""
ENUMERATED = 16
"""Up to so many players the coalitions of a size are listed; beyond, they are drawn."""
Dials = tuple[float, float, float, float]
"""rho, a, b, l."""
GRID: tuple[Dials, ...] = tuple(
    (rho, a, b, scale)
    for rho in (0.1, 0.3, 0.55, 0.8, 0.93)
    for a, b, scale in (
        (0.0, 0.0, 1.0),
        *((a, b, scale) for a in (1.0, 10.0, 100.0) for b in (0.0, 3.0) for scale in (1.0, 1.5, 3.0)),
    )
)


@dataclass(frozen=True)
class Estimate:
    """Values of the players and half-widths of their 95 % intervals, 0 when every coalition was scored."""

    values: np.ndarray
    errors: np.ndarray
    exact: bool

    @property
    def relative_error(self) -> float:
        """Upper estimate of the summed absolute error over the sum of absolute values; 0 for a constant game.

        The expected sum is 0.8 standard errors a value; 1.25 of them are taken, which about nine cases in ten stay below.
        """
        total = float(np.abs(self.values).sum())
        return float(CAUTION * self.errors.sum() / Z95) / total if total > 0 else 0.0


def coalition_order(players: int, seed: int = 0) -> Iterator[int]:
    """All coalitions in the order in which they are worth scoring: nobody, everybody, then pairs of complements.

    Every beginning of the order is stratified: size s is drawn in proportion to the Shapley kernel's total weight
    (n-1) / (s (n-s)), so single items and all-but-one come first. For more than 16 players it does not end.
    """
    everybody = (1 << players) - 1
    yield 0
    if players == 0:
        return
    yield everybody
    if players == 1:
        return
    rng = np.random.default_rng(seed)
    sizes = range(1, players // 2 + 1)
    strata = {size: _pairs(players, size, rng) for size in sizes}
    weights = {size: (players - 1) / (size * (players - size)) * (0.5 if 2 * size == players else 1) for size in sizes}
    taken = dict.fromkeys(sizes, 0)
    for mask in strata.pop(1) if players > 2 else ():
        yield mask
        yield everybody ^ mask
    while strata:
        size = max(strata, key=lambda size: weights[size] / (taken[size] + 1))
        drawn = next(strata[size], None)
        if drawn is None:
            del strata[size]
            continue
        taken[size] += 1
        yield drawn
        yield everybody ^ drawn


def _pairs(players: int, size: int, rng: np.random.Generator) -> Iterator[int]:
    """Coalitions of one size, of complements of equal size only one, in random order without repetition."""
    half = 2 * size == players
    if players <= ENUMERATED:
        masks = np.arange(1 << players)
        masks = masks[(sizes_of(masks) == size) & ((masks & 1 == 1) | (not half))]
        yield from (int(mask) for mask in rng.permutation(masks))
        return
    seen: set[int] = set()
    total = math.comb(players, size) // (2 if half else 1)
    while len(seen) < total:
        mask = sum(1 << int(player) for player in rng.permutation(players)[:size])
        if half and not mask & 1:
            mask ^= (1 << players) - 1
        if mask not in seen:
            seen.add(mask)
            yield mask


def estimate(
    masks: np.ndarray, values: np.ndarray, players: int, lengths: Sequence[float] | np.ndarray | None = None
) -> Estimate:
    """Shapley values from the values of some distinct coalitions, among them nobody and everybody.

    Args:
        masks: int64 bit masks (coalitions,), at least players + 2.
        values: v of each, float64.
        lengths: what each player adds to the length of the prompt, e.g. tokens; all alike when not given.
    """
    masks, values = np.asarray(masks, dtype=np.int64), np.asarray(values, dtype=np.float64)
    if len(masks) == 1 << players:
        return Estimate(shapley_from_table(values[np.argsort(masks)]), np.zeros(players), True)
    scale = float(np.ptp(values))
    if scale == 0.0:
        return Estimate(np.zeros(players), np.zeros(players), False)
    units = np.ones(players) if lengths is None else np.asarray(lengths, dtype=np.float64)
    units = units / units.mean() if units.sum() > 0 else np.ones(players)
    with _blas().limit(limits=1, user_api="blas"):
        return _condition(masks, values, units)


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    """Switch of the BLAS threads: on matrices this small two threads mostly wait for each other.

    Measured beside two other programs on two cores: 2.6 processor seconds with two threads, 0.05 with one.
    """
    return ThreadpoolController()


def least_squares(masks: np.ndarray, values: np.ndarray, players: int) -> np.ndarray:
    """Shapley values (n,) by paired stratified weighted least squares: the plain way, kept for comparison.

    Minimises sum over S of w_S (v(S) - v(0) - sum of phi in S)² under sum phi = v(N) - v(0), where w_S shares the Shapley
    kernel's weight of S's size among the coalitions of that size that were scored.
    """
    sizes = sizes_of(masks)
    base, full = float(values[sizes == 0][0]), float(values[sizes == players][0])
    inner = (sizes > 0) & (sizes < players)
    x, y, s = present(masks[inner], players).astype(np.float64), values[inner] - base, sizes[inner]
    weights = (players - 1) / (s * (players - s)) / np.bincount(s, minlength=players)[s]
    a, b = x[:, :-1] - x[:, -1:], y - x[:, -1] * (full - base)
    phi = np.linalg.lstsq(a * np.sqrt(weights)[:, None], b * np.sqrt(weights), rcond=None)[0]
    return np.append(phi, full - base - phi.sum())


# ── the Gaussian process ─────────────────────────────────────────────────────────────────────────


def _condition(masks: np.ndarray, values: np.ndarray, units: np.ndarray) -> Estimate:
    n = len(units)
    there = present(masks, n)
    z, long = 2.0 * there - 1.0, there @ units
    few = slice(CHOSEN_ON)
    if len(masks) > CHOSEN_ON:
        chosen = max(GRID, key=lambda dials: _fit(masks[few], long[few], z[few], values[few], dials).likelihood)
        fitted = _fit(masks, long, z, values, chosen)
    else:
        fitted = max((_fit(masks, long, z, values, dials) for dials in GRID), key=lambda found: found.likelihood)
    root, basis, gram, slopes, rest, spread = (
        fitted.root, fitted.basis, fitted.gram, fitted.slopes, fitted.rest, fitted.spread,
    )  # fmt: skip
    cross, prior = _functional(tuple(units.tolist()), long, z, fitted.dials)
    values_of = 2.0 * slopes[1:] + cross.T @ solve_triangular(root.T, rest, lower=False, check_finite=False)
    sizes = sizes_of(masks)
    whole = float(values[sizes == n][0] - values[sizes == 0][0])
    values_of += (whole - values_of.sum()) / n  # what the jitter on the diagonal leaves, about 1e-8 of the values
    seen = solve_triangular(root, cross, lower=True, check_finite=False)
    unseen = np.concatenate((np.zeros((n, 1)), 2.0 * np.eye(n)), axis=1) - seen.T @ basis
    variance = prior - (seen**2).sum(0) + np.einsum("ij,ij->i", unseen, np.linalg.solve(gram, unseen.T).T)
    return Estimate(values_of, Z95 * np.sqrt(np.maximum(variance, 0.0) * spread), False)


@dataclass(frozen=True)
class _Fit:
    """A process with given dials, conditioned: K = root rootᵀ, mean = basis slopes."""

    likelihood: float
    dials: Dials
    root: np.ndarray
    basis: np.ndarray
    gram: np.ndarray
    slopes: np.ndarray
    rest: np.ndarray
    spread: float


def _fit(masks: np.ndarray, long: np.ndarray, z: np.ndarray, values: np.ndarray, dials: Dials) -> _Fit:
    _, a, b, _ = dials
    covariance = _covariance(masks, long, z, dials)
    root = np.linalg.cholesky(covariance + JITTER * (1 + a + b) * np.eye(len(values)))
    mean = np.concatenate((np.ones((len(masks), 1)), z), axis=1)
    free = max(len(values) - mean.shape[1], 1)
    solved = solve_triangular(root, np.concatenate((mean, values[:, None]), axis=1), lower=True, check_finite=False)
    basis, target = solved[:, :-1], solved[:, -1]
    gram = basis.T @ basis
    slopes = np.linalg.solve(gram, basis.T @ target)
    rest = target - basis @ slopes
    spread = float(rest @ rest) / free
    likelihood = (
        -0.5 * free * math.log(max(spread, 1e-300)) - np.log(np.diag(root)).sum() - 0.5 * np.linalg.slogdet(gram)[1]
    )
    return _Fit(float(likelihood), dials, root, basis, gram, slopes, rest, spread)


def _covariance(masks: np.ndarray, long: np.ndarray, z: np.ndarray, dials: Dials) -> np.ndarray:
    """k between coalitions given as bit masks, lengths and ±1 by player."""
    rho, a, b, scale = dials
    found = rho ** sizes_of(masks[:, None] ^ masks[None])
    if a or b:
        found = found + np.exp(-0.5 * ((long[:, None] - long[None]) / scale) ** 2) * (a + b * (z @ z.T) / z.shape[1])
    return found


def _functional(
    units: tuple[float, ...], long: np.ndarray, z: np.ndarray, dials: Dials
) -> tuple[np.ndarray, np.ndarray]:
    """phi applied to k(·, T) for every scored T (coalitions, n), and the prior variance of each phi (n,)."""
    rho, a, b, scale = dials
    n = len(units)
    cross = _hamming_cross(n, rho)[(z > 0).sum(1)]  # (coalitions, 2): for players inside T, outside T
    result = np.where(z > 0, cross[:, :1], cross[:, 1:])
    prior = np.full(n, _hamming_prior(n, rho))
    if a or b:
        weights, frequencies, drift, lean = _waves(units, scale)
        turned = weights * np.exp(-1j * np.outer(long, frequencies))  # (coalitions, waves)
        result = result + a * (turned @ drift).real
        result = result + b / n * np.einsum("mw,wij,mj->mi", turned, lean, z, optimize=True).real
        prior = prior + a * weights @ (np.abs(drift) ** 2) + b / n * weights @ (np.abs(lean) ** 2).sum(2)
    return result, prior


@lru_cache(maxsize=64)
def _waves(units: tuple[float, ...], scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """r(d) as a sum of weights · cos(frequency · d), and what phi makes of the waves.

    Returns:
        weights, frequencies (W,); phi of e^(i w L_S) as (W, n); phi_i of z_j(S) e^(i w L_S) as (W, n, n).
    """
    sizes, n = np.array(units), len(units)
    # trapezoids up to where r's spectrum, and then r itself at the first repetition, are below rounding
    step, most = 2 * math.pi / (sizes.sum() + NEGLIGIBLE * scale), NEGLIGIBLE / scale
    frequencies = np.arange(math.ceil(most / step) + 1) * step
    weights = np.exp(-0.5 * (frequencies * scale) ** 2) * step * scale * math.sqrt(2 / math.pi)
    weights[0] /= 2
    t, w = (one[None, :, None] for one in _nodes(n))
    turn = np.exp(1j * np.outer(frequencies, sizes))[:, None]  # (W, 1, n)
    joins, leans = 1 - t + t * turn, t * turn - (1 - t)  # (W, nodes, n): a player's share of a random coalition's wave
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
    return before * after


@lru_cache(maxsize=64)
def _nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on [0, 1], exact for polynomials up to degree 2n + 1."""
    x, w = np.polynomial.legendre.leggauss(n + 1)
    return (x + 1) / 2, w / 2


@lru_cache(maxsize=256)
def _hamming_cross(n: int, rho: float) -> np.ndarray:
    """phi of S → rho^|S xor T| for |T| = 0 … n: for a player inside T and for one outside.

    With everybody present with probability t, phi_i is the mean over t of i's effect (Owen's integral); the others
    contribute t + rho (1-t) inside T and rho t + 1 - t outside.
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
