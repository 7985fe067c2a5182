"""`estimate` and `plan` of the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_core.errors import DataError, UsageError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on the last line of stdout.")]
TASK_METRIC = {"prefill": "latency_ms", "decode": "tokens_s", "training": "throughput_seq_s"}


def register(app: typer.Typer) -> None:
    """Add the verbs `estimate` and `plan`."""
    app.command("estimate")(estimate)
    app.command("plan")(plan)


def estimate(
    model: Annotated[str, typer.Option(help="A name of the catalogue, a folder or config.json.")] = "",
    device: Annotated[str, typer.Option(help="A device of the catalogue, e.g. L4, or Xeon-8480+:8 for 8 cores.")] = "",
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16, int8, int4-gptq, …")] = "fp16",
    batch: Annotated[float, typer.Option(help="Sequences at a time.")] = 1,
    input_tokens: Annotated[float, typer.Option(help="Tokens of the input.")] = 128,
    output_tokens: Annotated[float, typer.Option(help="Tokens generated.")] = 0,
    task: Annotated[str, typer.Option(help="inference, prefill, decode or training.")] = "inference",
    runtime: Annotated[str, typer.Option(help="What runs it: pytorch, tensorrt, vllm, onnxruntime, …")] = "pytorch",
    devices: Annotated[int, typer.Option(help="How many devices share the model.")] = 1,
    method: Annotated[str, typer.Option(help="Training: full, lora or qlora.")] = "full",
    csv: Annotated[Path | None, typer.Option(help="A table with the calibration file's columns.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the predicted table goes.")] = None,
    fit: Annotated[Path | None, typer.Option(help="Fit the coefficients anew on this reference folder.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Measure this machine as device this-machine.")] = False,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Let your finished runs pull the predictor.")] = False,
    as_json: Json = False,
) -> None:
    """Latency, throughput, memory and energy of a model on a device, with 80 % intervals."""
    from llmrec_core.costmodel import batch as tables
    from llmrec_core.costmodel import devices as catalogue
    from llmrec_core.costmodel import own, own_runs
    from llmrec_core.settings import load_settings

    if fit is not None:
        from llmrec_core.costmodel import validate

        _print(validate.refit(fit), as_json)
        return
    home = load_settings().home
    if measure:
        found = own.measure(home)
        _print({"device": found.name, "gflop_per_s": round(1e3 * found.fp32_tflops, 1),
                "gb_per_s": round(found.bandwidth_gb_s, 1), "is": found.architecture}, as_json)  # fmt: skip
    if calibrate:
        _print(calibrated(), as_json)
    if (measure or calibrate) and not model and csv is None:
        return
    known, coefficients = catalogue.catalogue(home), own_runs.load(home)
    if csv is not None:
        if out is None:
            raise UsageError("--csv needs --out FILE for the predicted table")
        rows, predicted = tables.run(
            csv,
            out,
            known=known,
            coefficients=coefficients,
            progress=lambda n: print(f"{n:,} rows", file=sys.stderr, flush=True),
        )
        _print({"rows": rows, "predicted": predicted, "out": str(out)}, as_json)
        return
    if not model or not device:
        raise UsageError("give --model and --device, or --csv and --out")
    body = figures(
        model,
        device,
        precision,
        batch,
        input_tokens,
        output_tokens,
        task,
        runtime,
        devices,
        method,
        known,
        coefficients,
    )
    _print(body, as_json)


def calibrated() -> dict[str, Any]:
    """Calibrate on the ledger's finished runs and keep the result; the error before and after, in percent.

    The machine is the one most runs were measured on; its peaks are remembered when it was not profiled before.
    """
    from llmrec_core.costmodel import own, own_runs
    from llmrec_core.experiments.ledger import Ledger
    from llmrec_core.settings import load_settings

    settings = load_settings()
    ledger = Ledger.open(settings)
    studies = [ledger.export_study(one.name) for one in ledger.studies()]
    machine = own_runs.machine_of(studies)
    if machine is None:
        raise DataError("no finished run has the peaks of its machine; run `python -m llmrec_core demo` first")
    device = own.remember(settings.home, machine)
    found, skipped = own_runs.observations(studies, device)
    done = own_runs.calibrate(found)
    own_runs.save(settings.home, done.coefficients)
    return {
        "device": f"{device.name} ({device.architecture}, {device.cores} cores)",
        "figures": done.runs,
        "error_before_percent": round(done.before, 1),
        "error_after_percent": round(done.after, 1),
        "after": "each figure predicted from the others",
        "left_out": skipped,
        "file": str(own_runs.path(settings.home)),
    }


def figures(
    model: str,
    device: str,
    precision: str,
    batch: float,
    input_tokens: float,
    output_tokens: float,
    task: str,
    runtime: str,
    devices: int,
    method: str,
    known: Any,
    coefficients: Any = None,
) -> dict[str, Any]:
    """Every figure that can be predicted for one question, by metric."""
    from llmrec_core.costmodel import architecture, query
    from llmrec_core.costmodel import devices as catalogue
    from llmrec_core.costmodel import model as predictor

    if method not in ("full", "lora", "qlora"):
        raise UsageError(f"method {method!r}; expected full, lora or qlora")
    shape = architecture.load(model)
    if shape.context and input_tokens + output_tokens > shape.context:
        raise UsageError(
            f"{input_tokens + output_tokens:g} tokens are beyond the context of {shape.name}, {shape.context}; shorten the input"
        )
    clean, note = query.clean_precision(precision)
    metrics = ["latency_ms", "memory_gb"]
    if task == "training" or shape.kind == "encoder":
        metrics.insert(1, "throughput_seq_s")
    else:
        metrics.insert(1, "tokens_s")
    if shape.kind != "encoder" and task == "inference":
        if not output_tokens:
            raise UsageError("inference of a decoder needs --output-tokens, or ask --task prefill")
        metrics.append("energy_j")
    found = {}
    for metric in metrics:
        asked = query.Query(
            model=shape,
            device=catalogue.named(device, known),
            task=task,
            metric=metric,
            precision=clean,
            batch=batch,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            n_devices=devices,
            runtime=query.framework(runtime),
            method=method,
            notes=(note,) if note else (),
        )
        found[metric] = asdict(predictor.predict(asked, coefficients))
    return {"model": shape.name, "device": device, "precision": clean, "task": task, "figures": found}


def plan(
    model: Annotated[str, typer.Option(help="A name of the catalogue, a folder or config.json.")] = "minilm-l6-h384",
    device: Annotated[str, typer.Option(help="Devices by comma; all of the catalogue when empty.")] = "",
    users: Annotated[float, typer.Option(help="Users; with --requests-per-user-day.")] = 0,
    requests_per_user_day: Annotated[float, typer.Option(help="Requests of a user in a day.")] = 1,
    requests_per_s: Annotated[float, typer.Option(help="Mean requests per second, instead of users.")] = 0,
    requests_per_day: Annotated[float, typer.Option(help="Requests in a day, instead of users.")] = 0,
    peak: Annotated[float, typer.Option(help="Busiest hour over the mean.")] = 2.5,
    p95_ms: Annotated[float, typer.Option(help="Latency that 95 % of requests meet.")] = 200,
    candidates: Annotated[int, typer.Option(help="Candidates per request.")] = 100,
    history_tokens: Annotated[float, typer.Option(help="Tokens of a history.")] = 160,
    candidate_tokens: Annotated[float, typer.Option(help="Tokens of a candidate.")] = 12,
    mode: Annotated[str, typer.Option(help="full, shared or per_item.")] = "shared",
    keep: Annotated[int, typer.Option(help="Cascade: candidates the model reads; 0 reads all.")] = 0,
    hit_rate: Annotated[float, typer.Option(help="Share answered from a cache.")] = 0,
    spare: Annotated[int, typer.Option(help="Spare devices for availability.")] = 1,
    retrain_hours: Annotated[float, typer.Option(help="Device hours of retraining a month.")] = 0,
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8, …")] = "fp16",
    runtime: Annotated[str, typer.Option(help="What runs it.")] = "pytorch",
    price: Annotated[str, typer.Option(help="on-demand, spot or reserved.")] = "on-demand",
    usd_per_hour: Annotated[float | None, typer.Option(help="Your own price of a device hour.")] = None,
    region: Annotated[str, typer.Option(help="Grid: a country or region.")] = "world",
    curve: Annotated[bool, typer.Option("--curve", help="From 10^3 to 10^9 users.")] = False,
    as_json: Json = False,
) -> None:
    """Devices, dollars and tonnes a month for your traffic: the cheapest plan and why the next one loses."""
    from llmrec_core.costmodel import architecture, own_runs, planner, prices, query
    from llmrec_core.costmodel import devices as catalogue
    from llmrec_core.settings import load_settings

    given = [
        name
        for name, value in (
            ("--users", users),
            ("--requests-per-s", requests_per_s),
            ("--requests-per-day", requests_per_day),
        )
        if value
    ]
    if not given and not curve:
        raise UsageError("give the traffic: --users, --requests-per-s or --requests-per-day")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} both state the traffic; give one")
    daily = requests_per_day or requests_per_s * 86400 or users * requests_per_user_day or 1.0
    traffic = planner.Traffic(
        daily,
        peak,
        p95_ms / 1e3,
        candidates,
        history_tokens,
        candidate_tokens,
        mode,
        keep,
        hit_rate,
        spare,
        retrain_hours,
    )
    home = load_settings().home
    known = catalogue.catalogue(home)
    chosen = [catalogue.named(name, known) for name in device.split(",")] if device else list(known.values())
    options = {
        "precision": query.clean_precision(precision)[0],
        "runtime": query.framework(runtime),
        "price": price,
        "usd_per_hour": usd_per_hour,
        "g_per_kwh": prices.intensity(region),
        "known": own_runs.load(home),
    }
    shape = architecture.load(model)
    offered = {one.name: one for one in chosen}
    if curve:
        points = planner.curve(shape, traffic, offered, requests_per_user_day, **options)
        _print({"curve": points}, as_json, lines=[f"{one['users']:.0e} users: {one['sentence']}" for one in points])
        return
    answer = planner.plan(shape, traffic, offered, **options)
    lines = [answer.sentence]
    for one in answer.plans:
        cost = f"${one.usd_per_month:,.0f}" if one.usd_per_month is not None else "no price"
        if one.devices:
            lines.append(
                f"  {one.devices:>6} × {one.device:<26} {cost:>12}  p95 {1000 * (one.p95_s or 0):7.1f} ms  "
                f"busy {100 * (one.utilisation or 0):3.0f} %  {one.t_co2e_per_month:.2f} tCO2e"
            )
        else:
            lines.append(f"       – {one.device:<26} {one.reason}")
    _print(answer.document(), as_json, lines=lines)


def _print(body: dict[str, Any], as_json: bool, lines: list[str] | None = None) -> None:
    if as_json:
        print(json.dumps(body, ensure_ascii=False, default=str), flush=True)
    elif lines:
        print("\n".join(lines))
    elif "figures" in body:
        print(f"{body['model']} on {body['device']}, {body['precision']}, {body['task']}: predicted, 80 % interval")
        for name, one in body["figures"].items():
            print(
                f"  {name:<18} {one['value']:.4g}  ({one['low80']:.4g} to {one['high80']:.4g}) {one['unit']}  {one['note']}"
            )
    else:
        print(", ".join(f"{name}: {value}" for name, value in body.items()))
