"""`profile`: what one request costs on this machine, at one size or over a grid."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llmrec_core.cli.output import (
    Json,
    find_run,
    integers,
    open_ledger,
    print_json,
    print_table,
    refuse_unread,
)
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb `profile`."""
    app.command()(profile)


GRID_LISTS = ("batches", "history_tokens", "candidate_counts")
MODEL_ALONE = ("candidate_tokens", "runtime", "depth", "repeats")
"""Read by the profiler, of a grid or of a config.json alone."""
ONE_SIZE = ("batch", "candidates", "history")


def profile(
    context: typer.Context,
    run: Annotated[str, typer.Option("--run", help="Id or name of a finished run.")] = "",
    model: Annotated[
        str, typer.Option("--model", help="A backbone, a Hugging Face id or a folder.")
    ] = "",
    precision: Annotated[str, typer.Option(help="fp32, bf16, int8-dynamic, …")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch: Annotated[int, typer.Option(help="Requests at a time.")] = 1,
    candidates: Annotated[int, typer.Option(help="Candidates per request.")] = 100,
    history: Annotated[int, typer.Option(help="History items.")] = 10,
    grid: Annotated[
        bool, typer.Option("--grid", help="Per layer, roofline, and every size of the lists below.")
    ] = False,
    batches: Annotated[str, typer.Option(help="Grid: requests at a time.")] = "1,8",
    history_tokens: Annotated[str, typer.Option(help="Grid: history lengths.")] = "50,200",
    candidate_counts: Annotated[
        str, typer.Option(help="Grid: candidates per request.")
    ] = "10,100,500",
    candidate_tokens: Annotated[int, typer.Option(help="Grid: tokens of a candidate.")] = 12,
    runtime: Annotated[str, typer.Option(help="Grid: eager, compile or onnx.")] = "eager",
    depth: Annotated[int, typer.Option(help="Grid: layers kept, 0 for all.")] = 0,
    repeats: Annotated[
        int | None, typer.Option(help="Grid: measurements of each size; 7 where not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """FLOPs, memory, latency and energy of one request, or with --grid of many sizes."""
    from llmrec_core.contract.parsing import parse
    from llmrec_core.contract.requests import ProfileRequest
    from llmrec_core.running.answers import answer_request

    if bool(run) == bool(model):
        raise UsageError(t("give exactly one of --run ID or --model NAME"))
    _refuse_unread(context, model, run, grid)
    fields = {
        "run": find_run(open_ledger()[1], run).id if run else "",
        "model": model,
        "precision": precision,
        "runtime": runtime,
        "device": device,
        "batch": batch,
        "candidates": candidates,
        "history": history,
        "grid": grid,
        "batches": integers("batches", batches),
        "history_tokens": integers("history_tokens", history_tokens),
        "candidate_counts": integers("candidate_counts", candidate_counts),
        "candidate_tokens": candidate_tokens,
        "depth": depth,
        "repeats": repeats,
    }
    request = parse(ProfileRequest, fields, "profile")
    _show_profile(answer_request(request, load_settings()), as_json)


def _refuse_unread(context: typer.Context, model: str, run: str, grid: bool) -> None:
    """Refuse what the profiler, one request, or a finished run does not read."""
    if grid:
        refuse_unread(context, ONE_SIZE, t("a grid has its sizes from lists"))
        return
    refuse_unread(context, GRID_LISTS, t("only --grid reads it"))
    if not model.endswith(".json"):
        refuse_unread(context, MODEL_ALONE, t("only --grid reads it"))
    if run:
        refuse_unread(context, ("device",), t("a run is measured where its spec says"))


def _show_profile(body: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(body)
        return
    from llmrec_core.reading import number_format
    from llmrec_core.types import Measurement

    fields = Measurement.__dataclass_fields__
    figures = [
        Measurement(**{name: value for name, value in row.items() if name in fields})
        for row in body["rows"]
    ]
    print_table(
        t("profile"),
        (t("name"), t("value"), t("protocol")),
        [(figure.name, number_format.figure(figure), figure.protocol) for figure in figures],
    )
