"""Own calibration: what the user's measured runs say about the predictor on their machine.

Every run gives logarithms of measured over predicted time. They are averaged (medians) over the device, then over each
regime on it, then over each precision in the regime, each mean drawn towards 0 by `n / (n + PRIOR)`, so one run moves a
prediction most of the way and many runs all of it. Errors after calibration are of runs left out.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from llmrec_core.costmodel import architecture, model, own
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.model import Coefficients
from llmrec_core.costmodel.query import Query
from llmrec_core.costmodel.requests import READERS, mode_of, precision_of, request_query, runtime_of
from llmrec_core.errors import DataError, LlmrecError

PRIOR = 0.25
"""Runs that a mean of 0 counts for."""
FOREIGN_LIMIT = 0.1
"""Runs during which others used more of the machine than this are left out."""
ENOUGH = 5
"""Runs from which on their own scatter sets the interval."""


@dataclass(frozen=True)
class Observation:
    """One measured figure and the question it answers."""

    name: str
    query: Query
    seconds: float
    """Of one batch of requests."""

    def residual(self, known: Coefficients) -> float:
        """Logarithm of measured over predicted."""
        return math.log(1e3 * self.seconds / model.predict(self.query, known).value)


@dataclass(frozen=True)
class Calibration:
    """Coefficients with the pull of own runs, and what it did to the error."""

    coefficients: Coefficients
    before: float
    """Median absolute error in percent, predicted without own runs."""
    after: float
    """The same, each run predicted from the others."""
    runs: int


def machine_of(studies: Iterable[Mapping[str, Any]]) -> Device | None:
    """The machine most runs were measured on, from the peaks in their records; None without any."""
    found: dict[str, list[tuple[dict[str, Any], float, float]]] = {}
    for study in studies:
        for run in study.get("runs", ()):
            values = _figures(run)
            peaks = values.get(("gemm_peak_flops_per_s", "run")), values.get(("bandwidth_bytes_per_s", "run"))
            machine = _documents(run).get("device")
            if machine and peaks[0] and peaks[1]:
                found.setdefault(str(machine.get("name")), []).append((machine, peaks[0], peaks[1]))
    if not found:
        return None
    runs = max(found.values(), key=len)
    return own.device_of(runs[0][0], max(one[1] for one in runs), max(one[2] for one in runs))


def observations(studies: Iterable[Mapping[str, Any]], device: Device) -> tuple[list[Observation], list[str]]:
    """Latencies and throughputs of exported studies' runs on `device`, and why other runs were left out."""
    found: list[Observation] = []
    skipped: list[str] = []
    for study in studies:
        for run in study.get("runs", ()):
            recommender = (run.get("spec") or {}).get("recommender") or {}
            if run.get("state") != "finished" or recommender.get("family") not in READERS:
                continue
            try:
                found.extend(_observed(run, recommender, device))
            except LlmrecError as error:
                skipped.append(f"{run.get('name')}: {error}")
    return found, skipped


def _observed(run: Mapping[str, Any], recommender: Mapping[str, Any], device: Device) -> Iterable[Observation]:
    documents, values = _documents(run), _figures(run)
    sizes, machine = documents.get("model") or {}, documents.get("device") or {}
    here = (machine.get("gpus") or [{}])[0].get("name") if machine.get("gpus") else machine.get("cpu")
    if here != device.architecture:
        raise DataError(f"was measured on {here}, not on {device.architecture}")
    if not sizes.get("history_tokens"):
        raise DataError("its record holds no lengths in tokens")
    peaks = values.get(("gemm_peak_flops_per_s", "run")), values.get(("bandwidth_bytes_per_s", "run"))
    if peaks[0] and peaks[1]:  # as fast as the machine was at the time: hosts slow down and speed up
        device = replace(device, fp32_tflops=peaks[0] / 1e12, bandwidth_gb_s=peaks[1] / 1e9)
    shape = architecture.load(recommender.get("backbone") or "")
    if recommender.get("depth"):
        shape = replace(shape, layers=min(int(recommender["depth"]), shape.layers))
    spec = run["spec"]
    for (name, protocol), value in values.items():
        parts = protocol.split("/")
        if name not in ("latency_p50_s", "throughput_requests_per_s") or parts[0] != "request":
            continue
        if values.get(("foreign_load", protocol), 0.0) > FOREIGN_LIMIT:
            raise DataError("others used the machine while it was measured")
        requests = float(parts[2].removeprefix("batch-"))
        query = request_query(
            shape,
            device,
            history_tokens=float(sizes["history_tokens"]),
            candidates=float(recommender.get("rerank_k") or parts[1]),
            candidate_tokens=float(sizes["candidate_tokens"]),
            mode=mode_of(str(recommender.get("history_attention"))),
            requests=requests,
            precision=precision_of(str(spec.get("precision") or "fp32")),
            runtime=runtime_of(str(spec.get("runtime") or "eager")),
            flops=values.get(("flops_per_request", protocol))
            or values.get(("flops_per_request", f"request/{parts[1]}/batch-1")),
        )
        seconds = value if name == "latency_p50_s" else requests / value
        yield Observation(f"{run.get('name')}, {requests:g} at a time", query, seconds)


def _figures(run: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {
        (row["name"], row.get("protocol") or "run"): float(row["value"])
        for row in run.get("measurements", ())
        if row.get("value") is not None and row.get("slice", "all") == "all"
    }


def _documents(run: Mapping[str, Any]) -> dict[str, Any]:
    found = run.get("documents") or {}
    if isinstance(found, Mapping):
        return dict(found)
    return {one["name"]: one.get("body", one.get("document")) for one in found}


def pulls(found: Sequence[tuple[Query, float]]) -> dict[tuple[str, str, str], float]:
    """Logarithms of factors by device, regime and precision from (query, log of measured over predicted)."""
    left = [residual for _, residual in found]
    result: dict[tuple[str, str, str], float] = {}
    for level in range(3):
        groups: dict[tuple[str, str, str], list[int]] = {}
        for i, (query, _) in enumerate(found):
            key = (query.device.name, query.regime, query.precision)
            groups.setdefault((key[0], key[1] if level else "", key[2] if level == 2 else ""), []).append(i)
        for key, members in groups.items():
            shift = len(members) / (len(members) + PRIOR) * median([left[i] for i in members])
            result[key] = shift
            for i in members:
                left[i] -= shift
    return result


def calibrate(found: Sequence[Observation], known: Coefficients | None = None) -> Calibration:
    """The predictor pulled by own runs.

    Raises:
        DataError: when there is no run to learn from.
    """
    if not found:
        raise DataError("no finished run with a language model and measured latency on this machine; `demo` makes some")
    known = replace(model.load() if known is None else known, pulls={}, own_widths={})
    pairs = [(one.query, one.residual(known)) for one in found]
    left = _left_out(pairs)
    by: dict[tuple[str, str], list[float]] = {}
    for (query, _), error in zip(pairs, left, strict=True):
        by.setdefault((query.device.name, query.regime), []).append(abs(error))
    widths = {key: _quantile(errors) for key, errors in by.items() if len(errors) >= ENOUGH}
    return Calibration(
        replace(known, pulls=pulls(pairs), own_widths=widths),
        percent([residual for _, residual in pairs]),
        percent(left),
        len(found),
    )


def _left_out(pairs: Sequence[tuple[Query, float]]) -> list[float]:
    """Residuals of each run after a calibration on the others."""
    errors = []
    for i, (query, residual) in enumerate(pairs):
        pulled = Coefficients({}, {}, pulls=pulls([*pairs[:i], *pairs[i + 1 :]]))
        errors.append(residual - pulled.pull(query))
    return errors


def halves(found: Sequence[Observation], known: Coefficients | None = None, repeats: int = 20) -> float:
    """Median absolute error in percent of one half of the runs after calibration on the other, over random halves."""
    known = model.load() if known is None else known
    pairs = [(one.query, one.residual(known)) for one in found]
    chooser = random.Random(0)
    errors: list[float] = []
    for _ in range(repeats):
        order = chooser.sample(range(len(pairs)), len(pairs))
        half = len(pairs) // 2
        pulled = Coefficients({}, {}, pulls=pulls([pairs[i] for i in order[:half]]))
        errors.extend(pairs[i][1] - pulled.pull(pairs[i][0]) for i in order[half:])
    return percent(errors)


def percent(residuals: Iterable[float]) -> float:
    """Median absolute percentage error of predictions, from logarithms of measured over predicted."""
    return 100.0 * median([abs(math.expm1(-one)) for one in residuals])


def _quantile(errors: Sequence[float], level: float = 0.8) -> float:
    ordered = sorted(errors)
    return ordered[min(len(ordered), math.ceil((len(ordered) + 1) * level)) - 1]


def path(home: Path) -> Path:
    """Where the calibration of own runs is kept."""
    return home / "costmodel" / "calibration.csv"


def save(home: Path, known: Coefficients) -> None:
    """Write the pulls and widths; `load` reads them back."""
    path(home).parent.mkdir(parents=True, exist_ok=True)
    with path(home).open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["device", "regime", "precision", "kind", "log_value"])
        for (device, regime, precision), value in sorted(known.pulls.items()):
            out.writerow([device, regime, precision, "pull", f"{value:.5f}"])
        for (device, regime), value in sorted(known.own_widths.items()):
            out.writerow([device, regime, "", "width", f"{value:.5f}"])


def load(home: Path | None) -> Coefficients:
    """The product's coefficients with the calibration kept under `home`, if there is one.

    Raises:
        DataError: when the file was damaged.
    """
    known = model.load()
    if home is None or not path(home).exists():
        return known
    found: dict[tuple[str, str, str], float] = {}
    widths: dict[tuple[str, str], float] = {}
    try:
        with path(home).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["kind"] == "width":
                    widths[row["device"], row["regime"]] = float(row["log_value"])
                else:
                    found[row["device"], row["regime"], row["precision"]] = float(row["log_value"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path(home)} is damaged ({error}); run `estimate --calibrate` again") from error
    return replace(known, pulls=found, own_widths=widths)
