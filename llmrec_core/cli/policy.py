"""`policy measure | review`: what may be shown, what that costs, what waits for a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.cli.output import Json, find_run, open_ledger, print_line
from llmrec_core.errors import UsageError
from llmrec_core.language import number, t
from llmrec_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb `policy`."""
    rules = typer.Typer(
        help="What may be shown: block lists, penalties, items that wait for a person."
    )
    rules.command("measure")(policy_measure)
    rules.command("review")(policy_review)
    app.add_typer(rules, name="policy")


def policy_measure(
    file: Annotated[
        Path, typer.Argument(help="The policy, a TOML file; see assets/policies/example.toml.")
    ],
    run: Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")],
    users: Annotated[int, typer.Option(help="Test users, drawn as the run's own; 0 = all.")] = 200,
    as_json: Json = False,
) -> None:
    """What a policy costs a run in quality and time, and whose exposure it moves."""
    from llmrec_core.checks import policy_effect
    from llmrec_core.contract.policy import load_policy
    from llmrec_core.reading import check_results

    rules = load_policy(file)
    settings, ledger = open_ledger()
    chosen = find_run(ledger, run)
    body = policy_effect.measure_run(
        chosen.id, rules, ledger, settings, users=users, say=print_line
    )
    print_line(check_results.policy_sentence(chosen.name, body))
    for line in body["exposure"]:
        if line["kind"] == "popularity":
            print_line(
                t(
                    "  {group}: {before} of shown places before, {after} after",
                    group=line["group"],
                    before=number(line["before"], ".1%"),
                    after=number(line["after"], ".1%"),
                )
            )
    print_line(t("every act: {path}", path=settings.home / body["acts_file"]))
    if as_json:
        typer.echo(json.dumps(body))


def policy_review(
    data: Annotated[str, typer.Argument(help="Name of a data set.")],
    item: Annotated[str, typer.Option(help="Id of a flagged item.")] = "",
    state: Annotated[str, typer.Option("--as", help="waiting, approved or rejected.")] = "",
    as_json: Json = False,
) -> None:
    """Flagged items that wait for a person: list them, or decide one with --item and --as."""
    from llmrec_core.checks.policy import ReviewQueue
    from llmrec_core.data.catalogue import load_dataset

    if bool(item) != bool(state):
        raise UsageError(t("--item ID and --as STATE go together"))
    settings = load_settings()
    queue = ReviewQueue.of(load_dataset(data, settings).name, settings)
    if item:
        queue.decide(item, state)
    for waiting, decision in queue.states.items():
        print_line(f"{decision:9} {waiting}  {queue.titles[waiting]}")
    if not queue.states:
        print_line(t("nothing waits: no policy has flagged an item of {data!r}", data=data))
    if as_json:
        typer.echo(json.dumps(queue.states))
