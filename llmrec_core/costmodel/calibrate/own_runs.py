"""Own calibration: what the user's measured runs say about the predictor on their machine.

Every run gives logarithms of measured over predicted time. They are averaged (medians) over the
device, then over each regime on it, then over each precision in the regime, each mean drawn towards
0 by `n / (n + PRIOR)`, so one run moves a prediction most of the way and many runs all of it.
Errors after calibration are of runs left out.
"""

from __future__ import annotations

import csv
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from llmrec_core.contract.families import reads_prompt
from llmrec_core.costmodel.facts import model_catalogue, this_machine
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.predict import predictor
from llmrec_core.costmodel.predict.predictor import Coefficients
from llmrec_core.costmodel.predict.query import Query
from llmrec_core.costmodel.predict.request import (
    Request,
    mode_of,
    precision_of,
    runtime_of,
    sequences_read,
)
from llmrec_core.errors import DataError, LlmrecError
from llmrec_core.files import write_csv
from llmrec_core.language import t

PRIOR = 0.25
"""Runs that a mean of 0 counts for."""
FOREIGN_LIMIT = 0.1
"""Runs during which others used more of the machine than this are left out."""
ENOUGH = 5
"""Runs from which on their own scatter sets the interval."""
REPEATS = 20
"""Random halves over which an error is taken."""


@dataclass(frozen=True)
class Observation:
    """One measured figure and the question it answers."""

    name: str
    query: Query
    seconds: float
    """Of one batch of requests."""

    def residual(self, coefficients: Coefficients) -> float:
        """Logarithm of measured over predicted."""
        return math.log(1e3 * self.seconds / predictor.predict(self.query, coefficients).value)


@dataclass(frozen=True)
class Calibration:
    """Coefficients with the pull of own runs, and what it did to the error."""

    coefficients: Coefficients
    before: float
    """Median absolute error in percent, predicted without own runs."""
    after: float
    """The same, each run predicted from the others."""
    runs: int


Figures = dict[tuple[str, str], float]
"""(name, protocol) → value of a run's figures over all users."""


@dataclass(frozen=True)
class _Peaks:
    """What a run measured of its machine at the time."""

    flops_per_s: float
    bytes_per_s: float


def _peaks(values: Figures) -> _Peaks | None:
    flops = values.get(("gemm_peak_flops_per_s", "run"))
    moved = values.get(("bandwidth_bytes_per_s", "run"))
    return _Peaks(flops, moved) if flops and moved else None


def machine_of(studies: Iterable[Mapping[str, Any]]) -> Device | None:
    """The machine most runs were measured on, from the peaks in their records; None without any.

    Args:
        studies: exported studies.
    """
    by_machine: dict[str, list[tuple[dict[str, Any], _Peaks]]] = defaultdict(list)
    for study in studies:
        for run in study.get("runs", ()):
            machine, peaks = _documents(run).get("device"), _peaks(_figures(run))
            if machine and peaks:
                by_machine[str(machine.get("name"))].append((machine, peaks))
    if not by_machine:
        return None
    runs = max(by_machine.values(), key=len)
    return this_machine.device_of(
        runs[0][0],
        max(peaks.flops_per_s for _, peaks in runs),
        max(peaks.bytes_per_s for _, peaks in runs),
    )


def observations(
    studies: Iterable[Mapping[str, Any]], device: Device
) -> tuple[list[Observation], list[str]]:
    """Latencies and throughputs of exported studies' runs on a device.

    Args:
        studies: exported studies.
        device: the machine.

    Returns:
        The observations, and why other runs were left out.
    """
    observed: list[Observation] = []
    left_out: list[str] = []
    for study in studies:
        for run in study.get("runs", ()):
            recommender = (run.get("spec") or {}).get("recommender") or {}
            if run.get("state") != "finished" or not reads_prompt(recommender.get("family", "")):
                continue
            try:
                observed.extend(_observed(run, recommender, device))
            except LlmrecError as error:
                left_out.append(t("{name}: {error}", name=run.get("name"), error=error))
    return observed, left_out


def _observed(
    run: Mapping[str, Any], recommender: Mapping[str, Any], device: Device
) -> Iterator[Observation]:
    values, sizes = _figures(run), _documents(run).get("model") or {}
    _check_machine(_documents(run).get("device") or {}, device)
    if not sizes.get("history_tokens"):
        raise DataError(t("its record holds no lengths in tokens"))
    if sizes.get("gate", "always") != "always":
        raise DataError(t("its gate keeps some of the timed requests from the language model"))
    peaks = _peaks(values)
    if peaks:  # as fast as the machine was at the time: hosts slow down and speed up
        device = replace(
            device,
            fp32_tflops=peaks.flops_per_s / 1e12,
            bandwidth_gb_s=peaks.bytes_per_s / 1e9,
        )
    shape = model_catalogue.load(recommender.get("backbone") or "")
    if recommender.get("depth"):
        shape = replace(shape, layers=min(int(recommender["depth"]), shape.layers))
    spec = run["spec"]
    for (name, protocol), value in values.items():
        parts = protocol.split("/")
        if name not in ("latency_p50_s", "throughput_requests_per_s") or parts[0] != "request":
            continue
        if values.get(("foreign_load", protocol), 0.0) > FOREIGN_LIMIT:
            raise DataError(t("others used the machine while it was measured"))
        requests = float(parts[2].removeprefix("batch-"))
        request = Request(
            shape,
            float(sizes["history_tokens"]),
            float(sizes["candidate_tokens"]),
            sequences_read(sizes, int(recommender.get("rerank_k") or parts[1])),
            mode_of(str(recommender.get("history_attention"))),
            precision_of(str(spec.get("precision") or "fp32")),
            runtime_of(str(spec.get("runtime") or "eager")),
            values.get(("flops_per_request", protocol))
            or values.get(("flops_per_request", f"request/{parts[1]}/batch-1")),
        )
        yield Observation(
            t("{name}, {requests:g} at a time", name=run.get("name"), requests=requests),
            request.latency_query(device, requests),
            value if name == "latency_p50_s" else requests / value,
        )


def _check_machine(machine: Mapping[str, Any], device: Device) -> None:
    """Refuse a run of another machine.

    Raises:
        DataError: naming both.
    """
    gpus = machine.get("gpus")
    here = gpus[0].get("name") if gpus else machine.get("cpu")
    if here != device.architecture:
        raise DataError(
            t(
                "was measured on {here}, not on {architecture}",
                here=here,
                architecture=device.architecture,
            )
        )


def _figures(run: Mapping[str, Any]) -> Figures:
    return {
        (row["name"], row.get("protocol") or "run"): float(row["value"])
        for row in run.get("measurements", ())
        if row.get("value") is not None and row.get("slice", "all") == "all"
    }


def _documents(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run's documents by name, whichever of its two forms an export has."""
    documents = run.get("documents") or {}
    if isinstance(documents, Mapping):
        return dict(documents)
    return {entry["name"]: entry.get("body", entry.get("document")) for entry in documents}


Pulls = dict[tuple[str, str, str], float]
"""(device, regime, precision; empty is any) → logarithm of a factor on the time."""


def pulls(pairs: Sequence[tuple[Query, float]]) -> Pulls:
    """Logarithms of factors by device, regime and precision.

    Args:
        pairs: (question, logarithm of measured over predicted).
    """
    left = [residual for _, residual in pairs]
    result: Pulls = {}
    for level in range(3):
        groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for i, (query, _) in enumerate(pairs):
            regime = query.regime if level else ""
            precision = query.precision if level == 2 else ""
            groups[query.device.name, regime, precision].append(i)
        for key, members in groups.items():
            shift = len(members) / (len(members) + PRIOR) * median([left[i] for i in members])
            result[key] = shift
            for i in members:
                left[i] -= shift
    return result


def calibrate(
    observed: Sequence[Observation], coefficients: Coefficients | None = None
) -> Calibration:
    """The predictor pulled by own runs.

    Args:
        observed: what was measured.
        coefficients: the coefficients to pull; the product's when not given.

    Raises:
        DataError: when there is no run to learn from.
    """
    if not observed:
        raise DataError(
            t(
                "no finished run with a language model and measured latency on this machine; "
                "`demo` makes some"
            )
        )
    coefficients = replace(
        predictor.load() if coefficients is None else coefficients, pulls={}, own_widths={}
    )
    pairs = [(each.query, each.residual(coefficients)) for each in observed]
    left = _left_out(pairs)
    by: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (query, _), error in zip(pairs, left, strict=True):
        by[query.device.name, query.regime].append(abs(error))
    widths = {key: _quantile(errors) for key, errors in by.items() if len(errors) >= ENOUGH}
    return Calibration(
        replace(coefficients, pulls=pulls(pairs), own_widths=widths),
        percent([residual for _, residual in pairs]),
        percent(left),
        len(observed),
    )


def _pulled(pairs: Sequence[tuple[Query, float]]) -> Coefficients:
    return Coefficients({}, {}, pulls=pulls(pairs))


def _left_out(pairs: Sequence[tuple[Query, float]]) -> list[float]:
    """Residuals of each run after a calibration on the others."""
    return [
        residual - _pulled([*pairs[:i], *pairs[i + 1 :]]).pull(query)
        for i, (query, residual) in enumerate(pairs)
    ]


def halves(observed: Sequence[Observation], coefficients: Coefficients | None = None) -> float:
    """Error of one half of the runs after calibration on the other, over random halves.

    Args:
        observed: what was measured.
        coefficients: the coefficients to pull; the product's when not given.

    Returns:
        The median absolute error in percent.
    """
    coefficients = predictor.load() if coefficients is None else coefficients
    pairs = [(each.query, each.residual(coefficients)) for each in observed]
    chooser = random.Random(0)
    errors: list[float] = []
    for _ in range(REPEATS):
        order = chooser.sample(range(len(pairs)), len(pairs))
        half = len(pairs) // 2
        pulled = _pulled([pairs[i] for i in order[:half]])
        errors.extend(pairs[i][1] - pulled.pull(pairs[i][0]) for i in order[half:])
    return percent(errors)


def percent(residuals: Iterable[float]) -> float:
    """Median absolute percentage error of predictions, from logs of measured over predicted.

    Args:
        residuals: log(measured / predicted) of each run.
    """
    return 100.0 * median([abs(math.expm1(-residual)) for residual in residuals])


def _quantile(errors: Sequence[float], level: float = 0.8) -> float:
    ordered = sorted(errors)
    return ordered[min(len(ordered), math.ceil((len(ordered) + 1) * level)) - 1]


def path(home: Path) -> Path:
    """Where the calibration of own runs is kept."""
    return home / "costmodel" / "calibration.csv"


def save(home: Path, coefficients: Coefficients) -> None:
    """Write the pulls and widths; `load` reads them back."""
    columns = ("device", "regime", "precision", "kind", "log_value")
    lines = [
        (device, regime, precision, "pull", f"{value:.5f}")
        for (device, regime, precision), value in sorted(coefficients.pulls.items())
    ]
    lines += [
        (device, regime, "", "width", f"{value:.5f}")
        for (device, regime), value in sorted(coefficients.own_widths.items())
    ]
    write_csv(path(home), columns, (dict(zip(columns, line, strict=True)) for line in lines))


LARGEST_LOG = 20.0
"""Of a pull or a width that is read: a factor of half a thousand million."""


def load(home: Path | None) -> Coefficients:
    """The product's coefficients with the calibration kept under `home`, if there is one.

    Raises:
        DataError: when the file was damaged.
    """
    coefficients = predictor.load()
    if home is None or not path(home).exists():
        return coefficients
    pulled: Pulls = {}
    widths: dict[tuple[str, str], float] = {}
    try:
        with path(home).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = float(row["log_value"])
                if not abs(value) <= LARGEST_LOG:
                    raise ValueError(row["log_value"])
                if row["kind"] == "width":
                    widths[row["device"], row["regime"]] = value
                else:
                    pulled[row["device"], row["regime"], row["precision"]] = value
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            t(
                "{path} is damaged ({error}); run `estimate --calibrate` again",
                path=path(home),
                error=error,
            )
        ) from error
    return replace(coefficients, pulls=pulled, own_widths=widths)
