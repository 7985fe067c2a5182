"""The predictor: time = Σ coefficient × ideal time of a term; every coefficient is a row of one CSV.

A coefficient is exp(term + effects), the effects being those of the runtime's class, the runtime, the arithmetic, the
weight format and the kind of device; an effect that no measurement told is 0. Sums of positive terms are monotone in
tokens, batch and layers, and the total is kept above what the device's dense peak allows.
Intervals: factors around the prediction from split-conformal residuals, by regime (`fit.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

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
    runtime, group, packed = query.runtime.name, query.runtime.group, weight_format(low)
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

    def total(self, query: Query, found: Mapping[str, float] | None = None) -> float:
        """The total of a query's terms: seconds, or GB."""
        family = FAMILY[query.regime]
        found = work.terms(query) if found is None else found
        at = levels(query)
        factors = FACTORS[family]
        total = 0.0
        values = self.values
        for term, amount in found.items():
            if amount <= 0:
                continue
            logarithm = values.get((family, term, "", ""), 0.0)
            for factor in factors[term]:
                logarithm += values.get((family, term, factor, at[factor]), 0.0)
            total += math.exp(logarithm) * amount
        if self.devices and family != "memory":
            total *= math.exp(values.get((family, "all", "device", at["device"]), 0.0))
        return total if family == "memory" else max(total, work.floor_s(query, dict(found)))

    def seen(self, query: Query) -> bool:
        """Whether the runtime was measured in this regime's family."""
        family = FAMILY[query.regime]
        return any(
            key[0] == family
            and key[2] in ("runtime", "runtime:arithmetic")
            and key[3].split(":")[0] == query.runtime.name
            for key in self.values
        )


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
    if not query.runtime.known or (regime != "memory" and not _runtime_seen(known, query)):
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


@lru_cache(maxsize=256)
def _seen_runtimes(identity: int, family: str) -> frozenset[str]:
    raise KeyError(identity)


_SEEN: dict[int, dict[str, frozenset[str]]] = {}


def _runtime_seen(known: Coefficients, query: Query) -> bool:
    cache = _SEEN.setdefault(id(known), {})
    family = FAMILY[query.regime]
    if family not in cache:
        cache[family] = frozenset(
            key[3].split(":")[0] for key in known.values if key[0] == family and key[2].startswith("runtime")
        )
    return query.runtime.name in cache[family]


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
