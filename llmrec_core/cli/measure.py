"""`robustness`, `label-curve`, `few-shot`: measured on finished runs, kept for the Quality page."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from llmrec_core.cli.output import Json, find_run, open_ledger, print_line
from llmrec_core.errors import LlmrecError, UsageError
from llmrec_core.language import t
from llmrec_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("robustness")(robustness)
    app.command("label-curve")(label_curve)
    app.command("few-shot")(few_shot)


def robustness(
    run: Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")] = "",
    study: Annotated[
        str, typer.Option(help="All finished runs of this study instead of one.")
    ] = "",
    users: Annotated[int, typer.Option(help="Test users, drawn as the run's own; 0 = all.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Repeat the training of neural models for label flips too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Quality under noise in titles, history and labels, with a score."""
    from llmrec_core.checks.robustness import DEFINITION, Plan, measure_run
    from llmrec_core.reading.check_results import worst_sentence

    if bool(run) == bool(study):
        raise UsageError(t("give exactly one of --run ID or --study NAME"))
    plan = Plan(users=users, seed=seed, retrain=retrain)
    settings, ledger = open_ledger()
    if run:
        chosen = [find_run(ledger, run)]
    else:
        chosen = [row for row in ledger.runs(study) if row.state == "finished"]
    if not chosen:
        raise UsageError(
            t(
                "study {study!r} has no finished run; studies in the ledger: {names}",
                study=study,
                names=", ".join(row.name for row in ledger.studies()) or t("none yet"),
            )
        )
    bodies: dict[str, dict[str, Any]] = {}
    for row in chosen:
        print_line(t("{name} (run {id})", name=row.name, id=row.id))
        try:
            body = measure_run(
                row.id,
                ledger,
                settings,
                plan,
                say=lambda line: print_line(f"  {line}"),
            )
        except LlmrecError as error:
            if run:
                raise
            typer.echo(t("  left out: {error}", error=error), err=True)
            continue
        bodies[row.id] = {"name": row.name, **body}
        print_line(f"  {worst_sentence(row.name, body)}")
    print_line(t(DEFINITION))
    if as_json:
        typer.echo(json.dumps(bodies))


def label_curve(
    data: Annotated[str, typer.Option(help="Name of a data set.")] = "ml-100k",
    labels: Annotated[
        list[int] | None, typer.Option(help="Training interactions; may be repeated.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Only these methods; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Draws of the labels.")] = 3,
    users: Annotated[int, typer.Option(help="Test users.")] = 200,
    steps: Annotated[int, typer.Option(help="Training steps of each fine-tuning.")] = 60,
    depth: Annotated[int, typer.Option(help="Layers of MiniLM kept, 0 for all six.")] = 2,
    name: Annotated[
        str, typer.Option(help="Name of the stored curve; default: the data set's.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Quality against the number of labels and the price of learning from them."""
    from llmrec_core.checks import label_curve as curves
    from llmrec_core.checks.label_methods import LABELS, METHODS

    settings = load_settings()
    plan = curves.Plan(
        data,
        tuple(sorted(labels or LABELS)),
        tuple(method or METHODS),
        seeds,
        users,
        steps,
        depth,
    )
    body, path = curves.measure_and_keep(plan, settings, name, say=print_line)
    print_line(t("wrote {path}", path=path))
    if as_json:
        typer.echo(json.dumps(body))


def few_shot(
    data: Annotated[str, typer.Option(help="A data set with labelled pairs, or with ratings.")],
    labels: Annotated[
        list[int] | None, typer.Option(help="Training pairs; may be repeated. Default: 8 to 1,024.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Draws of the labels.")] = 5,
    liked_above: Annotated[
        float | None,
        typer.Option(
            help="Without given pairs: ratings above count as liked. Default: from the median up."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the stored curve; default: the data set's and -few-shot.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Whether somebody new likes an item, against the number of labelled pairs."""
    from llmrec_core.checks import few_shot as shots
    from llmrec_core.checks.label_files import write
    from llmrec_core.data.catalogue import load_dataset
    from llmrec_core.data.regimes import SHOTS

    settings = load_settings()
    plan = shots.Plan(data, tuple(sorted(labels or SHOTS)), seeds, liked_above)
    body = shots.measure(plan, load_dataset(data, settings), say=print_line)
    path = write(name or data.replace("@", "-") + "-few-shot", body, settings)
    print_line(body["conditions"])
    print_line(t("wrote {path}", path=path))
    if as_json:
        typer.echo(json.dumps(body))
