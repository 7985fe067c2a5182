"""The predictor: time is a sum of coefficient × ideal time over terms, all rows of one CSV.

A coefficient is exp(term + effects), the effects being those of the runtime's class, the runtime,
its version, the arithmetic, the weight format and the kind of device; an effect that no measurement
told is 0.
Sums of positive terms are monotone in tokens, batch and layers, and the total is kept above what
the device's dense peak allows. Eager PyTorch on a GPU launches kernels while earlier ones run:
there host and device times meet in a soft maximum. Intervals are factors around the prediction
from split-conformal residuals, by regime (`calibrate/validate.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial

from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.costmodel.facts.devices import arithmetic
from llmrec_core.costmodel.predict import sharing, work
from llmrec_core.costmodel.predict.memory import on_each_gb
from llmrec_core.costmodel.predict.query import METRICS, Query
from llmrec_core.costmodel.predict.weights import PACKED
from llmrec_core.language import t

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
        "compute": ("group", "runtime", "arithmetic", "runtime:arithmetic", "version", "kind"),
        "attention": ("group", "runtime"),
        "scores": ("group", "runtime"),
        "activations": ("group", "runtime", "runtime:arithmetic", "version"),
        "weights": (),
        "launch": ("group", "runtime", "version", "kind"),
        "depth": ("group", "arithmetic", "kind"),
        "base": ("group", "runtime"),
        "all": ("device",),
    },
    "training": {
        "compute": ("group", "runtime", "arithmetic", "kind"),
        "attention": ("group",),
        "scores": ("group", "runtime"),
        "activations": ("group", "runtime", "arithmetic"),
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
    if low.startswith(PACKED):
        return SAME_FORMAT.get(low, low)
    return arithmetic(low) if arithmetic(low) in ("int8", "fp8", "fp4") else "16"


SAME_FORMAT = {
    **dict.fromkeys(("int4-awq", "int4-weight", "int4"), "int4-gptq"),
    "nf4-dq": "nf4",
}
"""Formats whose kernels are alike."""


REFERENCE_FORMAT = "16"
"""The format whose effect is none: an unmeasured one then costs what 16 bit do."""


def levels(query: Query) -> dict[str, str]:
    """The level of every factor for one query."""
    low = query.weights_precision
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
        "version": query.runtime.version and f"{runtime}:{query.runtime.version}",
        "group:format": "" if packed == REFERENCE_FORMAT else f"{group}:{packed}",
    }


HOST = {"launch", "base", "step_launch", "step_base"}
"""Terms of the processor that launches kernels."""
STEP = {
    "weights",
    "stream",
    "cache",
    "products",
    "step_launch",
    "step_base",
    "sampling",
    "comm",
    "hops",
}
"""Terms of decoding steps; all others of `generation` are of the prompt."""
POWER = 4.0
"""Sharpness of the soft maximum of launching and computing."""


def overlaps(query: Query) -> bool:
    """Whether kernels run while the next ones are launched, so that the slower one counts."""
    return (
        query.runtime.group == "eager"
        and query.device.kind == "gpu"
        and FAMILY[query.regime] == "generation"
    )


def bin_of(family: str, term: str, asynchronous: bool) -> int:
    """0 and 1: device and host of a pass or prompt; 2 and 3: of decoding steps.

    Args:
        family: of the query's regime, e.g. `generation`.
        term: name of a term of the prediction.
        asynchronous: whether kernels run while the next ones are launched, see `overlaps`.
    """
    return 2 * (family == "generation" and term in STEP) + (asynchronous and term in HOST)


def together(device_s: float, host_s: float) -> float:
    """The soft maximum of two times that overlap; with no host time the device's own.

    Args:
        device_s: seconds on the device.
        host_s: seconds on the host, 0 where none are known.
    """
    if host_s == 0.0:
        return device_s
    longest = max(device_s, host_s)
    return float(
        longest * ((device_s / longest) ** POWER + (host_s / longest) ** POWER) ** (1 / POWER)
    )


@dataclass(frozen=True)
class Coefficients:
    """Logarithms of coefficients by (family, term, factor, level); a term's own factor is empty."""

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
    """Own runs: (device, regime, precision; empty is any) → log of measured over predicted."""
    own_widths: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Own runs: (device, regime) → half the 80 % interval, a logarithm."""

    def total(self, query: Query, ideal: Mapping[str, float] | None = None) -> float:
        """The total of a query's terms: seconds, or GB.

        Args:
            query: the question.
            ideal: its terms, when they are at hand.
        """
        family = FAMILY[query.regime]
        ideal = work.terms(query) if ideal is None else ideal
        at = levels(query)
        factors = FACTORS[family]
        bins = [0.0, 0.0, 0.0, 0.0]
        values = self.values
        asynchronous = overlaps(query)
        for term, amount in ideal.items():
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
        return max(total * math.exp(self.pull(query)), work.floor_s(query, dict(ideal)))

    def pull(self, query: Query) -> float:
        """What own runs on this device say: the sum over device, regime and precision."""
        if not self.pulls:
            return 0.0
        name, regime = query.device.name, query.regime
        keys = ((name, "", ""), (name, regime, ""), (name, regime, query.precision))
        return sum(self.pulls.get(key, 0.0) for key in keys)

    @cached_property
    def measured(self) -> dict[tuple[str, str], frozenset[str]]:
        """Levels that were measured, by family and factor."""
        by_factor: dict[tuple[str, str], set[str]] = {}
        for family, _, factor, level in self.values:
            by_factor.setdefault((family, factor), set()).add(level)
        return {key: frozenset(names) for key, names in by_factor.items()}

    @cached_property
    def runtimes(self) -> dict[str, frozenset[str]]:
        """Runtimes measured in each family."""
        measured: dict[str, set[str]] = {family: set() for family in FACTORS}
        for family, _, factor, level in self.values:
            if factor == "runtime":
                measured[family].add(level)
        return {family: frozenset(names) for family, names in measured.items()}


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

    Args:
        query: the question.
        coefficients: pulled by own runs; the product's when not given.

    Raises:
        UnsupportedError: when the device lacks the arithmetic.
    """
    coefficients = coefficients or load()
    value = value_of(query, coefficients)
    regime = query.regime
    low, high = coefficients.widths.get(regime) or coefficients.widths.get("other") or (-0.7, 0.7)
    wider, notes = _doubts(query, coefficients)
    own = coefficients.own_widths.get((query.device.name, regime))
    if own is not None:
        low, high, wider = -own, own, 1.0
        notes.append(t("pulled by own runs on this device"))
    return Prediction(
        value,
        value * math.exp(low * wider),
        value * math.exp(high * wider),
        METRICS[query.metric],
        regime,
        "; ".join([*query.notes, *notes, *_shared(query), *_fits(query)]),
    )


def _doubts(query: Query, coefficients: Coefficients) -> tuple[float, list[str]]:
    """What the interval is multiplied by, and why."""
    regime, model = query.regime, query.model
    wider, notes = 1.0, []
    measured = coefficients.runtimes[FAMILY[regime]]
    if not query.runtime.recognised or (
        regime != "memory" and levels(query)["runtime"] not in measured
    ):
        wider *= coefficients.widening.get("runtime", 1.5)
        notes.append(
            t(
                "runtime {name} was not measured in this regime: wider interval",
                name=query.runtime.name,
            )
        )
    of_model = coefficients.widening.get("model", 1.3)
    if model.guessed:
        wider *= of_model
    if query.device.kind == "cpu" and regime != "memory":
        wider *= coefficients.widening.get("cpu", 1.5)
        notes.append(t("few processors were measured: wider interval"))
    if model.experts > 1:
        wider *= of_model
        notes.append(t("no mixture of experts was measured enough"))
    elif model.kind == "encoder-decoder":
        wider *= of_model
        notes.append(t("no encoder-decoder was measured enough"))
    if model.unknown:
        wider *= of_model
        notes.extend(t(sentence) for sentence in model.unknown)
    beyond = _extrapolated(query, coefficients)
    wider *= of_model ** len(beyond)
    notes.extend(beyond)
    if query.mode in UNMEASURED_MODES and query.n_devices > 1:
        wider *= of_model
        notes.append(t("no model shared in this way was measured"))
    if regime == "energy":
        notes.append(t("energy is rated power × a share fitted on one device × predicted time"))
    return wider, notes


MOST_MEASURED = 8
"""Most devices that share one model in the published measurements."""


def _extrapolated(query: Query, coefficients: Coefficients) -> list[str]:
    """In what the question lies beyond everything that was measured."""
    family, at = FAMILY[query.regime], levels(query)
    notes = []
    seen_levels = [(at[factor], coefficients.measured.get((family, factor))) for factor in NUMBERS]
    if any(measured and level not in measured for level, measured in seen_levels):
        notes.append(
            t(
                "nothing in {precision} was measured in this regime: wider interval",
                precision=query.weights_precision,
            )
        )
    if query.n_devices > MOST_MEASURED and query.mode != sharing.REPLICAS:
        notes.append(
            t("no model over more than {most} devices was measured: wider", most=MOST_MEASURED)
        )
    return notes


NUMBERS = ("format", "arithmetic")
"""Factors that say in what numbers weights are kept and multiplied."""
UNMEASURED_MODES = (sharing.EXPERT,)
"""Ways to share a model that no published measurement behind the fit has."""


def _shared(query: Query) -> list[str]:
    """How several devices share the model, and what each holds."""
    n = query.n_devices
    if n == 1:
        return []
    values = {"n": n, "mode": t(sharing.MODES[query.mode])}
    if query.task == "training":
        return [t("{n} devices, {mode}", **values)]
    return [
        t("{n} devices, {mode}; about {each:.1f} GB on each", each=on_each_gb(query, n), **values)
    ]


def value_of(query: Query, coefficients: Coefficients) -> float:
    """The figure a query asks for, without its interval.

    Args:
        query: the question.
        coefficients: the coefficients.
    """
    if query.regime != "energy":
        return work.value_of(query, coefficients.total(query))
    timed = replace(query, metric="tokens_s", per_device=False)
    rate = work.value_of(timed, coefficients.total(timed))
    return (query.device.tdp_w or TYPICAL_W) * query.n_devices * coefficients.watts / rate


TYPICAL_W = 300.0
"""Rated power of a device whose sheet is silent."""


def _fits(query: Query) -> list[str]:
    """A sentence when a device's part of the model and its cache are larger than its memory."""
    memory_gb = query.device.memory_gb
    if not memory_gb or query.task == "training" or query.batch is None:
        return []
    whole = replace(query, batch=query.batch if query.model.kind != "encoder" else 1.0)
    need_gb = on_each_gb(whole, query.n_devices)
    if need_gb <= memory_gb:
        return []
    values = {"need": need_gb * query.n_devices, "have": memory_gb * query.n_devices}
    for mode in (query.mode, sharing.PIPELINE):
        if mode == sharing.REPLICAS:
            continue
        each_gb = partial(on_each_gb, replace(whole, sharing=mode, n_devices=1))
        devices = sharing.fewest(query.model, mode, each_gb, memory_gb)
        if devices is not None:
            return [
                t(
                    "does not fit: needs about {need:.0f} GB of {have:.0f} GB; {devices} such "
                    "devices would hold it ({mode})",
                    devices=devices,
                    mode=t(sharing.MODES[mode]),
                    **values,
                )
            ]
    return [
        t(
            "does not fit: needs about {need:.0f} GB of {have:.0f} GB; no number of such devices "
            "holds it",
            **values,
        )
    ]


@lru_cache(maxsize=1)
def load() -> Coefficients:
    """The fitted coefficients that come with the product."""
    values: dict[tuple[str, str, str, str], float] = {}
    widths: dict[str, tuple[float, float]] = {}
    widening: dict[str, float] = {}
    watts = 0.6
    for row in csv_facts.rows("effects"):
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
