"""Fitting the coefficients: robust regression of log time, with effects shrunk to 0.

Run by `python -m llmrec_core estimate --fit REFERENCE`, which writes assets/costmodel/effects.csv.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmrec_core.costmodel.calibrate.examples import Example
from llmrec_core.costmodel.calibrate.priors import CENTRES, PRIOR_EFFECTS, spread_of
from llmrec_core.costmodel.predict import work
from llmrec_core.costmodel.predict.predictor import (
    FACTORS,
    FAMILY,
    POWER,
    TYPICAL_W,
    Coefficients,
    bin_of,
    levels,
    overlaps,
    value_of,
)

NOISE = 0.10
"""Scatter of a logarithm between repeated measurements of different sources."""
STEPS = 60
"""Steps of the optimiser at most; it converges in about a dozen."""

Key = tuple[str, str, str, str]
"""Family, term, factor and level of a coefficient; the factor of a term's own is empty."""
LeftOut = list[tuple[Example, str, float]]
"""(example, its group, logarithm of predicted over measured)."""


@dataclass(frozen=True)
class Problem:
    """A family's least squares; n rows, k terms, m coefficients."""

    design: np.ndarray  # (k, n, m): which coefficients a term of a row has
    amounts: np.ndarray  # (n, k): ideal times
    bins: np.ndarray  # (n, k): see predictor.bin_of
    whole: np.ndarray  # (n, m): effects of the total
    target: np.ndarray  # (n,): logarithms of the measured totals
    weight: np.ndarray  # (n,)
    centre: np.ndarray  # (m,): means of the priors
    spread: np.ndarray  # (m,): their standard deviations


def fit_family(
    family: str, measured: Sequence[Example], *, devices: bool = True
) -> dict[Key, float]:
    """Coefficients of one family by least squares of log totals, with a soft L1 loss.

    Args:
        family: regimes that share coefficients.
        measured: the examples of these regimes.
        devices: whether devices have effects of their own.
    """
    devices = devices and "device" in FACTORS[family]["all"]
    keys = _keys(family, measured, devices)
    theta = _solve(_problem(family, measured, keys, devices))
    return {key: float(theta[position]) for key, position in keys.items()}


def _keys(family: str, measured: Sequence[Example], devices: bool) -> dict[Key, int]:
    """Every coefficient that is fitted, with its position."""
    factors = FACTORS[family]
    keys: dict[Key, int] = {}

    def add(key: Key) -> None:
        keys.setdefault(key, len(keys))

    for term in CENTRES[family]:
        add((family, term, "", ""))
    for example in measured:
        at = levels(example.query)
        for term in example.ideal:
            for factor in factors[term]:
                if at[factor]:
                    add((family, term, factor, at[factor]))
        if devices:
            add((family, "all", "device", at["device"]))
    for key in PRIOR_EFFECTS:
        if key[0] == family:
            add(key)
    return keys


def _priors(family: str, keys: dict[Key, int]) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the coefficients' logarithms before any measurement."""
    centre, spread = np.zeros(len(keys)), np.ones(len(keys))
    for key, position in keys.items():
        _, term, factor, _ = key
        if factor:
            centre[position] = PRIOR_EFFECTS.get(key, 0.0)
            spread[position] = spread_of(family, term, factor)
        else:
            expected, spread[position] = CENTRES[family][term]
            centre[position] = math.log(expected)
    return centre, spread


def _problem(
    family: str, measured: Sequence[Example], keys: dict[Key, int], devices: bool
) -> Problem:
    factors, names = FACTORS[family], list(CENTRES[family])
    rows, size = len(measured), len(keys)
    amounts = np.zeros((rows, len(names)))
    design = np.zeros((len(names), rows, size), dtype=np.float32)
    whole = np.zeros((rows, size))
    for i, example in enumerate(measured):
        at = levels(example.query)
        for j, term in enumerate(names):
            amounts[i, j] = example.ideal.get(term, 0.0)
            design[j, i, keys[family, term, "", ""]] = 1
            for factor in factors[term]:
                place = keys.get((family, term, factor, at[factor]))
                if place is not None:
                    design[j, i, place] = 1
        if devices:
            whole[i, keys[family, "all", "device", at["device"]]] = 1
    bins = np.array(
        [[bin_of(family, term, overlaps(example.query)) for term in names] for example in measured]
    )
    target = np.log([example.total for example in measured]) if rows else np.zeros(0)
    weight = np.array([example.weight for example in measured]) / NOISE
    return Problem(design, amounts, bins, whole, target, weight, *_priors(family, keys))


@dataclass(frozen=True)
class _State:
    """The loss at a point, and what its slope is made of."""

    cost: float
    part: np.ndarray  # (n, k): share of each term in its total
    residual: np.ndarray  # (n,)
    root: np.ndarray  # (n,)


def _state(problem: Problem, theta: np.ndarray) -> _State:
    terms = range(len(problem.design))
    part = np.stack(
        [np.exp(problem.design[j] @ theta) * problem.amounts[:, j] for j in terms], axis=1
    )
    if problem.bins.any():
        part, sums = _overlapped(part, problem.bins)
    else:
        sums = np.maximum(part.sum(1), 1e-12)
    residual = (np.log(sums) + problem.whole @ theta - problem.target) * problem.weight
    root = np.sqrt(1.0 + residual * residual)
    prior = (theta - problem.centre) / problem.spread
    cost = float(2.0 * (root - 1.0).sum() + prior @ prior)
    return _State(cost, part / sums[:, None], residual, root)


def _overlapped(part: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Terms and totals where host and device times meet in a soft maximum."""
    each = [np.where(bins == k, part, 0.0).sum(1) for k in range(4)]
    pairs = [
        np.maximum((each[k] ** POWER + each[k + 1] ** POWER) ** (1 / POWER), 1e-30) for k in (0, 2)
    ]
    slopes = np.stack([(each[k] / pairs[k // 2]) ** (POWER - 1) for k in range(4)], axis=1)
    sums = np.maximum(pairs[0] + pairs[1], 1e-12)
    return part * np.take_along_axis(slopes, bins, axis=1), sums


def _solve(problem: Problem) -> np.ndarray:
    """Levenberg-Marquardt on 2·(√(1 + r²) − 1) plus the priors; SciPy's soft_l1 has this optimum.

    Our own, as the slope of a soft maximum of sums of exponentials is cheap in closed form and
    leaving out every group in turn solves some hundred of these problems.
    """
    theta = problem.centre.copy()
    state = _state(problem, theta)
    damping = 1e-2
    for _ in range(STEPS):
        gradient, normal = _slopes(problem, state, theta)
        improved = False
        for _ in range(6):
            move = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -gradient)
            moved = theta + np.clip(move, -1.0, 1.0)
            tried = _state(problem, moved)
            if tried.cost < state.cost:
                gained = state.cost - tried.cost
                theta, state = moved, tried
                damping = max(damping / 5, 1e-6)
                improved = gained > 1e-4 * state.cost
                break
            damping *= 6
        if not improved:
            break
    return theta


def _slopes(problem: Problem, state: _State, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Gauss-Newton matrix of the loss."""
    slope = problem.whole.astype(np.float32)
    for j in range(len(problem.design)):
        slope += state.part[:, j, None].astype(np.float32) * problem.design[j]
    scaled = slope * (problem.weight / np.sqrt(state.root)).astype(np.float32)[:, None]
    normal = (scaled.T @ scaled).astype(float) + np.diag(1.0 / problem.spread**2)
    pull = slope.T.astype(float) @ (problem.weight * state.residual / state.root)
    return pull + (theta - problem.centre) / problem.spread**2, normal


def fit(
    measured: Sequence[Example],
    families: Iterable[str] = tuple(FACTORS),
    *,
    devices: bool = True,
) -> Coefficients:
    """Coefficients of several families, without intervals.

    Args:
        measured: the examples.
        families: which to fit.
        devices: whether devices have effects of their own.
    """
    families = list(families)
    values: dict[Key, float] = {}
    for family in families:
        of_family = [
            example
            for example in measured
            if FAMILY[example.regime] == family and example.regime != "energy"
        ]
        values |= fit_family(family, of_family, devices=devices)
    coefficients = Coefficients(values, {})
    if "generation" not in families:
        return replace(coefficients, watts=0.6)
    ratios = [
        _power_share(example, coefficients) for example in measured if example.regime == "energy"
    ]
    return replace(coefficients, watts=math.exp(float(np.median(ratios))) if ratios else 0.6)


def _power_share(example: Example, coefficients: Coefficients) -> float:
    """Logarithm of the power of a measured energy over the rated power."""
    timed = replace(example.query, metric="tokens_s")
    rate = work.value_of(timed, coefficients.total(timed))
    rated_w = (example.query.device.tdp_w or TYPICAL_W) * example.query.n_devices
    return math.log(example.value * rate / rated_w)


def left_out(
    measured: Sequence[Example],
    group_of: Callable[[Example], str],
    families: Iterable[str] = tuple(FACTORS),
) -> LeftOut:
    """Every example predicted by a fit that saw nothing of its group.

    Args:
        measured: the examples.
        group_of: the group of an example.
        families: which to fit.
    """
    results: LeftOut = []
    for family in families:
        rows = [example for example in measured if FAMILY[example.regime] == family]
        for group in sorted({group_of(example) for example in rows}):
            coefficients = fit(
                [example for example in rows if group_of(example) != group], [family]
            )
            results.extend(
                (example, group, math.log(value_of(example.query, coefficients) / example.value))
                for example in rows
                if group_of(example) == group
            )
    return results


def mdape(errors: Iterable[float]) -> float:
    """Median absolute percentage error of logarithms of predicted over measured.

    Args:
        errors: log(predicted / measured) of each row.
    """
    absolute = [abs(math.expm1(error)) for error in errors]
    return 100.0 * float(np.median(absolute)) if absolute else math.nan


def summary(results: LeftOut) -> dict[str, tuple[float, int]]:
    """Median absolute percentage error by regime over rows marked ok, and how many there are.

    Args:
        results: each row with its group and the log of predicted over measured.
    """
    by_regime: dict[str, list[float]] = {example.regime: [] for example, _, _ in results}
    for example, _, error in results:
        if example.ok:
            by_regime[example.regime].append(error)
    return {regime: (mdape(errors), len(errors)) for regime, errors in sorted(by_regime.items())}
