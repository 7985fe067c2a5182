"""`ladder`: one recommender over sizes of its language model, and which of them is enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec_core.cli.output import (
    Json,
    find_run,
    integers,
    make_console,
    open_ledger,
    print_json,
    print_line,
    print_table,
)
from llmrec_core.cli.study import watched
from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.contract.spec_files import StudySpec
    from llmrec_core.ledger.ledger import Ledger
    from llmrec_core.reading.ladder import Ladder
    from llmrec_core.reading.people import People
    from llmrec_core.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("ladder")(ladder)


def ladder(
    file: Annotated[
        Path | None, typer.Argument(help="A study in TOML with one row, whose sizes are made.")
    ] = None,
    run: Annotated[
        str,
        typer.Option("--run", help="In place of a file: a run, by id or name, as the template."),
    ] = "",
    depths: Annotated[
        str, typer.Option(help="Layers to keep, with commas; 0 keeps all. Default: the template's.")
    ] = "",
    backbones: Annotated[
        str,
        typer.Option(
            help="Names, folders or Hugging Face ids, with commas. Default: the template's."
        ),
    ] = "",
    metric: Annotated[str, typer.Option(help="ndcg@10, recall@10, mrr or auc.")] = "ndcg@10",
    margin: Annotated[
        float, typer.Option(help="How much worse than the best size is still good enough.")
    ] = 0.02,
    as_json: Json = False,
) -> None:
    """Measure one recommender at several sizes; the smallest that is not worse by a margin."""
    from llmrec_core.models.gguf_folder import prepared
    from llmrec_core.running import study as studies

    _refuse(file, run, bool(depths or backbones), metric, margin)
    console = make_console(as_json)
    settings, ledger = open_ledger()
    study, left_out = _sized(file, run, depths, backbones, settings, ledger)
    for line in left_out:
        console.print(line, markup=False, highlight=False)
    for name in studies.assets_of(study):
        prepared(name, settings, console.print)
    study = studies.prepared_study(study, settings)
    ids = [ledger.enqueue(spec, study.name, title=study.title) for spec in study.runs]
    runs = watched(settings, ledger, ids, study.title, console)
    missing = [row.name for row in runs if row.state != "finished"]
    measured, people = _read(ledger, study, ids, metric, margin)
    if as_json:
        print_json(_document(study, measured, people, missing))
    elif measured is not None:
        _show(measured, people)
    if missing:
        raise typer.Exit(1)


def _refuse(file: Path | None, run: str, has_sizes: bool, metric: str, margin: float) -> None:
    """Refuse options that contradict each other or are out of bounds, before anything is queued."""
    from llmrec_core.reading.pareto import METRICS

    if (file is None) == (not run):
        raise UsageError(t("give exactly one of a study FILE or --run ID"))
    if not has_sizes:
        raise UsageError(t("give --depths, --backbones or both: they are the sizes"))
    if metric not in METRICS:
        names = ", ".join(METRICS)
        raise UsageError(
            t("--metric is {metric!r}; expected one of {names}", metric=metric, names=names)
        )
    if not 0 <= margin <= 1:
        raise UsageError(t("--margin is {margin}; expected a number from 0 to 1", margin=margin))


def _sized(
    file: Path | None, run: str, depths: str, backbones: str, settings: Settings, ledger: Ledger
) -> tuple[StudySpec, list[str]]:
    """The study of all sizes, and a sentence on each that a backbone does not have."""
    from llmrec_core.running import ladder as sizes

    template = (
        sizes.template_of_run(find_run(ledger, run))
        if file is None
        else sizes.template_of_file(file)
    )
    chosen = template.runs[0].recommender
    names = [name.strip() for name in backbones.split(",") if name.strip()] or [chosen.backbone]
    wanted = integers("depths", depths) if depths else (chosen.depth,)
    if min(wanted) < 0:
        raise UsageError(t("--depths is {text!r}; expected numbers from 0", text=depths))
    kept, left_out = sizes.chosen_depths(wanted, names, chosen, settings)
    return sizes.ladder_study(template, kept), left_out


def _read(
    ledger: Ledger, study: StudySpec, ids: list[str], metric: str, margin: float
) -> tuple[Ladder | None, dict[str, People]]:
    """The ladder of all finished sizes of the study, those of earlier calls among them."""
    from llmrec_core.reading import ladder as reading
    from llmrec_core.reading.groups import grouped
    from llmrec_core.reading.listing import people_of, rows_of

    protocol = study.runs[0].protocol.name
    rows = grouped(rows_of(ledger, ledger.runs(study.name)))
    queued = set(ids)
    ours = [
        group
        for group in reading.groups(rows, metric, protocol)
        if any(queued & set(row.run_ids) for row in group)
    ]
    if not ours:
        return None, {}
    people = people_of(ledger, ours[0], metric, protocol)
    return reading.ladder(ours[0], metric, protocol, people, margin=margin), people


def _document(
    study: StudySpec, measured: Ladder | None, people: dict[str, People], missing: list[str]
) -> dict[str, object]:
    from llmrec_core.reading.ladder_tables import document

    body = {} if measured is None else document(measured, people)
    return {"study": study.name, **body, "not_finished": missing}


def _show(measured: Ladder, people: dict[str, People]) -> None:
    from llmrec_core.reading import ladder_tables, ladder_words
    from llmrec_core.reading.pareto import METRICS

    title = METRICS[measured.metric]
    print_table(
        t(
            "Sizes by {title} under {protocol}, margin {margin:g}",
            title=title,
            protocol=measured.protocol,
            margin=measured.margin,
        ),
        [t(head) for head in ladder_tables.SHORT],
        ladder_tables.short_lines(measured),
    )
    for model in measured.models:
        print_line(ladder_words.sentence(model, measured))
    if len(measured.models) > 1:
        print_table(
            t("Models by {title} under {protocol}", title=title, protocol=measured.protocol),
            [t(head) for head in ladder_tables.SHORT_MODELS],
            ladder_tables.short_models(measured, people),
        )
        print_line(t(ladder_words.AS_MODELS))
    print_line(t(ladder_words.CAPTION))
    for note in ladder_words.notes(measured):
        print_line(note)
