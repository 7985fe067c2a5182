"""How a row of a table becomes a question: the columns of the published measurements.

What a row does not state is assumed, and the prediction says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmrec_core.costmodel.facts import bounds, devices, model_catalogue
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.predict.query import Framework, Query, clean_precision, framework
from llmrec_core.errors import DataError
from llmrec_core.language import t, tn

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
NEEDED = {"model", "arch", "task", "gpu", "precision", "batch_size", "metric", "framework"}
DEFAULT_TOKENS = 128.0
VARIABLE_SHARE = 0.45
"""Mean length over the longest, where lengths vary."""
TRITON_OVERHEAD_S = 0.0004


def check_columns(columns: Sequence[str]) -> None:
    """Refuse a table that lacks columns a prediction needs.

    Raises:
        DataError: naming the missing columns.
    """
    missing = sorted(NEEDED - set(columns))
    if missing:
        raise DataError(
            tn(
                "the CSV lacks the column {missing}; expected the columns of the calibration "
                "file: {columns}",
                "the CSV lacks the columns {missing}; expected the columns of the calibration "
                "file: {columns}",
                len(missing),
                missing=", ".join(missing),
                columns=", ".join(COLUMNS),
            )
        )


@dataclass
class Row:
    """A row that is being read, and the notes on what it did not state."""

    cells: Mapping[str, str]
    notes: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A cell without surrounding blanks; empty where there is none."""
        return (self.cells.get(name) or "").strip()

    def number(self, name: str) -> float | None:
        """A cell as a number; None where it is empty or `max`.

        Raises:
            DataError: for a cell that is neither.
        """
        text = self.text(name)
        if not text or text.lower() == "max":
            return None
        try:
            return float(text)
        except ValueError:
            raise DataError(
                t("column {name} is {text!r}; expected a number", name=name, text=text)
            ) from None

    def model(self) -> Architecture:
        """The model, its dimensions guessed from its size where its name is not known."""
        millions = self.number("params_m")
        params = millions * 1e6 if millions else None
        model = model_catalogue.named(self.text("model"), params, self.text("arch"))
        if model.guessed:
            self.notes.append(
                t(
                    "model not in the catalogue: dimensions guessed from {params:g} M parameters",
                    params=millions,
                )
            )
        return model

    def precision(self) -> str:
        """The precision as the counts know it."""
        precision, note = clean_precision(self.text("precision"))
        if note:
            self.notes.append(note)
        return precision

    def runtime(self) -> Framework:
        """The framework; eager PyTorch for one nobody knows."""
        runtime = framework(self.text("framework"))
        if not runtime.recognised:
            self.notes.append(
                t(
                    "framework {name!r} not known: treated as eager PyTorch",
                    name=self.text("framework"),
                )
            )
        return runtime

    def batch(self) -> float | None:
        """Sequences at a time; None where the scheduler chose."""
        if self.text("batch_size").lower() == "max":
            return None
        batch = self.number("batch_size")
        if batch is None:
            self.notes.append(t("batch not stated, taken as 1"))
            return 1.0
        return batch

    def devices(self) -> int:
        """How many devices, 1 where it is not stated."""
        count = self.number("n_gpus")
        if not count:
            return 1
        bounds.check(devices=count)
        return int(count)

    def input_tokens(self, task: str, metric: str) -> float:
        """Tokens of a sequence or of a prompt."""
        tokens = self.number("seq_len") or self.number("input_len")
        if tokens is None:
            tokens = DEFAULT_TOKENS if task != "decode" and metric != "memory_gb" else 16.0
            self.notes.append(
                t("input length not stated, taken as {tokens:g} tokens", tokens=tokens)
            )
        if "variable length" in self.text("notes"):
            tokens *= VARIABLE_SHARE
            self.notes.append(
                t(
                    "variable lengths: mean taken as {share:.0f} % of the longest",
                    share=100 * VARIABLE_SHARE,
                )
            )
        return tokens

    def output_tokens(self, kind: str, task: str, metric: str) -> float:
        """Tokens that are generated."""
        output = self.number("output_len") or 0.0
        if kind != "encoder" and task == "inference" and metric != "memory_gb" and not output:
            output = DEFAULT_TOKENS
            self.notes.append(
                t("output length not stated, taken as {output:g} tokens", output=output)
            )
        return output


def from_row(cells: Mapping[str, str], catalogue: dict[str, Device] | None = None) -> Query:
    """A question from a row of a table with the columns of the published measurements.

    Args:
        cells: the row by column.
        catalogue: devices by name; the shipped ones when not given.

    Raises:
        UsageError: for a name, a number or a unit that nobody knows.
        DataError: for a cell that is no number.
    """
    row = Row(cells)
    model = row.model()
    task, metric = row.text("task") or "inference", row.text("metric")
    device = devices.named(row.text("gpu"), catalogue)
    precision, runtime = row.precision(), row.runtime()
    batch = row.batch()
    tokens = row.input_tokens(task, metric)
    output = row.output_tokens(model.kind, task, metric)
    said = row.text("notes").lower()
    instances = re.search(r"(\d{1,6}) instances", said)
    return Query(
        model=model,
        device=device,
        task=task,
        metric=metric,
        precision=precision,
        batch=batch,
        input_tokens=tokens,
        output_tokens=output,
        n_devices=row.devices(),
        runtime=runtime,
        per_device=_is_per_device(said, row.text("framework"), task, metric),
        method=_method(said, precision, runtime),
        accumulate=_accumulate(said),
        checkpointing=_checkpoints(said, runtime, row.devices(), task, metric),
        server_overhead_s=TRITON_OVERHEAD_S if row.text("framework").startswith("Triton") else 0.0,
        step_latency=task == "training" and metric == "latency_ms",
        instances=int(instances.group(1)) if instances else 1,
        notes=tuple(row.notes),
    )


def _method(said: str, precision: str, runtime: Framework) -> str:
    """How a model was trained, by the words of a row's notes."""
    if "q-lora" in said or "qlora" in said or "qlora" in precision:
        return "qlora"
    if "lora (emb)" in said:
        return "lora-emb"
    if "adapter v2" in said:
        return "adapter-v2"
    if "lora" in said or "adapter" in said:
        return "lora"
    return "full-lean" if runtime.name == "torchtune" else "full"


def _is_per_device(said: str, framework: str, task: str, metric: str) -> bool:
    """Whether a row's figure is of one device: by its notes, or as its framework reports memory."""
    if "per gpu, static" in said or "tokens/s per gpu" in said:
        return True
    by_device = ("litgpt", "torchtune")  # their tables give the peak of one GPU
    return task == "training" and metric == "memory_gb" and framework.lower() in by_device


def _checkpoints(said: str, runtime: Framework, devices: int, task: str, metric: str) -> bool:
    """Whether activations are computed again: said so, or by the framework."""
    if "activation_checkpointing=true" in said:
        return True
    if task != "training" or metric != "memory_gb":
        return False
    return runtime.name == "hf-trainer" or (runtime.name == "litgpt" and devices > 1)


def _accumulate(said: str) -> int:
    """Micro-batches of an optimiser step, by the words of a row's notes."""
    stated = re.search(r"grad(?:ient)?[_ ]accum(?:ulation)?[ =](\d{1,6})", said)
    if stated:
        return max(1, int(stated.group(1)))
    return 4 if "gradient accumulation" in said else 1
