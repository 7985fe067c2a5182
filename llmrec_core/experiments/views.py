"""What pages, reports and the command line read: one plain record per run, computed from the ledger.

A `Row` is a run with its figures. `priced` turns its throughput into dollars with the price in force, which a
reader may change; nothing else of a record can be changed afterwards. Comparisons of two rows are paired over
users (metrics/intervals.py). No streamlit, no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmrec_core.experiments.spec import RunSpec, run_from_dict
from llmrec_core.types import GIVEN_ITEMS, Measurement

if TYPE_CHECKING:
    import pandas as pd

    from llmrec_core.metrics.intervals import Difference

SMALL_DOCUMENTS = ("conditions", "device", "versions", "windows", "training", "slices", "model")
DEFAULT_UTILISATION = 0.5


@dataclass(frozen=True)
class Row:
    """One run as it is read: what was asked for, what came out, and under which conditions."""

    run_id: str
    study: str
    name: str
    state: str
    spec: RunSpec
    figures: tuple[Measurement, ...] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)
    finished: str = ""

    @property
    def uses_language_model(self) -> bool:
        return bool(self.spec.recommender.backbone)

    @property
    def language_model_decides(self) -> bool:
        """Whether a language model has a say in the order: not in a cascade whose blend gives its reader no weight."""
        return self.uses_language_model and (self.documents.get("model") or {}).get("blend") != 0

    @property
    def predicted(self) -> bool:
        """Whether the costs of this row are predictions for a device it did not run on."""
        return bool(self.documents.get("predicted"))

    @property
    def conditions(self) -> Mapping[str, Any]:
        return self.documents.get("conditions") or {}

    @property
    def device(self) -> Mapping[str, Any]:
        return self.documents.get("device") or {}

    @property
    def noisy(self) -> bool:
        """Whether another program disturbed the timing and repeating did not help."""
        windows = self.documents.get("windows") or []
        return any(window.get("noisy") for window in windows if isinstance(window, Mapping))

    def figure(self, name: str, protocol: str = "", slice: str = "all") -> Measurement:
        """The measurement `name`; without `protocol` the first one recorded under that name."""
        for row in self.figures:
            if row.name == name and row.slice == slice and protocol in ("", row.protocol):
                return row
        where = f" under {protocol}" if protocol else ""
        what = "the run has not finished" if self.state != "finished" else f"not part of this run{where}"
        return Measurement(name, None, "", slice=slice, protocol=protocol, reason=what)

    def request_figure(self, name: str, batch: int | None = 1) -> Measurement:
        """A cost of one request at `batch` requests at a time; `None` takes the largest batch measured."""
        found = [row for row in self.figures if row.name == name and row.protocol.startswith("request/")]
        known = [row for row in found if row.value is not None] or found
        if batch is not None:
            known = [row for row in known if batch_of(row.protocol) == batch]
        if not known:
            return self.figure(name, f"batch {batch}" if batch else "any batch")
        return max(known, key=lambda row: batch_of(row.protocol))

    @property
    def protocols(self) -> tuple[str, ...]:
        """Quality protocols this run was measured under, in the order recorded."""
        names = (row.protocol for row in self.figures if row.name == "ndcg@10" and row.value is not None)
        return tuple(dict.fromkeys(names))


def batch_of(protocol: str) -> int:
    """`request/100/batch-8` → 8; 1 where no batch is named."""
    tail = protocol.rpartition("batch-")[2].split("/")[0]
    return int(tail) if tail.isdigit() else 1


def candidates_of(protocol: str) -> str:
    """`loo/100-uniform` → `100`, `loo/given-bm25` → `20`; `full` stays `full`."""
    first = protocol.rpartition("/")[2].partition("-")[0]
    return str(GIVEN_ITEMS) if first == "given" else first


def measurements_of(table: pd.DataFrame, run_id: str) -> tuple[Measurement, ...]:
    """The rows of one run in the ledger's measurement table as records."""
    columns = ["name", "value", "unit", "low", "high", "n", "slice", "protocol", "reason"]
    rows = []
    for values in table.loc[table["run_id"] == run_id, columns].itertuples(index=False, name=None):
        name, value, unit, low, high, n, part, protocol, reason = (None if _missing(one) else one for one in values)
        if value is None and not reason:
            reason = "no reason was recorded"
        count = None if n is None else int(n)
        rows.append(Measurement(str(name), value, unit or "", low, high, count, part or "all", protocol or "", reason))
    return tuple(rows)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def make_row(run: Any, table: pd.DataFrame, documents: Mapping[str, Any]) -> Row:
    """A `Row` from a run of the ledger, its measurements and its small documents."""
    spec = run.spec if isinstance(run.spec, RunSpec) else run_from_dict(run.spec, run.id)
    small = {name: documents[name] for name in SMALL_DOCUMENTS if name in documents}
    finished = "" if run.finished is None else str(run.finished)
    return Row(run.id, run.study, run.name, run.state, spec, measurements_of(table, run.id), small, finished)


# ── price ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Pricing:
    """What a reader may set in place of the record's conditions; `None` keeps the record's."""

    usd_per_hour: float | None = None
    utilisation: float | None = None
    """Share of the hour in which the device answers requests, 0 … 1."""
    grid_g_per_kwh: float | None = None
    watts: float | None = None
    """Typed-in power of the device under load; its energy is "assumed", never measured."""

    def hourly(self, row: Row) -> float | None:
        if self.usd_per_hour is not None:
            return self.usd_per_hour
        return row.figure("usd_per_hour").value or _number(row.conditions, "usd_per_hour", "price")

    def used(self, row: Row) -> float:
        if self.utilisation is not None:
            return self.utilisation
        recorded = row.figure("utilisation").value or _number(row.conditions, "utilisation")
        return recorded or DEFAULT_UTILISATION

    def grid(self, row: Row) -> float | None:
        return self.grid_g_per_kwh if self.grid_g_per_kwh is not None else _number(row.conditions, "grid_g_per_kwh")


AS_RECORDED = Pricing()


def _number(body: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = body.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


def usd_per_million(row: Row, pricing: Pricing = AS_RECORDED) -> Measurement:
    """Dollars per million requests: price ÷ (requests per hour × utilisation) × 10⁶.

    Recomputed from the recorded throughput (largest batch measured), with its interval turned round.
    """
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    price = pricing.hourly(row)
    if rate.value is None or rate.value <= 0:
        return Measurement("usd_per_million", None, "usd", reason=rate.reason or "the recorded throughput is 0")
    if price is None:
        return Measurement("usd_per_million", None, "usd", reason="no price per hour is recorded; type one in")

    def dollars(requests_per_s: float | None) -> float | None:
        return None if not requests_per_s else price / (requests_per_s * 3600 * pricing.used(row)) * 1e6

    return Measurement(
        "usd_per_million",
        dollars(rate.value),
        "usd",
        dollars(rate.high),
        dollars(rate.low),
        rate.n,
        "all",
        rate.protocol,
    )


def price_or_infinity(row: Row, pricing: Pricing = AS_RECORDED) -> float:
    """Dollars per million for ordering: an unknown price comes last."""
    found = usd_per_million(row, pricing).value
    return math.inf if found is None else found


@dataclass(frozen=True)
class Energy:
    """Joules and grams of CO2e of a request, and whether they were assumed from typed-in watts."""

    joules: Measurement
    grams_per_million: Measurement
    assumed: bool = False


def energy(row: Row, pricing: Pricing = AS_RECORDED) -> Energy:
    """Energy of one request: the recorded figure, or typed-in watts ÷ throughput, marked as assumed."""
    joules = row.request_figure("energy_per_request_j", batch=None)
    rate = row.request_figure("throughput_requests_per_s", batch=None)
    assumed = False
    if joules.value is None and pricing.watts is not None and rate.value:
        joules = Measurement("energy_per_request_j", pricing.watts / rate.value, "J", protocol=rate.protocol)
        assumed = True
    grid = pricing.grid(row)
    if joules.value is None or grid is None:
        reason = joules.reason or "no grid intensity is recorded; type one in"
        return Energy(joules, Measurement("gco2e_per_million", None, "g", reason=reason), assumed)
    grams = joules.value / 3.6e6 * grid * 1e6
    return Energy(joules, Measurement("gco2e_per_million", grams, "g", protocol=joules.protocol), assumed)


@dataclass(frozen=True)
class Axis:
    """A cost a reader can put on the horizontal axis."""

    name: str
    title: str
    unit: str
    """Unit as drawn; the record's value times `factor`."""
    factor: float
    help: str


AXES = {
    axis.name: axis
    for axis in (
        Axis(
            "usd_per_million",
            "Price of a million requests",
            "$",
            1,
            "Hourly price ÷ (requests per hour × utilisation).",
        ),
        Axis(
            "latency_p95_s", "Latency p95, one request at a time", "ms", 1e3, "95 of 100 requests are faster than this."
        ),
        Axis(
            "latency_p50_s",
            "Latency p50, one request at a time",
            "ms",
            1e3,
            "Half of the requests are faster than this.",
        ),
        Axis(
            "flops_per_request",
            "Work per request (formula)",
            "GFLOP",
            1e-9,
            "Floating-point operations, 1 multiply-add = 2.",
        ),
        Axis(
            "peak_memory_bytes", "Peak memory of the process", "MiB", 2**-20, "Highest resident memory while serving."
        ),
        Axis("weight_bytes", "Weights as stored", "MiB", 2**-20, "Bytes of the model's parameters."),
        Axis(
            "energy_per_request_j",
            "Energy per request",
            "J",
            1,
            "From a counter; or from typed-in watts, then assumed.",
        ),
        Axis("gco2e_per_million", "CO2e of a million requests", "g", 1, "Energy × grid intensity."),
        Axis("train_s", "Fitting and fine-tuning, once", "s", 1, "Wall-clock seconds before the first request."),
        Axis("parameters", "Parameters", "M", 1e-6, "Numbers learnt by the model."),
    )
}


def cost(row: Row, name: str, pricing: Pricing = AS_RECORDED) -> tuple[Measurement, bool]:
    """The figure of a cost axis and whether it is assumed or predicted rather than measured."""
    if name == "usd_per_million":
        return usd_per_million(row, pricing), row.predicted
    if name in ("energy_per_request_j", "gco2e_per_million"):
        found = energy(row, pricing)
        figure = found.joules if name == "energy_per_request_j" else found.grams_per_million
        return figure, found.assumed or row.predicted
    if name in ("latency_p95_s", "latency_p50_s", "latency_p99_s"):
        return row.request_figure(name), row.predicted
    if name == "flops_per_request":
        return row.request_figure(name), False
    return row.figure(name), row.predicted and name == "peak_memory_bytes"


# ── comparisons ──────────────────────────────────────────────────────────────────────────────────

PerUser = Mapping[int, float]


def per_user(sample: Any) -> dict[int, float]:
    """Samples of a metric as user code → value."""
    if sample is None:
        return {}
    return {int(key): float(value) for key, value in zip(sample.keys, sample.values, strict=False)}


def difference(a: PerUser, b: PerUser, only: Iterable[int] | None = None) -> Difference | None:
    """Paired difference a − b over the users both have (and that are in `only`); `None` below two users."""
    import numpy as np

    from llmrec_core.metrics.intervals import paired_difference

    users = sorted(set(a) & set(b) if only is None else set(a) & set(b) & set(only))
    if len(users) < 2:
        return None
    return paired_difference(np.array([a[user] for user in users]), np.array([b[user] for user in users]))


def spread(found: Difference, digits: int = 3, scale: float = 1.0) -> str:
    """The interval of a difference in words; rows that agree on every user are called the same."""
    if found.low == found.high == 0:
        return "the same for every user"
    return f"{scale * found.low:+.{digits}f} to {scale * found.high:+.{digits}f}"


def distinguishable(found: Difference | None) -> bool:
    """Whether the paired interval excludes 0."""
    return found is not None and found.distinguishable


def comparability(rows: Sequence[Row], protocol: str) -> list[str]:
    """Why the rows should not stand on one axis, a sentence each; empty when they may."""
    warnings = []
    measured = [row for row in rows if protocol in row.protocols]
    missing = [row.name for row in rows if row.state == "finished" and protocol not in row.protocols]
    if missing:
        warnings.append(f"Not measured under {protocol}, so not drawn: {', '.join(missing)}.")

    def differs(what: str, of: Any) -> None:
        groups: dict[Any, list[str]] = {}
        for row in measured:
            groups.setdefault(of(row), []).append(row.name)
        if len(groups) > 1:
            parts = "; ".join(f"{key or 'unknown'}: {', '.join(names)}" for key, names in groups.items())
            warnings.append(f"These points are not comparable: they differ in {what} ({parts}).")

    differs("data", lambda row: f"{row.spec.data.name} {row.spec.data.content_hash[:8]}".strip())
    differs(
        "the sample of users", lambda row: f"{row.spec.protocol.users or 'all'} users, seed {row.spec.protocol.seed}"
    )
    differs("the machine", lambda row: machine(row))
    return warnings


def machine(row: Row) -> str:
    """The machine of a run in one phrase."""
    device = row.device
    return str(device.get("name") or device.get("cpu") or "")


def best_first(rows: Sequence[Row], metric: str, protocol: str, slice: str = "all") -> list[Row]:
    """Rows with a value of `metric`, best first."""
    values = {row.run_id: row.figure(metric, protocol, slice).value for row in rows}
    known = [row for row in rows if values[row.run_id] is not None]
    return sorted(known, key=lambda row: -(values[row.run_id] or 0.0))
