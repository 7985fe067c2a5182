"""`robustness`, `label-curve`, `few-shot`, `policy`: measurements that come on top of a study, printed and kept for the Quality page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_core.errors import LlmrecError, UsageError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


def register(app: typer.Typer) -> None:
    """Adds the verbs to the command line."""
    app.command("robustness")(robustness)
    app.command("label-curve")(label_curve)
    app.command("few-shot")(few_shot)
    rules = typer.Typer(help="What may be shown: block lists, penalties, items that wait for a person.")
    rules.command("measure")(policy_measure)
    rules.command("review")(policy_review)
    app.add_typer(rules, name="policy")


def robustness(
    run: Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")] = "",
    study: Annotated[str, typer.Option(help="All finished runs of this study instead of one.")] = "",
    users: Annotated[int, typer.Option(help="Test users, drawn as the run's own; 0 = all.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Repeat the training of neural models for label flips too.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Quality under noise: typos, damaged titles, shuffled or injected history, label flips; with a score."""
    from llmrec_core.cli import find_run
    from llmrec_core.experiments.ledger import Ledger
    from llmrec_core.experiments.quality import worst_sentence
    from llmrec_core.experiments.robustness import DEFINITION, measure_run
    from llmrec_core.settings import load_settings

    if bool(run) == bool(study):
        raise UsageError("give exactly one of --run ID or --study NAME")
    settings = load_settings()
    ledger = Ledger.open(settings)
    chosen = [find_run(ledger, run)] if run else [one for one in ledger.runs(study) if one.state == "finished"]
    if not chosen:
        names = ", ".join(row.name for row in ledger.studies()) or "none yet"
        raise UsageError(f"study {study!r} has no finished run; studies in the ledger: {names}")
    bodies: dict[str, dict[str, Any]] = {}
    for one in chosen:
        typer.echo(f"{one.name} (run {one.id})")
        try:
            bodies[one.name] = measure_run(
                one.id,
                ledger,
                settings,
                users=users,
                seed=seed,
                retrain=retrain,
                say=lambda line: typer.echo(f"  {line}"),
            )
        except LlmrecError as error:
            if run:
                raise
            typer.echo(f"  left out: {error}", err=True)
            continue
        typer.echo(f"  {worst_sentence(one.name, bodies[one.name])}")
    typer.echo(DEFINITION)
    if as_json:
        typer.echo(json.dumps(bodies))


def label_curve(
    data: Annotated[str, typer.Option(help="Name of a data set.")] = "ml-100k",
    labels: Annotated[list[int] | None, typer.Option(help="Training interactions; may be repeated.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only these methods; may be repeated.")] = None,
    seeds: Annotated[int, typer.Option(help="Draws of the labels.")] = 3,
    users: Annotated[int, typer.Option(help="Test users.")] = 200,
    steps: Annotated[int, typer.Option(help="Training steps of each fine-tuning.")] = 60,
    depth: Annotated[int, typer.Option(help="Layers of MiniLM kept, 0 for all six.")] = 2,
    name: Annotated[str, typer.Option(help="Name of the stored curve; default: the data set's.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Quality against the number of labels and their training's price: classical, frozen, LoRA and full fine-tuning."""
    from llmrec_core.experiments import label_curve as curves
    from llmrec_core.experiments.label_files import write
    from llmrec_core.settings import load_settings

    settings = load_settings()
    plan = curves.Plan(
        data, tuple(sorted(labels or curves.LABELS)), tuple(method or curves.METHODS), seeds, users, steps, depth
    )
    body = curves.measure(plan, settings, say=typer.echo)
    path = write(name or data.replace("@", "-"), body, settings)
    typer.echo(f"wrote {path}")
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
        typer.Option(help="Without given pairs: ratings above count as liked. Default: from the median up."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the stored curve; default: the data set's and -few-shot.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Will somebody new like an item: AUC, GAUC, log loss and calibration against the number of labelled pairs."""
    from llmrec_core.data.dataset import load_dataset
    from llmrec_core.experiments import few_shot as shots
    from llmrec_core.experiments.label_files import write
    from llmrec_core.settings import load_settings

    settings = load_settings()
    plan = shots.Plan(data, tuple(sorted(labels or shots.SHOTS)), seeds, liked_above)
    body = shots.measure(plan, load_dataset(data, settings), say=typer.echo)
    path = write(name or data.replace("@", "-") + "-few-shot", body, settings)
    typer.echo(f"{body['conditions']}\nwrote {path}")
    if as_json:
        typer.echo(json.dumps(body))


def policy_measure(
    file: Annotated[Path, typer.Argument(help="The policy, a TOML file; see assets/policies/example.toml.")],
    run: Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")],
    users: Annotated[int, typer.Option(help="Test users, drawn as the run's own; 0 = all.")] = 200,
    as_json: JsonFlag = False,
) -> None:
    """What a policy costs a run in quality and time, and whose exposure it moves; kept for the Quality page."""
    from llmrec_core.cli import find_run
    from llmrec_core.experiments import policy_effect
    from llmrec_core.experiments.ledger import Ledger
    from llmrec_core.experiments.policy import load_policy
    from llmrec_core.settings import load_settings

    rules, settings = load_policy(file), load_settings()
    ledger = Ledger.open(settings)
    found = find_run(ledger, run)
    body = policy_effect.measure_run(found.id, rules, ledger, settings, users=users, say=typer.echo)
    typer.echo(policy_effect.sentence(found.name, body))
    for line in [line for line in body["exposure"] if line["kind"] == "popularity"]:
        typer.echo(f"  {line['group']}: {line['before']:.1%} of shown places before, {line['after']:.1%} after")
    typer.echo(f"every act: {settings.home / body['acts_file']}")
    if as_json:
        typer.echo(json.dumps(body))


def policy_review(
    data: Annotated[str, typer.Argument(help="Name of a data set.")],
    item: Annotated[str, typer.Option(help="Id of a flagged item.")] = "",
    state: Annotated[str, typer.Option("--as", help="waiting, approved or rejected.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Flagged items that wait for a person: list them, or decide one with --item and --as."""
    from llmrec_core.data.dataset import load_dataset
    from llmrec_core.experiments.policy import ReviewQueue
    from llmrec_core.settings import load_settings

    if bool(item) != bool(state):
        raise UsageError("--item ID and --as STATE go together")
    settings = load_settings()
    queue = ReviewQueue.of(load_dataset(data, settings).name, settings)
    if item:
        queue.decide(item, state)
    for known, decision in queue.states.items():
        typer.echo(f"{decision:9} {known}  {queue.titles[known]}")
    if not queue.states:
        typer.echo(f"nothing waits: no policy has flagged an item of {data!r}")
    if as_json:
        typer.echo(json.dumps(queue.states))
