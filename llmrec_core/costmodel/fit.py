"""Fitting the coefficients: robust regression of log time, effects shrunk to 0, intervals from whole devices left out.

Run by `python -m llmrec_core estimate --fit REFERENCE`; writes assets/costmodel/effects.csv.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.costmodel import work
from llmrec_core.costmodel.model import FACTORS, FAMILY, POWER, Coefficients, bin_of, levels, overlaps
from llmrec_core.costmodel.query import Query, from_row
from llmrec_core.errors import LlmrecError

CENTRES: dict[str, dict[str, tuple[float, float]]] = {
    # term: (coefficient expected, standard deviation of its logarithm)
    "encoder": {
        "compute": (1.3, 0.4),
        "attention": (3.0, 0.7),
        "scores": (4.0, 0.7),
        "activations": (1.0, 0.5),
        "weights": (1.0, 0.3),
        "launch": (4.0, 0.7),
        "depth": (0.5, 1.0),
        "base": (2.0, 1.0),
    },
    "training": {
        "compute": (1.3, 0.3),
        "attention": (2.0, 0.5),
        "scores": (4.0, 0.7),
        "activations": (1.0, 0.5),
        "optimiser": (1.3, 0.5),
        "dequant": (1.5, 0.7),
        "launch": (8.0, 1.0),
        "comm": (1.0, 0.7),
        "base": (5.0, 1.0),
    },
    "generation": {
        "compute": (1.4, 0.4),
        "attention": (2.0, 0.7),
        "prompt_weights": (1.0, 0.3),
        "launch": (4.0, 1.0),
        "prompt_comm": (1.2, 0.7),
        "base": (5.0, 1.0),
        "weights": (1.15, 0.1),
        "stream": (0.4, 0.7),
        "cache": (1.4, 0.5),
        "products": (1.5, 0.5),
        "step_launch": (5.0, 0.6),
        "step_base": (4.0, 1.0),
        "sampling": (2.0, 1.0),
        "comm": (1.3, 0.7),
        "hops": (1.0, 1.0),
    },
    "memory": {
        "weights": (1.02, 0.02),
        "cache": (1.0, 0.15),
        "activations": (1.0, 0.5),
        "state": (1.0, 0.2),
        "logits": (1.0, 0.5),
        "base": (0.1, 0.7),
    },
}
"""What physics expects of each coefficient before any measurement; an efficiency of 0.75 is a coefficient of 1.3."""

PRIOR_EFFECTS: dict[tuple[str, str, str, str], float] = {
    # Eager PyTorch launches about a dozen kernels per layer from Python, tens of µs each.
    ("generation", "step_launch", "group", "eager"): math.log(18.0),
    ("generation", "launch", "group", "eager"): math.log(10.0),
    ("encoder", "launch", "group", "eager"): math.log(8.0),
    ("encoder", "launch", "group", "graph"): math.log(3.0),
    ("encoder", "launch", "group", "eager-cpu"): math.log(8.0),
    ("generation", "step_launch", "group", "eager-cpu"): math.log(3.0),
    ("generation", "step_launch", "group", "server"): math.log(1.8),
    # torch's allocator reports tensors; other figures are of the process, context and workspaces included.
    ("memory", "base", "runtime", "ft"): math.log(20.0),
    ("memory", "base", "runtime", "hf-trainer"): math.log(10.0),
    ("memory", "base", "runtime", "vllm"): math.log(10.0),
    # A processor reaches a smaller share of its peak, and has no launches to wait for.
    ("encoder", "compute", "kind", "cpu"): math.log(2.0),
    ("encoder", "launch", "kind", "cpu"): math.log(0.3),
    ("training", "compute", "kind", "cpu"): math.log(2.0),
    ("generation", "compute", "kind", "cpu"): math.log(2.0),
    # Nobody published eager PyTorch on a processor: packed scoring timed by us on one AVX2 host says this (docs/COSTMODEL.md).
    ("encoder", "compute", "group", "eager-cpu"): math.log(0.85),
    ("generation", "compute", "group", "eager-cpu"): math.log(0.7),
}

SPREAD = {
    "group": 0.6,
    "runtime": 0.35,
    "arithmetic": 0.35,
    "format": 0.3,
    "kind": 0.5,
    "device": 0.08,
    "method": 0.4,
    "runtime:arithmetic": 0.2,
    "group:format": 0.3,
}
"""Standard deviations of the effects: how far they are let from 0."""
HELD = {("generation", "weights", ""): 0.25, ("generation", "step_launch", "group:format"): 2.5}
"""What multiplies a spread: the share of the bandwidth that memory gives differs little between runtimes; how many
kernels a packed format needs differs much."""
NOISE = 0.10
"""Scatter of a logarithm between repeated measurements of different sources."""
WEIGHT = {"ok": 1.0, "uncertain": 0.35}


@dataclass(frozen=True)
class Example:
    """A measurement ready to fit."""

    query: Query
    found: dict[str, float]
    total: float
    weight: float
    value: float
    row: dict[str, str]

    @property
    def regime(self) -> str:
        return self.query.regime

    @property
    def ok(self) -> bool:
        return self.row["quality"] == "ok"


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table with the calibration file's columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def examples(rows: Iterable[dict[str, str]]) -> list[Example]:
    """Rows that can be fitted on: not suspect, understood, with a value."""
    found = []
    for row in rows:
        if row.get("quality") == "suspect" or not row.get("value"):
            continue
        try:
            query = from_row(row)
            terms = work.terms(query)
        except LlmrecError:
            continue
        value = float(row["value"])
        total = value if query.metric == "energy_j" else work.total_of(query, value)
        found.append(Example(query, terms, total, WEIGHT.get(row.get("quality", "ok"), 0.35), value, row))
    return found


Key = tuple[str, str, str, str]


def fit_family(family: str, data: Sequence[Example], *, devices: bool = True) -> dict[Key, float]:
    """Coefficients of one family by least squares of log totals, soft L1 loss, effects with Gaussian priors."""
    factors, centres = FACTORS[family], CENTRES[family]
    keys: dict[Key, int] = {}
    for term in centres:
        keys.setdefault((family, term, "", ""), len(keys))
    for one in data:
        at = levels(one.query)
        for term in one.found:
            for factor in factors[term]:
                keys.setdefault((family, term, factor, at[factor]), len(keys))
        if devices and "device" in factors["all"]:
            keys.setdefault((family, "all", "device", at["device"]), len(keys))
    for key in PRIOR_EFFECTS:
        if key[0] == family:
            keys.setdefault(key, len(keys))
    size, names = len(keys), list(centres)
    centre, spread = np.zeros(size), np.ones(size)
    for key, position in keys.items():
        if not key[2]:
            expected, wide = centres[key[1]]
            centre[position], spread[position] = math.log(expected), wide
        else:
            centre[position] = PRIOR_EFFECTS.get(key, 0.0)
            spread[position] = SPREAD[key[2]] * HELD.get((family, key[1], key[2]), HELD.get((family, key[1], ""), 1.0))
    n = len(data)
    amounts = np.zeros((n, len(names)))
    design = np.zeros((len(names), n, size), dtype=np.float32)
    whole = np.zeros((n, size))
    for i, one in enumerate(data):
        at = levels(one.query)
        for j, term in enumerate(names):
            amounts[i, j] = one.found.get(term, 0.0)
            design[j, i, keys[family, term, "", ""]] = 1
            for factor in factors[term]:
                place = keys.get((family, term, factor, at[factor]))
                if place is not None:
                    design[j, i, place] = 1
        if devices and "device" in factors["all"]:
            whole[i, keys[family, "all", "device", at["device"]]] = 1
    target = np.log([one.total for one in data]) if n else np.zeros(0)
    weight = np.array([one.weight for one in data]) / NOISE

    bins = np.array([[bin_of(family, term, overlaps(one.query)) for term in names] for one in data])
    theta = _solve(design, amounts, bins, whole, target, weight, centre, spread)
    return {key: float(theta[position]) for key, position in keys.items()}


def _solve(
    design: np.ndarray,  # (terms, rows, coefficients)
    amounts: np.ndarray,  # (rows, terms)
    bins: np.ndarray,  # (rows, terms): see model.bin_of
    whole: np.ndarray,  # (rows, coefficients)
    target: np.ndarray,
    weight: np.ndarray,
    centre: np.ndarray,
    spread: np.ndarray,
    steps: int = 60,
) -> np.ndarray:
    """Levenberg-Marquardt on 2·(√(1 + r²) − 1) plus the priors; the same optimum as scipy's soft_l1."""
    names = range(len(design))

    def state(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        part = np.stack([np.exp(design[j] @ theta) * amounts[:, j] for j in names], axis=1)
        if bins.any():
            each = [np.where(bins == k, part, 0.0).sum(1) for k in range(4)]
            pairs = [np.maximum((each[k] ** POWER + each[k + 1] ** POWER) ** (1 / POWER), 1e-30) for k in (0, 2)]
            slopes = np.stack([(each[k] / pairs[k // 2]) ** (POWER - 1) for k in range(4)], axis=1)
            sums = np.maximum(pairs[0] + pairs[1], 1e-12)
            part = part * np.take_along_axis(slopes, bins, axis=1)
        else:
            sums = np.maximum(part.sum(1), 1e-12)
        r = (np.log(sums) + whole @ theta - target) * weight
        root = np.sqrt(1.0 + r * r)
        prior = (theta - centre) / spread
        return float(2.0 * (root - 1.0).sum() + prior @ prior), part / sums[:, None], r, root

    theta = centre.copy()
    cost, part, r, root = state(theta)
    damping = 1e-2
    for _ in range(steps):
        slope = whole.astype(np.float32)
        for j in names:
            slope += part[:, j, None].astype(np.float32) * design[j]
        scaled = slope * (weight / np.sqrt(root)).astype(np.float32)[:, None]
        normal = (scaled.T @ scaled).astype(float) + np.diag(1.0 / spread**2)
        gradient = slope.T.astype(float) @ (weight * r / root) + (theta - centre) / spread**2
        improved = False
        for _ in range(6):
            move = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -gradient)
            found = state(theta + np.clip(move, -1.0, 1.0))
            if found[0] < cost:
                theta = theta + np.clip(move, -1.0, 1.0)
                gained = cost - found[0]
                cost, part, r, root = found
                damping = max(damping / 5, 1e-6)
                improved = gained > 1e-4 * cost
                break
            damping *= 6
        if not improved:
            break
    return theta


def fit(data: Sequence[Example], families: Iterable[str] = tuple(FACTORS), *, devices: bool = True) -> Coefficients:
    """Coefficients of all families, without intervals."""
    values: dict[Key, float] = {}
    for family in families:
        values |= fit_family(
            family, [one for one in data if FAMILY[one.regime] == family and one.regime != "energy"], devices=devices
        )
    known = Coefficients(values, {})
    ratios = []
    for one in data:
        if one.regime == "energy" and "generation" in families:
            timed = replace(one.query, metric="tokens_s")
            rate = work.value_of(timed, known.total(timed))
            ratios.append(math.log(one.value * rate / ((one.query.device.tdp_w or 300.0) * one.query.n_devices)))
    return replace(known, watts=math.exp(float(np.median(ratios))) if ratios else 0.6)


def left_out(
    data: Sequence[Example], group_of: Callable[[Example], str], families: Iterable[str] = tuple(FACTORS)
) -> list[tuple[Example, str, float]]:
    """(example, its group, log of predicted over measured), each predicted by a fit that saw nothing of its group."""
    from llmrec_core.costmodel.model import _value

    results: list[tuple[Example, str, float]] = []
    for family in families:
        rows = [one for one in data if FAMILY[one.regime] == family]
        for group in sorted({group_of(one) for one in rows}):
            known = fit([one for one in rows if group_of(one) != group], [family])
            for one in rows:
                if group_of(one) == group:
                    results.append((one, group, math.log(_value(one.query, known) / one.value)))
    return results


def mdape(errors: Iterable[float]) -> float:
    """Median absolute percentage error of log ratios predicted over measured."""
    found = [abs(math.expm1(error)) for error in errors]
    return 100.0 * float(np.median(found)) if found else math.nan


def summary(results: Sequence[tuple[Example, str, float]]) -> dict[str, Any]:
    """Median absolute percentage error by regime, rows marked ok, and how many."""
    regimes = sorted({one.regime for one, _, _ in results})
    return {
        regime: (
            mdape(error for one, _, error in results if one.regime == regime and one.ok),
            sum(1 for one, _, _ in results if one.regime == regime and one.ok),
        )
        for regime in regimes
    }
