"""`runs list | show | cancel | resume | export`: the runs of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.cli.output import (
    Json,
    find_run,
    open_ledger,
    print_json,
    print_line,
    print_table,
)
from llmrec_core.errors import UsageError
from llmrec_core.language import t, tn
from llmrec_core.ledger.json_values import Json as Document
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import RunRow
from llmrec_core.retelling import retold

RunArgument = Annotated[str, typer.Argument(help="Id or name.")]


def register(app: typer.Typer) -> None:
    """Add the verb `runs`."""
    runs_app = typer.Typer(help="The ledger's runs.", no_args_is_help=True)
    runs_app.command("list")(runs_list)
    runs_app.command("show")(runs_show)
    runs_app.command("cancel")(runs_cancel)
    runs_app.command("resume")(runs_resume)
    runs_app.command("export")(runs_export)
    app.add_typer(runs_app, name="runs")


def summaries(ledger: Ledger, runs: list[RunRow]) -> list[dict[str, Document]]:
    """Return the main figures of each run, for `--json`."""
    from llmrec_core.reading import listing

    return [
        listing.summary(run, row)
        for run, row in zip(runs, listing.rows_of(ledger, runs), strict=True)
    ]


def runs_list(
    study: Annotated[str, typer.Option(help="Only this study.")] = "", as_json: Json = False
) -> None:
    """All runs: what tells them apart, quality and cost."""
    from llmrec_core.reading import listing

    _, ledger = open_ledger()
    runs = ledger.runs(study or None)
    if study and not runs:
        names = ", ".join(row.name for row in ledger.studies()) or t("none yet")
        raise UsageError(
            t("no study {study!r} in the ledger; it has: {names}", study=study, names=names)
        )
    if as_json:
        print_json(summaries(ledger, runs))
        return
    lines = [
        (run.id, *listing.identity(run, row), *listing.cells(run, row))
        for run, row in zip(runs, listing.rows_of(ledger, runs), strict=True)
    ]
    title = tn("{count} run in {where}", "{count} runs in {where}", len(runs), where=ledger.where)
    print_table(title, ("id", *map(t, listing.IDENTITY), *map(t, listing.COLUMNS)), lines)


def runs_show(run: RunArgument, as_json: Json = False) -> None:
    """One run: its spec, every figure and the end of its log."""
    from dataclasses import asdict

    from llmrec_core.ledger.digests import damage
    from llmrec_core.reading import listing, number_format

    _, ledger = open_ledger()
    shown = find_run(ledger, run)
    (row,) = listing.rows_of(ledger, [shown])
    damaged = bool(ledger.damaged([shown.id]))
    if as_json:
        figures = [asdict(figure) for figure in row.figures]
        documents = {name: body for name, body in row.documents.items() if name != "slices"}
        body = {"measurements": figures, "documents": documents, "damaged": damaged}
        print_json(asdict(shown) | body)
        return
    print_line(
        t(
            "{name} (run {id}): {state}, attempt {attempt}",
            name=shown.name,
            id=shown.id,
            state=listing.state_text(shown),
            attempt=shown.attempt,
        )
    )
    for sentence in (shown.error, damage(shown.id) if damaged else None):
        if sentence:
            print_line(f"  {retold(sentence)}")
    lines = [
        (
            figure.name,
            number_format.figure(figure, interval=True),
            figure.slice,
            figure.protocol,
        )
        for figure in row.figures
    ]
    print_table(t("figures"), (t("name"), t("value"), t("slice"), t("protocol")), lines)
    for moment, line in ledger.logs(shown.id, last=20):
        print_line(f"{moment}  {line}")


def runs_cancel(run: RunArgument) -> None:
    """Cancel a queued or running run; what it has saved is kept."""
    _, ledger = open_ledger()
    cancelled = find_run(ledger, run)
    state = ledger.cancel(cancelled.id)
    outcome = t("cancelled") if state == "cancelled" else t("it stops after its step")
    print_line(_about(cancelled, outcome))


def runs_resume(run: RunArgument) -> None:
    """Queue a failed, cancelled or paused run again, from its last checkpoint."""
    _, ledger = open_ledger()
    resumed = find_run(ledger, run)
    ledger.retry(resumed.id)
    print_line(_about(resumed, t("queued; a worker takes it (python -m llmrec_core worker)")))


def _about(run: RunRow, outcome: str) -> str:
    return t("{name} (run {id}): {outcome}", name=run.name, id=run.id, outcome=outcome)


def runs_export(
    study: Annotated[str, typer.Option(help="The study.")] = "default",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("study.json"),
) -> None:
    """A study with all its records as one JSON file."""
    from llmrec_core.files import write_json

    _, ledger = open_ledger()
    write_json(out, ledger.export_study(study))
    print_line(t("wrote {out} ({size:.1f} MB)", out=out, size=out.stat().st_size / 1e6))
