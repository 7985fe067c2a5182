"""Shapley values from some of the coalitions, with an error bar on each. NumPy and SciPy, float64.

Coalitions are drawn in pairs (S and everybody else), stratified by size, small and large ones
first, as in paired KernelSHAP (Covert & Lee, arXiv:2012.01536). Instead of one weighted least
squares a Gaussian process is conditioned on them, for two reasons seen in the tables of fine-tuned
rankers: a model's score drifts with the *length* of what it reads, and a coalition says something
about its neighbours. Its covariance is

    k(S, T) = rho^|S xor T|  +  (a  +  b · z_S·z_T / n) · r(L_S - L_T),     r(d) = exp(-d² / 2 l²),

L the length of a coalition in units of its players' mean (tokens, or items where nothing else is
known), z = ±1 by player, with a constant and one linear term per player as free mean. Shapley
values are linear in the game, so their posterior mean and variance are closed forms for any n. rho,
a, b, l maximise the restricted likelihood over a grid, the scale follows. Sampled values are met
exactly, so base + values = prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import solve_triangular
from threadpoolctl import ThreadpoolController

from llmrec_core.explain.shapley import (
    Z95,
    present,
    relative_error,
    shapley_from_table,
    sizes_of,
)
from llmrec_core.explain.shapley_of_kernel import Dials, covariance_of, functional

JITTER = 1e-8
CHOSEN_ON = 160
"""Coalitions, the first ones, on which the covariance is chosen; it changes little with more."""
ENUMERATED = 16
"""Up to so many players the coalitions of a size are listed; beyond, they are drawn."""
GRID: tuple[Dials, ...] = tuple(
    (rho, a, b, scale)
    for rho in (0.1, 0.3, 0.55, 0.8, 0.93)
    for a, b, scale in (
        (0.0, 0.0, 1.0),
        *(
            (a, b, scale)
            for a in (1.0, 10.0, 100.0)
            for b in (0.0, 3.0)
            for scale in (1.0, 1.5, 3.0)
        ),
    )
)


@dataclass(frozen=True)
class Estimate:
    """Values of the players, and half-widths of their 95 % intervals: 0 when all were scored."""

    values: np.ndarray
    errors: np.ndarray
    exact: bool

    @property
    def relative_error(self) -> float:
        """As `shapley.relative_error`."""
        return relative_error(self.values, self.errors)


def coalition_order(players: int, seed: int = 0) -> Iterator[int]:
    """All coalitions in the order in which they are worth scoring.

    Nobody and everybody come first, then pairs of complements.

    Every beginning of the order is stratified: size s is drawn in proportion to the Shapley
    kernel's total weight (n-1) / (s (n-s)), so single items and all-but-one come first. For more
    than 16 players it does not end.

    Args:
        players: how many there are.
        seed: of what is drawn.
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
    weights = {
        size: (players - 1) / (size * (players - size)) * (0.5 if 2 * size == players else 1)
        for size in sizes
    }
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
    """Coalitions of one size in random order; of complements of equal size only one."""
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
    masks: np.ndarray,
    values: np.ndarray,
    players: int,
    lengths: Sequence[float] | np.ndarray | None = None,
) -> Estimate:
    """Shapley values from the values of some distinct coalitions, among them nobody and everybody.

    Args:
        masks: int64 bit masks (coalitions,), at least players + 2.
        values: v of each, float64.
        players: how many there are.
        lengths: what each player adds to the length of the prompt, e.g. tokens; all alike when not
            given.
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

    Measured beside two other programs on two cores: 2.6 processor seconds with two threads, 0.05
    with one.
    """
    return ThreadpoolController()


def least_squares(masks: np.ndarray, values: np.ndarray, players: int) -> np.ndarray:
    """Shapley values (n,) by paired stratified weighted least squares, kept for comparison.

    Minimises sum over S of w_S (v(S) - v(0) - sum of phi in S)² under sum phi = v(N) - v(0), where
    w_S shares the Shapley kernel's weight of S's size among the coalitions of that size that were
    scored.

    Args:
        masks: scored coalitions as bit masks, int64, shape (masks,).
        values: of these coalitions, shape (masks,).
        players: how many there are, n.
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
    n, unit_sizes = len(units), tuple(units.tolist())
    few = masks[:CHOSEN_ON]
    fits = (design.fit(values[: len(few)]) for design in _grid(few.tobytes(), unit_sizes))
    fit = max(fits, key=lambda fit: fit.likelihood)
    posterior = _posterior(masks.tobytes(), unit_sizes, fit.design.dials)
    if len(masks) > len(few):
        fit = posterior.design.fit(values)
    values_of = 2.0 * fit.slopes[1:] + posterior.cross.T @ solve_triangular(
        posterior.design.root.T, fit.rest, lower=False, check_finite=False
    )
    sizes = sizes_of(masks)
    whole = float(values[sizes == n][0] - values[sizes == 0][0])
    values_of += (
        whole - values_of.sum()
    ) / n  # what the jitter on the diagonal leaves, about 1e-8 of the values
    errors = Z95 * np.sqrt(np.maximum(posterior.variance, 0.0) * fit.spread)
    return Estimate(values_of, errors, False)


@dataclass(frozen=True)
class _Design:
    """A process with given dials on given coalitions: K = root rootᵀ, before any value is seen.

    The items of one list are explained from the same coalitions, so that all of this is computed
    once for them (23 s of 86 of a run of SASRec went into computing it for each).
    """

    dials: Dials
    root: np.ndarray
    basis: np.ndarray
    gram: np.ndarray
    free: int
    determinant: float
    """Half the logarithm of the determinants of K and of the gram matrix."""

    def fit(self, values: np.ndarray) -> _Fit:
        """The process conditioned on the coalitions' values."""
        target = solve_triangular(self.root, values, lower=True, check_finite=False)
        slopes = np.linalg.solve(self.gram, self.basis.T @ target)
        rest = target - self.basis @ slopes
        spread = float(rest @ rest) / self.free
        likelihood = -0.5 * self.free * math.log(max(spread, 1e-300)) - self.determinant
        return _Fit(likelihood, self, slopes, rest, spread)


@dataclass(frozen=True)
class _Fit:
    """A design conditioned on values: mean = basis slopes."""

    likelihood: float
    design: _Design
    slopes: np.ndarray
    rest: np.ndarray
    spread: float


@dataclass(frozen=True)
class _Posterior:
    """What Shapley values are under a design, whatever the coalitions' values turn out to be."""

    design: _Design
    cross: np.ndarray
    """Covariance with the scored coalitions, (coalitions, n)."""
    variance: np.ndarray
    """Posterior variance of each player's value, (n,), in units of the spread."""


def _design(masks: np.ndarray, units: np.ndarray, dials: Dials) -> _Design:
    _, a, b, _ = dials
    z, long = _coded(masks, units)
    covariance = covariance_of(masks, long, z, dials)
    root = np.linalg.cholesky(covariance + JITTER * (1 + a + b) * np.eye(len(masks)))
    mean = np.concatenate((np.ones((len(masks), 1)), z), axis=1)
    basis = solve_triangular(root, mean, lower=True, check_finite=False)
    gram = basis.T @ basis
    determinant = float(np.log(np.diag(root)).sum() + 0.5 * np.linalg.slogdet(gram)[1])
    return _Design(dials, root, basis, gram, max(len(masks) - mean.shape[1], 1), determinant)


@lru_cache(maxsize=2)
def _grid(masks: bytes, units: tuple[float, ...]) -> tuple[_Design, ...]:
    """A design for each point of the grid; up to 26 MB of 160 coalitions of 50 players."""
    coalitions = np.frombuffer(masks, dtype=np.int64)
    return tuple(_design(coalitions, np.array(units), dials) for dials in GRID)


@lru_cache(maxsize=1)
def _posterior(masks: bytes, units: tuple[float, ...], dials: Dials) -> _Posterior:
    coalitions, n = np.frombuffer(masks, dtype=np.int64), len(units)
    design = _design(coalitions, np.array(units), dials)
    z, long = _coded(coalitions, np.array(units))
    cross, prior = functional(units, long, z, dials)
    seen = solve_triangular(design.root, cross, lower=True, check_finite=False)
    unseen = np.concatenate((np.zeros((n, 1)), 2.0 * np.eye(n)), axis=1) - seen.T @ design.basis
    explained = np.einsum("ij,ij->i", unseen, np.linalg.solve(design.gram, unseen.T).T)
    return _Posterior(design, cross, prior - (seen**2).sum(0) + explained)


def _coded(masks: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each player is there, ±1 of shape (coalitions, n), and the coalitions' lengths."""
    there = present(masks, len(units))
    return 2.0 * there - 1.0, there @ units
