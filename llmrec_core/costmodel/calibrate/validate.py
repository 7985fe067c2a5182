"""How good the predictions are: whole devices, models and runtimes left out; and the intervals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from llmrec_core.costmodel.calibrate import fit
from llmrec_core.costmodel.calibrate.examples import Example, examples, read_folder
from llmrec_core.costmodel.calibrate.fit import LeftOut
from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.costmodel.predict.predictor import FAMILY, Coefficients
from llmrec_core.files import write_csv

GROUPS: dict[str, Callable[[Example], str]] = {
    "gpu": lambda example: example.row["gpu"],
    "chip": lambda example: example.query.device.family,
    "model": lambda example: example.query.model.name,
    "framework": lambda example: example.query.runtime.name,
    "version": lambda example: example.row["framework"],
}
"""What is left out as a whole.

`gpu` is the name in the file; `chip` leaves all variants of a chip out together, which is harder
and fairer. `version` is a framework as its source names it, mostly with its version.
"""
ENOUGH, GROUPS_ENOUGH = 8, 2
"""Errors and groups from which on a regime sets its own width; below, all regimes do."""


def quantile(errors: Sequence[float], level: float = 0.8) -> float:
    """The split-conformal quantile of absolute errors: the ⌈(n + 1)·level⌉-th smallest.

    Args:
        errors: logarithms of predicted over measured.
        level: share that an interval shall hold.
    """
    ordered = sorted(abs(error) for error in errors)
    return ordered[min(len(ordered), math.ceil((len(ordered) + 1) * level)) - 1]


def few_groups(sizes: Sequence[int], level: float = 0.8) -> float:
    """What widens a quantile of errors that come from few groups, some much larger than others.

    Errors of one group are alike, so what an unseen group will do rests on groups, not on rows:
    Student's quantile over the normal one, with (Σ√n)² / Σn degrees of freedom. That is Kish's
    effective number (Survey Sampling, 1965, 11.7) with weights √n, between the number of groups
    and that of groups weighted by all their rows; no mean is estimated, so none is taken off.

    Args:
        sizes: errors of each group.
        level: share that an interval shall hold.
    """
    effective = sum(map(math.sqrt, sizes)) ** 2 / sum(sizes)
    tail = 0.5 + level / 2
    return float(stdtrit(effective, tail) / ndtri(tail))


def half_width(groups: Iterable[Sequence[float]], level: float = 0.8) -> float:
    """Half the interval of a logarithm for a group that is none of these.

    Args:
        groups: the errors of each group.
        level: share that an interval shall hold.
    """
    filled = [errors for errors in groups if errors]
    if not filled:
        return math.log(2.0)
    pooled = [error for errors in filled for error in errors]
    return quantile(pooled, level) * few_groups([len(errors) for errors in filled], level)


def widths(results: LeftOut) -> dict[str, tuple[float, float]]:
    """Half-widths of log predictions by regime; `other` pools all regimes.

    Args:
        results: of rows whose group was left out of the fit.
    """
    by_regime: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for example, group, error in results:
        by_regime[example.regime][group].append(error)
        by_regime["other"][group].append(error)
    halves = {regime: half_width(groups.values()) for regime, groups in by_regime.items()}
    return {regime: (-half, half) for regime, half in halves.items()}


def coverage(results: LeftOut) -> dict[str, float]:
    """Share of rows marked ok inside their 80 % interval, whose width saw only other groups.

    By regime, and `overall`.

    Args:
        results: of rows whose group was left out of the fit.
    """
    inside: dict[str, list[bool]] = defaultdict(list)
    by: dict[tuple[str, str], list[float]] = defaultdict(list)
    for example, group, error in results:
        by[example.regime, group].append(error)
    for regime, group in by:
        width = half_width(others(by, regime, group).values())
        for example, its, error in results:
            if example.regime == regime and its == group and example.ok:
                inside[regime].append(abs(error) <= width)
                inside["overall"].append(abs(error) <= width)
    return {regime: float(np.mean(held)) for regime, held in inside.items()}


def others(
    by: Mapping[tuple[str, str], Sequence[float]], regime: str, group: str
) -> dict[str, list[float]]:
    """Errors of a regime's other groups; of all regimes where these are too few.

    Args:
        by: regime and group → errors.
        regime: of the interval.
        group: whose errors are not looked at.
    """
    of_regime: dict[str, list[float]] = defaultdict(list)
    of_all: dict[str, list[float]] = defaultdict(list)
    for (its_regime, its_group), errors in by.items():
        if its_group != group:
            of_all[its_group].extend(errors)
            if its_regime == regime:
                of_regime[its_group].extend(errors)
    few = len(of_regime) < GROUPS_ENOUGH or sum(map(len, of_regime.values())) < ENOUGH
    return dict(of_all if few else of_regime)


def roofline(measured: Sequence[Example], group_of: Callable[[Example], str]) -> LeftOut:
    """The naive peer: FLOPs over peak or bytes over bandwidth, one efficiency for each regime.

    Args:
        measured: the examples.
        group_of: the group of an example; its own is left out.
    """
    results: LeftOut = []
    ideal = {id(example): math.log(max(_ideal(example), 1e-12)) for example in measured}
    for regime in sorted({example.regime for example in measured}):
        rows = [example for example in measured if example.regime == regime]
        for group in sorted({group_of(example) for example in rows}):
            rest = [
                math.log(example.total) - ideal[id(example)]
                for example in rows
                if group_of(example) != group
            ]
            scale = float(np.median(rest)) if rest else math.log(2.0)
            results.extend(
                (
                    example,
                    group,
                    (ideal[id(example)] + scale - math.log(example.total)) * _sign(example),
                )
                for example in rows
                if group_of(example) == group
            )
    return results


def _sign(example: Example) -> float:
    """Minus for rates, whose logarithm falls where the time rises."""
    return 1.0 if example.query.metric in ("latency_ms", "memory_gb", "energy_j") else -1.0


def _ideal(example: Example) -> float:
    """What the naive peer takes for the total of an example's terms."""
    ideal = example.ideal
    if example.regime == "memory":
        return ideal["weights"] + ideal.get("cache", 0.0) + ideal.get("state", 0.0)
    if example.regime == "energy":
        return 1.0
    compute = sum(ideal.get(name, 0.0) for name in ("compute", "attention", "products"))
    moved = sum(ideal.get(name, 0.0) for name in ("weights", "cache", "prompt_weights"))
    return max(compute, moved)


def calibrate(rows: Sequence[dict[str, str]]) -> Coefficients:
    """Coefficients fitted on all rows, with intervals and widening from what was left out.

    Intervals are those of chips left out; what widens them, of runtimes and models left out.

    Args:
        rows: of all reference tables, as `read_folder` returns them.
    """
    measured = examples(rows)
    coefficients = fit.fit(measured)
    chips = fit.left_out(measured, GROUPS["chip"])
    runtimes = fit.left_out(measured, GROUPS["framework"])
    models = fit.left_out(measured, GROUPS["model"])
    base = _width_of_ok(chips)
    widening = {
        "runtime": max(1.2, _width_of_ok(runtimes) / base),
        "model": max(1.2, _width_of_ok(models) / base),
        "cpu": 1.5,
    }
    return replace(coefficients, widths=widths(chips), widening=widening)


def _width_of_ok(results: LeftOut) -> float:
    return quantile([error for example, _, error in results if example.ok])


HOW = "least squares of log totals, soft L1, Gaussian priors (docs/explanation/cost-model.md)"


def write(coefficients: Coefficients, path: Path, counts: Mapping[str, int]) -> None:
    """Write the coefficients with how they were fitted; values are natural logarithms.

    Args:
        coefficients: the coefficients.
        path: the CSV to write.
        counts: family → rows behind its coefficients.
    """
    lines: list[tuple[object, ...]] = [
        (family, term, factor, level, f"{value:.4f}", counts.get(family, 0), HOW)
        for (family, term, factor, level), value in sorted(coefficients.values.items())
    ]
    for regime, ends in sorted(coefficients.widths.items()):
        lines += [
            ("interval", regime, end, "", f"{value:.4f}", "", "split conformal, chips left out")
            for end, value in zip(("low", "high"), ends, strict=True)
        ]
    for name, value in sorted(coefficients.widening.items()):
        source = "assumed" if name == "cpu" else f"{name}s left out over chips left out"
        lines.append(("widening", name, "", "", f"{math.log(value):.4f}", "", source))
    watts = f"{math.log(coefficients.watts):.4f}"
    lines.append(("energy", "watts", "", "", watts, "", "median on one device, uncertain rows"))
    columns = ("family", "term", "factor", "level", "log_value", "rows", "source")
    write_csv(path, columns, (dict(zip(columns, line, strict=True)) for line in lines))


def refit(reference: Path, out: Path | None = None) -> dict[str, Any]:
    """Fit on a folder of published measurements, write the coefficients, and say how good they are.

    Args:
        reference: the folder.
        out: the CSV to write; the product's own when not given.
    """
    rows = read_folder(reference)
    coefficients = calibrate(rows)
    counts = Counter(FAMILY[example.regime] for example in examples(rows))
    write(coefficients, out or csv_facts.FOLDER / "effects.csv", counts)
    return {
        "rows": sum(counts.values()),
        "widths": coefficients.widths,
        "widening": coefficients.widening,
    }
