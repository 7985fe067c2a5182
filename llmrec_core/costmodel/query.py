"""One question to the predictor, and how a row of the calibration file becomes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from llmrec_core.costmodel import architecture, counts, devices, tables
from llmrec_core.costmodel.architecture import Architecture
from llmrec_core.costmodel.devices import Device
from llmrec_core.errors import DataError, UsageError

TASKS = ("inference", "prefill", "decode", "training")
METRICS = {
    "latency_ms": "ms",
    "throughput_seq_s": "sequences/s",
    "tokens_s": "tokens/s",
    "memory_gb": "GB",
    "energy_j": "J/token",
}
COLUMNS = [
    "source",
    "model",
    "params_m",
    "arch",
    "task",
    "gpu",
    "n_gpus",
    "precision",
    "batch_size",
    "seq_len",
    "input_len",
    "output_len",
    "metric",
    "value",
    "framework",
    "group",
    "quality",
    "notes",
]
DEFAULT_TOKENS = 128.0


@dataclass(frozen=True)
class Framework:
    """How a runtime launches kernels and splits a model over devices."""

    name: str
    group: str
    """engine (fused kernels, one launch queue), graph (compiled graph), server, eager, trainer."""
    tensor_parallel: bool
    flash: bool
    gib: bool
    known: bool = True


@lru_cache(maxsize=512)
def framework(text: str) -> Framework:
    """The framework class of a name as people write it; an unknown one counts as eager PyTorch, marked unknown."""
    low = text.lower()
    for row in tables.rows("runtimes"):
        if re.search(row["pattern"], low):
            return Framework(
                row["framework"],
                row["class"],
                row["split"] == "tensor",
                row["flash"] == "1",
                row["memory_unit"] == "GiB",
            )
    return Framework("eager", "eager", False, False, False, known=False)


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
    """Training: full, lora, lora-emb or qlora."""
    accumulate: int = 1
    """Micro-batches per optimiser step."""
    checkpointing: bool = False
    server_overhead_s: float = 0.0
    step_latency: bool = False
    """Training latency is of a whole optimiser step of `accumulate` micro-batches."""
    instances: int = 1
    """Copies of the model that share the device (processors)."""
    sharded: bool = True
    scope: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UsageError(f"task {self.task!r}; expected one of {', '.join(TASKS)}")
        if self.metric not in METRICS:
            raise UsageError(f"metric {self.metric!r}; expected one of {', '.join(METRICS)}")
        counts.check_sizes(batch=self.batch, input_tokens=self.input_tokens, devices=self.n_devices)
        if self.output_tokens < 0:
            raise UsageError(f"output tokens is {self.output_tokens:g}; expected 0 or more")
        counts.weight_bits(self.precision.split("+")[0])

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
    """A precision as the counts know it, and a note when it had to be assumed."""
    low = text.strip().lower()
    base = low.split("+")[0].strip()
    if base in counts.WEIGHT_BITS:
        return low.replace(" ", ""), ""
    if base in PRECISION_ALIASES:
        return PRECISION_ALIASES[base], "" if base and base != "unknown" else "precision not stated, taken as fp16"
    for name in sorted(counts.WEIGHT_BITS, key=len, reverse=True):
        if base.startswith(name):
            return name, f"precision {text!r} taken as {name}"
    if "int4" in base or "q4" in base or "4bit" in base:
        return "int4-weight", f"precision {text!r} taken as int4 weights"
    if base.startswith("unknown"):
        return "fp16", f"precision {text!r} taken as fp16"
    raise UsageError(f"unknown precision {text!r}; expected one of {', '.join(sorted(counts.WEIGHT_BITS))}")


def _number(row: Mapping[str, str], name: str) -> float | None:
    text = (row.get(name) or "").strip()
    if not text or text.lower() == "max":
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"column {name} is {text!r}; expected a number") from None


def check_columns(found: list[str]) -> None:
    """Refuse a table that lacks columns a prediction needs.

    Raises:
        DataError: naming the missing columns.
    """
    needed = {"model", "arch", "task", "gpu", "precision", "batch_size", "metric", "framework"}
    missing = sorted(needed - set(found))
    if missing:
        raise DataError(
            f"the CSV lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"expected the columns of the calibration file: {', '.join(COLUMNS)}"
        )


def from_row(row: Mapping[str, str], known: dict[str, Device] | None = None) -> Query:
    """A query from a row of a table with the calibration file's columns; lengths not stated are assumed and noted.

    Raises:
        UsageError, DataError: for a row that cannot be understood.
    """
    notes: list[str] = []
    text = row.get("notes") or ""
    params = _number(row, "params_m")
    kind = (row.get("arch") or "").strip()
    model = architecture.named(row["model"], params * 1e6 if params else None, kind)
    if model.guessed:
        notes.append(f"model not in the catalogue: dimensions guessed from {params:g} M parameters")
    device = devices.named(row["gpu"], known)
    precision, note = clean_precision(row.get("precision") or "")
    if note:
        notes.append(note)
    task = (row.get("task") or "inference").strip()
    metric = (row.get("metric") or "").strip()
    runtime = framework(row.get("framework") or "")
    if not runtime.known:
        notes.append(f"framework {row.get('framework')!r} not known: treated as eager PyTorch")
    batch = _number(row, "batch_size")
    maximum = (row.get("batch_size") or "").strip().lower() == "max"
    if batch is None and not maximum:
        batch = 1.0
        notes.append("batch not stated, taken as 1")
    tokens = _number(row, "seq_len") or _number(row, "input_len")
    output = _number(row, "output_len") or 0.0
    if tokens is None:
        tokens = DEFAULT_TOKENS if task != "decode" and metric != "memory_gb" else 16.0
        notes.append(f"input length not stated, taken as {tokens:g} tokens")
    if model.kind != "encoder" and task == "inference" and metric != "memory_gb" and not output:
        output = DEFAULT_TOKENS
        notes.append(f"output length not stated, taken as {output:g} tokens")
    if "variable length" in text:
        tokens *= 0.45
        notes.append("variable lengths: mean taken as 45 % of the longest")
    instances = re.search(r"(\d+) instances", text)
    low = text.lower()
    method = "full"
    if "q-lora" in low or "qlora" in low or "qlora" in precision:
        method = "qlora"
    elif "lora (emb)" in low:
        method = "lora-emb"
    elif "lora" in low:
        method = "lora"
    accumulate = re.search(r"grad(?:ient)?[_ ]accum(?:ulation)?[ =](\d+)", low)
    accumulated = int(accumulate.group(1)) if accumulate else 4 if "gradient accumulation" in low else 1
    return Query(
        model=model,
        device=device,
        task=task,
        metric=metric,
        precision=precision,
        batch=None if maximum else batch,
        input_tokens=tokens,
        output_tokens=output,
        n_devices=int(_number(row, "n_gpus") or 1),
        runtime=runtime,
        per_device="per gpu, static" in low or "tokens/s per gpu" in low,
        method=method,
        accumulate=max(1, accumulated),
        checkpointing="activation_checkpointing=true" in low,
        server_overhead_s=0.0004 if (row.get("framework") or "").startswith("Triton") else 0.0,
        step_latency=task == "training" and metric == "latency_ms",
        instances=int(instances.group(1)) if instances else 1,
        scope="layers" if "layers only" in low else "",
        sharded="summed over" not in low or method == "full" or "qlora" in low,
        notes=tuple(notes),
    )
