"""One question to the predictor: a model on devices, doing a task, and which figure of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from llmrec_core.costmodel.facts import bounds, csv_facts
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.devices import Device, arithmetic
from llmrec_core.costmodel.predict import sharing, weights
from llmrec_core.errors import UsageError
from llmrec_core.language import t

TASKS = ("inference", "prefill", "decode", "training")
METRICS = {
    "latency_ms": "ms",
    "throughput_seq_s": "sequences/s",
    "tokens_s": "tokens/s",
    "memory_gb": "GB",
    "energy_j": "J/token",
}


@dataclass(frozen=True)
class Framework:
    """How a runtime launches kernels and splits a model over devices."""

    name: str
    group: str
    """engine (fused kernels, one launch queue), graph (compiled graph), server, eager, trainer."""
    tensor_parallel: bool
    flash: bool
    gib: bool
    recognised: bool = True
    """Whether the name was one of the table's."""
    version: str = ""
    """The generation of its kernels, where several were measured."""


@lru_cache(maxsize=512)
def framework(text: str) -> Framework:
    """The framework class of a name as people write it.

    An unknown one counts as eager PyTorch, marked unknown.
    """
    low = text.lower()
    for row in csv_facts.rows("runtimes"):
        if re.search(row["pattern"], low):
            return Framework(
                row["framework"],
                row["class"],
                row["split"] == "tensor",
                row["flash"] == "1",
                row["memory_unit"] == "GiB",
                version=row["version"],
            )
    return Framework("eager", "eager", False, False, False, recognised=False)


@dataclass(frozen=True)
class Query:
    """What is asked: a model on a device, doing a task, and which figure of it."""

    model: Architecture
    device: Device
    task: str
    metric: str
    precision: str
    batch: float | None
    """Sequences at a time and device; None lets memory decide (a scheduler at full load)."""
    input_tokens: float
    output_tokens: float = 0.0
    n_devices: int = 1
    runtime: Framework = field(default_factory=lambda: framework("pytorch"))
    per_device: bool = False
    """The figure is wanted per device, not in total."""
    method: str = "full"
    """Training: full, full-lean, lora, lora-emb, adapter-v2 or qlora."""
    accumulate: int = 1
    """Micro-batches per optimiser step."""
    checkpointing: bool = False
    server_overhead_s: float = 0.0
    step_latency: bool = False
    """Training latency is of a whole optimiser step of `accumulate` micro-batches."""
    instances: int = 1
    """Copies of the model that share the device (processors)."""
    sharing: str = ""
    """How several devices share the model, a key of `sharing.MODES`; by the runtime when empty."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("task", self.task, TASKS),
            ("metric", self.metric, METRICS),
        ):
            if value not in allowed:
                raise UsageError(
                    t(
                        "{name} {value!r}; expected one of {known}",
                        name=name,
                        value=value,
                        known=", ".join(allowed),
                    )
                )
        bounds.check(
            batch=self.batch,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            devices=self.n_devices,
            accumulate=self.accumulate,
            instances=self.instances,
        )
        weights.weight_bits(self.weights_precision)
        if self.n_devices > 1 and not self.model.guessed:
            sharing.check(self.model, self.mode, self.n_devices)

    @property
    def weights_precision(self) -> str:
        """The precision of the weights, without what is said of the cache."""
        return self.precision.split("+")[0]

    @property
    def cache_bits(self) -> float:
        """Bits of a kept key or value; TensorRT-LLM keeps 8 beside 8-bit and 4-bit products."""
        if "int8kv" in self.precision:
            return 8.0
        narrow = arithmetic(self.weights_precision) in ("fp8", "fp4")
        return 8.0 if narrow and self.runtime.name.startswith("trtllm") else 16.0

    @property
    def mode(self) -> str:
        """How the devices share the model: as asked, else as the runtime does."""
        if self.sharing:
            return self.sharing
        if self.task == "training" or self.model.kind == "encoder":
            return sharing.REPLICAS
        return sharing.TENSOR if self.runtime.tensor_parallel else sharing.PIPELINE

    @property
    def regime(self) -> str:
        """The regime whose residuals give the interval."""
        if self.metric == "memory_gb":
            return "memory"
        if self.metric == "energy_j":
            return "energy"
        if self.task == "training":
            return "training"
        if self.model.kind == "encoder":
            return "encoder"
        if self.task == "prefill":
            return "prefill"
        if self.task == "decode" and (self.batch or 2) <= 1:
            return "decode"
        return "serving"


PRECISION_ALIASES = {
    "float32": "fp32",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "int4-q4_0": "int4-q4_k_m",
    "q4_k_m": "int4-q4_k_m",
    "awq": "int4-awq",
    "gptq": "int4-gptq",
    "int4-nf4": "nf4",
    "bnb-nf4": "nf4",
    "int8-weight-only": "int8-weight",
    "int4-weight-only": "int4-weight",
    "unknown": "fp16",
    "": "fp16",
}


def clean_precision(text: str) -> tuple[str, str]:
    """A precision as the counts know it, and a note when it had to be assumed.

    Raises:
        UsageError: for a precision nobody knows.
    """
    low = text.strip().lower()
    base = low.split("+")[0].strip()
    if base in weights.WEIGHT_BITS:
        return low.replace(" ", ""), ""
    if base in PRECISION_ALIASES:
        stated = base and base != "unknown"
        note = "" if stated else t("precision not stated, taken as fp16")
        return PRECISION_ALIASES[base], note
    for name in sorted(weights.WEIGHT_BITS, key=len, reverse=True):
        if base.startswith(name):
            return name, t("precision {text!r} taken as {name}", text=text, name=name)
    if "int4" in base or "q4" in base or "4bit" in base:
        return "int4-weight", t("precision {text!r} taken as int4 weights", text=text)
    if base.startswith("unknown"):
        return "fp16", t("precision {text!r} taken as fp16", text=text)
    raise UsageError(
        t(
            "unknown precision {text!r}; expected one of {known}",
            text=text,
            known=", ".join(sorted(weights.WEIGHT_BITS)),
        )
    )
