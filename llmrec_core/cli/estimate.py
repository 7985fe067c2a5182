"""`estimate`: latency, throughput, memory and energy of a model on a device, by prediction."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec_core.cli.counted_model import counted_model
from llmrec_core.cli.output import Json, print_json, refuse_unread
from llmrec_core.errors import DataError, UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.costmodel.facts.architecture import Architecture
    from llmrec_core.costmodel.facts.devices import Device
    from llmrec_core.costmodel.predict.predictor import Coefficients, Prediction

METHODS = ("full", "lora", "qlora")


def register(app: typer.Typer) -> None:
    """Add the verb `estimate`."""
    app.command()(estimate)


OF_ONE = (
    "model", "device", "precision", "batch", "input_tokens", "output_tokens", "task", "runtime",
    "devices", "sharing", "method",
)  # fmt: skip
"""What a table or a fit has of its own."""


def estimate(
    context: typer.Context,
    model: Annotated[
        str, typer.Option(help="A name of the catalogue, a folder or config.json.")
    ] = "",
    device: Annotated[
        str, typer.Option(help="A device of the catalogue, e.g. L4, or Xeon-8480+:8 for 8 cores.")
    ] = "",
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16, int8, int4-gptq, …")] = "fp16",
    batch: Annotated[float, typer.Option(help="Sequences at a time.")] = 1,
    input_tokens: Annotated[float, typer.Option(help="Tokens of the input.")] = 128,
    output_tokens: Annotated[float, typer.Option(help="Tokens generated.")] = 0,
    task: Annotated[
        str, typer.Option(help="inference, prefill, decode or training.")
    ] = "inference",
    runtime: Annotated[
        str, typer.Option(help="What runs it: pytorch, tensorrt, vllm, onnxruntime, …")
    ] = "pytorch",
    devices: Annotated[int, typer.Option(help="How many devices share the model.")] = 1,
    sharing: Annotated[
        str,
        typer.Option(help="tensor, pipeline, expert or replicas; as the runtime does when empty."),
    ] = "",
    method: Annotated[str, typer.Option(help="Training: full, lora or qlora.")] = "full",
    csv: Annotated[
        Path | None, typer.Option(help="A table with the calibration file's columns.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the predicted table goes.")] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Fit the coefficients anew on this reference folder.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine as device this-machine.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Let your finished runs pull the predictor.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Latency, throughput, memory and energy of a model on a device, with 80 % intervals."""
    _refuse_unread(context, fit, csv)
    if fit is not None:
        from llmrec_core.costmodel.calibrate import validate

        _print(validate.refit(fit), as_json)
        return
    if measure:
        _print(_measured(), as_json)
    if calibrate:
        _print(calibrated(), as_json)
    if csv is not None:
        _print(_table(csv, out), as_json)
    elif model and device:
        question = Question(
            model,
            device,
            task,
            precision,
            batch,
            input_tokens,
            output_tokens,
            runtime,
            devices,
            sharing,
            method,
        )
        shape = counted_model(model)
        _refuse_unread_of(context, shape, question)
        _print_figures(shape, question, figures(shape, question), as_json)
    elif not measure and not calibrate:
        raise UsageError(t("give --model and --device, or --csv and --out"))


def _refuse_unread(context: typer.Context, fit: Path | None, csv: Path | None) -> None:
    """Refuse what this use of the command does not read."""
    if fit is not None:
        others = (*OF_ONE, "csv", "out", "measure", "calibrate")
        refuse_unread(context, others, t("--fit reads a reference folder alone"))
    if csv is not None:
        refuse_unread(context, OF_ONE, t("each row of --csv has its own"))
    else:
        refuse_unread(context, ("out",), t("only --csv writes a table"))


def _refuse_unread_of(context: typer.Context, shape: Architecture, question: Question) -> None:
    """Refuse what a question about one model does not read."""
    if shape.kind == "encoder":
        refuse_unread(context, ("output_tokens",), t("an encoder generates nothing"))
    if question.task == "training":
        refuse_unread(context, ("output_tokens",), t("training generates nothing"))
    else:
        refuse_unread(context, ("method",), t("only --task training reads it"))
    if question.devices == 1:
        refuse_unread(context, ("sharing",), t("one device shares with nobody"))


def _measured() -> dict[str, Any]:
    """Measure this machine and remember it."""
    from llmrec_core.running.measure_machine import measure_this_machine
    from llmrec_core.settings import load_settings

    machine = measure_this_machine(load_settings().home)
    return {
        "device": machine.name,
        "gflop_per_s": round(1e3 * machine.fp32_tflops, 1),
        "gb_per_s": round(machine.bandwidth_gb_s, 1),
        "is": machine.architecture,
    }


def calibrated() -> dict[str, Any]:
    """Calibrate on the ledger's finished runs and keep the result.

    The machine is the one most runs were measured on; its peaks are remembered when it was not
    profiled before.

    Returns:
        The error before and after, in percent, and what was left out.

    Raises:
        DataError: when no finished run has the peaks of its machine.
    """
    from llmrec_core.costmodel.calibrate import own_runs
    from llmrec_core.costmodel.facts import this_machine
    from llmrec_core.ledger.ledger import Ledger
    from llmrec_core.settings import load_settings

    settings = load_settings()
    ledger = Ledger.open(settings)
    studies = [ledger.export_study(study.name) for study in ledger.studies()]
    machine = own_runs.machine_of(studies)
    if machine is None:
        raise DataError(
            t(
                "no finished run has the peaks of its machine; run `python -m llmrec_core demo` "
                "first"
            )
        )
    device = this_machine.remember(settings.home, machine)
    observed, left_out = own_runs.observations(studies, device)
    done = own_runs.calibrate(observed)
    own_runs.save(settings.home, done.coefficients)
    return {
        "device": f"{device.name} ({device.architecture}, {device.cores} cores)",
        "figures": done.runs,
        "error_before_percent": round(done.before, 1),
        "error_after_percent": round(done.after, 1),
        "after": t("each figure predicted from the others"),
        "left_out": left_out,
        "file": str(own_runs.path(settings.home)),
    }


def _table(csv: Path, out: Path | None) -> dict[str, Any]:
    """Predict every row of a table."""
    from llmrec_core.costmodel.predict import estimate_csv

    if out is None:
        raise UsageError(t("--csv needs --out FILE for the predicted table"))
    catalogue, coefficients = _facts()
    rows, predicted = estimate_csv.run(
        csv,
        out,
        catalogue=catalogue,
        coefficients=coefficients,
        progress=lambda count: print(t("{count:,} rows", count=count), file=sys.stderr, flush=True),
    )
    return {"rows": rows, "predicted": predicted, "out": str(out)}


def _facts() -> tuple[dict[str, Device], Coefficients]:
    """The devices and coefficients of this home."""
    from llmrec_core.costmodel.calibrate import own_runs
    from llmrec_core.costmodel.facts import devices
    from llmrec_core.settings import load_settings

    home = load_settings().home
    return devices.catalogue(home), own_runs.load(home)


@dataclass(frozen=True)
class Question:
    """What `estimate` is asked, as typed."""

    model: str
    device: str
    task: str
    precision: str
    batch: float
    input_tokens: float
    output_tokens: float
    runtime: str
    devices: int
    sharing: str
    method: str

    def __post_init__(self) -> None:
        from llmrec_core.costmodel.facts.bounds import QUANTITIES

        for quantity, option, value in (
            ("batch", "--batch", self.batch),
            ("input_tokens", "--input-tokens", self.input_tokens),
            ("output_tokens", "--output-tokens", self.output_tokens),
            ("devices", "--devices", self.devices),
        ):
            QUANTITIES[quantity].check(value, option)
        if self.method not in METHODS:
            raise UsageError(
                t(
                    "method {method!r}; expected one of {methods}",
                    method=self.method,
                    methods=", ".join(METHODS),
                )
            )


def figures(shape: Architecture, question: Question) -> dict[str, Prediction]:
    """Every figure that can be predicted for one question, by metric.

    Args:
        shape: the model.
        question: what is asked of it.

    Raises:
        UsageError: for a question that contradicts itself or the model.
    """
    from llmrec_core.costmodel.facts import devices
    from llmrec_core.costmodel.predict import predictor, query

    tokens = question.input_tokens + question.output_tokens
    if shape.context and tokens > shape.context:
        raise UsageError(
            t(
                "{tokens:g} tokens are beyond the context of {model}, {context}; shorten the input",
                tokens=tokens,
                model=shape.name,
                context=shape.context,
            )
        )
    catalogue, coefficients = _facts()
    precision, note = query.clean_precision(question.precision)
    answers = {}
    for metric in _metrics(shape, question):
        query_of_metric = query.Query(
            model=shape,
            device=devices.named(question.device, catalogue),
            task=question.task,
            metric=metric,
            precision=precision,
            batch=question.batch,
            input_tokens=question.input_tokens,
            output_tokens=question.output_tokens,
            n_devices=question.devices,
            runtime=query.framework(question.runtime),
            method=question.method,
            sharing=question.sharing,
            notes=(note,) if note else (),
        )
        answers[metric] = predictor.predict(query_of_metric, coefficients)
    return answers


def _metrics(shape: Architecture, question: Question) -> list[str]:
    """The figures that a question has, in the order they are shown."""
    encoder, task = shape.kind == "encoder", question.task
    rate = "throughput_seq_s" if task == "training" or encoder else "tokens_s"
    metrics = ["latency_ms", rate, "memory_gb"]
    if not encoder and task == "inference":
        if not question.output_tokens:
            raise UsageError(
                t("inference of a decoder needs --output-tokens, or ask --task prefill")
            )
        metrics.append("energy_j")
    return metrics


def _print_figures(
    shape: Architecture, question: Question, answers: dict[str, Prediction], as_json: bool
) -> None:
    from llmrec_core.costmodel.predict.weights import parameters

    counted = parameters(shape)
    source = shape.sizes.source if shape.sizes else t("the formula of a plain transformer")
    if as_json:
        print_json(
            {
                "model": shape.name,
                "device": question.device,
                "precision": question.precision,
                "task": question.task,
                "parameters": {
                    "total": counted.total,
                    "active": round(counted.active),
                    "source": source,
                },
                "figures": {metric: asdict(answer) for metric, answer in answers.items()},
            }
        )
        return
    print(
        t(
            "{model} on {device}, {precision}, {task}: predicted, 80 % interval",
            model=shape.name,
            device=question.device,
            precision=question.precision,
            task=question.task,
        )
    )
    print(
        t(
            "  weights            {total:,}, of which one token uses {active:,} ({source})",
            total=counted.total,
            active=round(counted.active),
            source=source,
        )
    )
    for metric, answer in answers.items():
        print(
            t(
                "  {metric:<18} {value:.4g}  ({low:.4g} to {high:.4g}) {unit}  {note}",
                metric=metric,
                value=answer.value,
                low=answer.low80,
                high=answer.high80,
                unit=answer.unit,
                note=answer.note,
            )
        )


def _print(body: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(body)
    else:
        print(", ".join(f"{name}: {value}" for name, value in body.items()))
