"""The predictor: time = Σ coefficient × ideal time of a term; every coefficient is a row of one CSV.

A coefficient is exp(term + effects), the effects being those of the runtime's class, the runtime, the arithmetic, the
weight format and the kind of device; an effect that no measurement told is 0. Sums of positive terms are monotone in
tokens, batch and layers, and the total is kept above what the device's dense peak allows.
Eager PyTorch on a GPU launches kernels while earlier ones run: there host and device times meet in a soft maximum.
Intervals: factors around the prediction from split-conformal residuals, by regime (`fit.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from llmrec_core.costmodel import tables, work
from llmrec_core.costmodel.devices import arithmetic
from llmrec_core.costmodel.query import METRICS, Query

FAMILY = {
    "encoder": "encoder",
    "training": "training",
    "prefill": "generation",
    "decode": "generation",
    "serving": "generation",
    "energy": "generation",
    "memory": "memory",
}
"""Regimes that share coefficients."""

FACTORS: dict[str, dict[str, tuple[str, ...]]] = {
    "encoder": {
        "compute": ("group", "runtime", "arithmetic", "runtime:arithmetic", "kind"),
        "attention": ("group", "runtime"),
        "scores": ("group", "runtime"),
        "activations": ("group", "runtime", "runtime:arithmetic"),
        "weights": (),
        "launch": ("group", "runtime", "kind"),
        "depth": ("group", "arithmetic", "kind"),
        "base": ("group", "runtime"),
        "all": ("device",),
    },
    "training": {
        "compute": ("group", "runtime", "arithmetic", "kind"),
        "attention": ("group",),
        "scores": ("group", "runtime"),
        "activations": ("group", "runtime"),
        "optimiser": ("group",),
        "dequant": (),
        "launch": ("group", "runtime"),
        "comm": ("group",),
        "base": ("group", "runtime"),
        "all": ("device",),
    },
    "generation": {
        "compute": ("group", "runtime", "format", "kind"),
        "attention": ("runtime",),
        "prompt_weights": ("format",),
        "launch": ("group", "runtime"),
        "prompt_comm": ("group", "runtime"),
        "base": ("group",),
        "weights": ("group", "runtime", "format", "group:format", "kind"),
        "stream": ("group", "runtime"),
        "cache": ("group", "runtime"),
        "products": ("group", "runtime", "kind"),
        "step_launch": ("group", "runtime", "group:format"),
        "step_base": ("group", "runtime"),
        "sampling": ("group", "runtime"),
        "comm": ("group", "runtime"),
        "hops": ("runtime",),
        "all": ("device",),
    },
    "memory": {
        "weights": ("format",),
        "cache": ("runtime",),
        "activations": ("runtime", "method"),
        "state": ("method",),
        "logits": ("method",),
        "base": ("runtime", "method"),
        "all": (),
    },
}
"""Which effects each term's coefficient has."""


def weight_format(precision: str) -> str:
    """16, 8 or 4 bit weights, and how they are packed."""
    low = precision.split("+")[0]
    if low.startswith(("int4", "nf4", "int8-gptq", "int8-weight")):
        return {"int4-awq": "int4-gptq", "int4-weight": "int4-gptq", "int4": "int4-gptq"}.get(low, low)
    return arithmetic(low) if arithmetic(low) in ("int8", "fp8") else "16"


def levels(query: Query) -> dict[str, str]:
    """The level of every factor for one query."""
    low = query.precision.split("+")[0]
    arith = {"bf16": "fp16"}.get(arithmetic(low), arithmetic(low))
    if arith == "int8" and (query.device.int8_tops or 0.0) < (query.device.fp16_tflops or 0.0):
        arith = "fp16"  # no 8-bit tensor cores (V100): an engine takes its 16-bit kernels
    runtime, group, packed = query.runtime.name, query.runtime.group, weight_format(low)
    if query.device.kind == "cpu":
        # what a processor does tells nothing about the same runtime's kernels on a GPU
        runtime, group = ("ort-plain", "graph") if runtime == "ort" else (runtime, group)
        runtime, group, arith = f"{runtime}-cpu", f"{group}-cpu", f"{arith}-cpu"
    return {
        "group": group,
        "runtime": runtime,
        "arithmetic": arith,
        "format": packed,
        "kind": query.device.kind,
        "device": query.device.family,
        "method": query.method if query.task == "training" else "inference",
        "runtime:arithmetic": f"{runtime}:{arith}",
        "group:format": f"{group}:{packed}",
    }


HOST = {"launch", "base", "step_launch", "step_base"}
"""Terms of the processor that launches kernels."""
STEP = {"weights", "stream", "cache", "products", "step_launch", "step_base", "sampling", "comm", "hops"}
"""Terms of decoding steps; all others of `generation` are of the prompt."""
POWER = 4.0
"""Sharpness of the soft maximum of launching and computing."""


def overlaps(query: Query) -> bool:
    """Whether kernels run while the next ones are launched from Python, so that the slower of the two counts."""
    return query.runtime.group == "eager" and query.device.kind == "gpu" and FAMILY[query.regime] == "generation"


def bin_of(family: str, term: str, asynchronous: bool) -> int:
    """0 and 1: device and host of a pass or prompt; 2 and 3: of decoding steps."""
    return 2 * (family == "generation" and term in STEP) + (asynchronous and term in HOST)


def together(device_s: float, host_s: float) -> float:
    """The soft maximum of two times that overlap; with no host time the device's own."""
    if host_s == 0.0:
        return device_s
    longest = max(device_s, host_s)
    return float(longest * ((device_s / longest) ** POWER + (host_s / longest) ** POWER) ** (1 / POWER))


@dataclass(frozen=True)
class Coefficients:
    """Logarithms of coefficients: (family, term, factor, level) → value; the factor of a term's own is ''."""

    values: Mapping[tuple[str, str, str, str], float]
    widths: Mapping[str, tuple[float, float]]
    """Regime → logarithms of the lower and upper factor of the 80 % interval."""
    widening: Mapping[str, float] = field(default_factory=dict)
    """What multiplies a width: `runtime` or `model` never measured."""
    watts: float = 0.6
    """Share of the rated power while generating."""
    devices: bool = True
    """Use the effects of devices that were measured."""
    pulls: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    """Own runs: (device, regime, precision; '' is any) → logarithm of measured over predicted time (`own_runs.py`)."""
    own_widths: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Own runs: (device, regime) → half the 80 % interval, a logarithm."""

    def total(self, query: Query, found: Mapping[str, float] | None = None) -> float:
        """The total of a query's terms: seconds, or GB."""
        family = FAMILY[query.regime]
        found = work.terms(query) if found is None else found
        at = levels(query)
        factors = FACTORS[family]
        bins = [0.0, 0.0, 0.0, 0.0]
        values = self.values
        asynchronous = overlaps(query)
        for term, amount in found.items():
            if amount <= 0:
                continue
            logarithm = values.get((family, term, "", ""), 0.0)
            for factor in factors[term]:
                logarithm += values.get((family, term, factor, at[factor]), 0.0)
            bins[bin_of(family, term, asynchronous)] += math.exp(logarithm) * amount
        total = together(bins[0], bins[1]) + together(bins[2], bins[3])
        if self.devices and family != "memory":
            total *= math.exp(values.get((family, "all", "device", at["device"]), 0.0))
        if family == "memory":
            return total
        return max(total * math.exp(self.pull(query)), work.floor_s(query, dict(found)))

    def pull(self, query: Query) -> float:
        """What own runs on this device say: the sum over device, regime and precision."""
        if not self.pulls:
            return 0.0
        name, regime = query.device.name, query.regime
        keys = ((name, "", ""), (name, regime, ""), (name, regime, query.precision))
        return sum(self.pulls.get(key, 0.0) for key in keys)

    @cached_property
    def runtimes(self) -> dict[str, frozenset[str]]:
        """Runtimes measured in each family."""
        found: dict[str, set[str]] = {family: set() for family in FACTORS}
        for family, _, factor, level in self.values:
            if factor == "runtime":
                found[family].add(level)
        return {family: frozenset(names) for family, names in found.items()}


@dataclass(frozen=True)
class Prediction:
    """One figure with its 80 % interval and what there is to say about it."""

    value: float
    low80: float
    high80: float
    unit: str
    regime: str
    note: str


def predict(query: Query, coefficients: Coefficients | None = None) -> Prediction:
    """The figure a query asks for, with its 80 % interval.

    Raises:
        UnsupportedError: when the device lacks the arithmetic.
    """
    known = load() if coefficients is None else coefficients
    value = _value(query, known)
    regime = query.regime
    low, high = known.widths.get(regime) or known.widths.get("other") or (-0.7, 0.7)
    wider = 1.0
    notes = list(query.notes)
    if not query.runtime.known or (
        regime != "memory" and levels(query)["runtime"] not in known.runtimes[FAMILY[regime]]
    ):
        wider *= known.widening.get("runtime", 1.5)
        notes.append(f"runtime {query.runtime.name} was not measured in this regime: wider interval")
    if query.model.guessed:
        wider *= known.widening.get("model", 1.3)
    if query.device.kind == "cpu" and regime not in ("memory",):
        wider *= known.widening.get("cpu", 1.5)
        notes.append("few processors were measured: wider interval")
    if query.model.experts > 1 or query.model.kind == "encoder-decoder":
        wider *= known.widening.get("model", 1.3)
        notes.append(f"no {'mixture of experts' if query.model.experts > 1 else 'encoder-decoder'} was measured enough")
    if regime == "energy":
        notes.append("energy is rated power × a share fitted on one device × predicted time")
    own = known.own_widths.get((query.device.name, regime))
    if own is not None:
        low, high, wider = -own, own, 1.0
        notes.append("pulled by own runs on this device")
    notes.extend(_fits(query))
    return Prediction(
        value,
        value * math.exp(low * wider),
        value * math.exp(high * wider),
        METRICS[query.metric],
        regime,
        "; ".join(notes),
    )


def _value(query: Query, known: Coefficients) -> float:
    if query.regime != "energy":
        return work.value_of(query, known.total(query))
    timed = replace(query, metric="tokens_s", per_device=False)
    rate = work.value_of(timed, known.total(timed))
    return (query.device.tdp_w or 300.0) * query.n_devices * known.watts / rate


def _fits(query: Query) -> list[str]:
    """A sentence when the model and its cache are larger than the memory."""
    memory = query.device.memory_gb
    if not memory or query.task == "training" or query.batch is None:
        return []
    batch = query.batch if query.model.kind != "encoder" else 1.0
    need = sum(work.memory_terms(replace(query, batch=batch)).values()) - query.n_devices
    have = memory * query.n_devices
    if need <= have:
        return []
    devices = math.ceil(need / memory / 0.9)
    return [f"does not fit: needs about {need:.0f} GB of {have:.0f} GB; {devices} such devices would hold it"]


@lru_cache(maxsize=1)
def load() -> Coefficients:
    """The fitted coefficients that come with the product."""
    values: dict[tuple[str, str, str, str], float] = {}
    widths: dict[str, tuple[float, float]] = {}
    widening: dict[str, float] = {}
    watts = 0.6
    for row in tables.rows("effects"):
        number = float(row["log_value"])
        if row["family"] == "interval":
            low, high = widths.get(row["term"], (0.0, 0.0))
            widths[row["term"]] = (number, high) if row["factor"] == "low" else (low, number)
        elif row["family"] == "widening":
            widening[row["term"]] = math.exp(number)
        elif row["family"] == "energy":
            watts = math.exp(number)
        else:
            values[row["family"], row["term"], row["factor"], row["level"]] = number
    return Coefficients(values, widths, widening, watts)
