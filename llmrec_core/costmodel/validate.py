"""How good the predictions are: whole devices, models and runtimes left out, and the intervals that follow from it."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.costmodel import fit, tables
from llmrec_core.costmodel.fit import Example
from llmrec_core.costmodel.model import Coefficients

Left = list[tuple[Example, str, float]]

GROUPS: dict[str, Callable[[Example], str]] = {
    "gpu": lambda one: one.row["gpu"],
    "chip": lambda one: one.query.device.family,
    "model": lambda one: one.query.model.name,
    "framework": lambda one: one.query.runtime.name,
}
"""`gpu` is the name in the file; `chip` leaves all variants of a chip out together, which is harder and fairer."""


def quantile(errors: Sequence[float], level: float = 0.8) -> float:
    """The split-conformal quantile of absolute errors: the ⌈(n + 1)·level⌉-th smallest."""
    found = sorted(abs(one) for one in errors)
    if not found:
        return math.log(2.0)
    return found[min(len(found), math.ceil((len(found) + 1) * level)) - 1]


def widths(results: Left) -> dict[str, tuple[float, float]]:
    """Half-widths of log predictions by regime, from what was left out; `other` pools all regimes."""
    by: dict[str, list[float]] = defaultdict(list)
    for one, _, error in results:
        by[one.regime].append(error)
        by["other"].append(error)
    return {regime: (-quantile(errors), quantile(errors)) for regime, errors in by.items()}


def coverage(results: Left) -> dict[str, float]:
    """Share of rows marked ok inside their 80 % interval, whose width saw only the other groups.

    A regime of which fewer than 8 rows are in other groups takes the width of all regimes.
    """
    inside: dict[str, list[bool]] = defaultdict(list)
    by: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one, group, error in results:
        by[one.regime, group].append(error)
    for regime, group in by:
        others = [e for (r, g), errors in by.items() if r == regime and g != group for e in errors]
        if len(others) < 8:
            others = [e for (_, g), errors in by.items() if g != group for e in errors]
        width = quantile(others)
        for one, its, error in results:
            if one.regime == regime and its == group and one.ok:
                inside[regime].append(abs(error) <= width)
                inside["overall"].append(abs(error) <= width)
    return {regime: float(np.mean(found)) for regime, found in inside.items()}


def roofline(data: Sequence[Example], group_of: Callable[[Example], str]) -> Left:
    """The naive peer: FLOPs over peak or bytes over bandwidth, one efficiency for each regime, groups left out."""
    results: Left = []
    ideal = {id(one): math.log(max(_ideal(one), 1e-12)) for one in data}
    for regime in sorted({one.regime for one in data}):
        rows = [one for one in data if one.regime == regime]
        for group in sorted({group_of(one) for one in rows}):
            rest = [math.log(one.total) - ideal[id(one)] for one in rows if group_of(one) != group]
            scale = float(np.median(rest)) if rest else math.log(2.0)
            results.extend(
                (one, group, (ideal[id(one)] + scale - math.log(one.total)) * _sign(one))
                for one in rows
                if group_of(one) == group
            )
    return results


def _sign(one: Example) -> float:
    return 1.0 if one.query.metric in ("latency_ms", "memory_gb", "energy_j") else -1.0


def _ideal(one: Example) -> float:
    found = one.found
    if one.regime == "memory":
        return found["weights"] + found.get("cache", 0.0) + found.get("state", 0.0)
    if one.regime == "energy":
        return 1.0
    compute = found.get("compute", 0.0) + found.get("attention", 0.0) + found.get("products", 0.0)
    moved = found.get("weights", 0.0) + found.get("cache", 0.0) + found.get("prompt_weights", 0.0)
    return max(compute, moved)


def calibrate(rows: Sequence[dict[str, str]]) -> Coefficients:
    """Coefficients fitted on all rows, with the intervals of chips left out and the widening of runtimes left out."""
    data = fit.examples(rows)
    known = fit.fit(data)
    chips = fit.left_out(data, GROUPS["chip"])
    runtimes = fit.left_out(data, GROUPS["framework"])
    models = fit.left_out(data, GROUPS["model"])
    base = quantile([error for one, _, error in chips if one.ok])
    widening = {
        "runtime": max(1.2, quantile([error for one, _, error in runtimes if one.ok]) / base),
        "model": max(1.2, quantile([error for one, _, error in models if one.ok]) / base),
        "cpu": 1.5,
    }
    return replace(known, widths=widths(chips), widening=widening)


def write(known: Coefficients, path: Path, counts: dict[str, int]) -> None:
    """Write the coefficients with how they were fitted; values are natural logarithms."""
    how = "least squares of log totals, soft L1, Gaussian priors (docs/COSTMODEL.md)"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["family", "term", "factor", "level", "log_value", "rows", "source"])
        for (family, term, factor, level), value in sorted(known.values.items()):
            out.writerow([family, term, factor, level, f"{value:.4f}", counts.get(family, 0), how])
        for regime, (low, high) in sorted(known.widths.items()):
            out.writerow(["interval", regime, "low", "", f"{low:.4f}", "", "split conformal, chips left out"])
            out.writerow(["interval", regime, "high", "", f"{high:.4f}", "", "split conformal, chips left out"])
        for name, value in sorted(known.widening.items()):
            source = "assumed" if name == "cpu" else f"{name}s left out over chips left out"
            out.writerow(["widening", name, "", "", f"{math.log(value):.4f}", "", source])
        out.writerow(
            ["energy", "watts", "", "", f"{math.log(known.watts):.4f}", "", "median on one device, uncertain rows"]
        )


def refit(reference: Path, out: Path | None = None) -> dict[str, Any]:
    """Fit on a folder with the calibration file, write the coefficients, and say how good they are."""
    rows = fit.read(reference / "hardware_measurements_calibration.csv")
    known = calibrate(rows)
    counts: dict[str, int] = defaultdict(int)
    for one in fit.examples(rows):
        counts[fit.FAMILY[one.regime]] += 1
    write(known, out or tables.FOLDER / "effects.csv", counts)
    return {"rows": sum(counts.values()), "widths": known.widths, "widening": known.widening}
