"""`people actions | check | forget`: who did what, who may come in, and whose rows leave."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from llmrec_core.cli.output import Json, open_ledger, print_json, print_line, print_table
from llmrec_core.language import t


def register(app: typer.Typer) -> None:
    """Add the verb `people`."""
    people_app = typer.Typer(help="Who may do what, and who did what.", no_args_is_help=True)
    people_app.command("actions")(people_actions)
    people_app.command("check")(people_check)
    people_app.command("forget")(people_forget)
    app.add_typer(people_app, name="people")


def people_actions(
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Who did what, newest first."""
    _, ledger = open_ledger()
    rows = ledger.actions(last)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    lines = [
        (row.time, row.person, row.action, row.subject, t("yes") if row.allowed else t("refused"))
        for row in rows
    ]
    columns = (t("when"), t("who"), t("did"), t("what to"), t("allowed"))
    print_table(t("actions"), columns, lines)


def people_check(
    email: Annotated[str, typer.Argument(help="An e-mail address, to see its role.")] = "",
) -> None:
    """Read access.toml and say who may come in."""
    from llmrec_core.access import accepted_hosts, read_access
    from llmrec_core.settings import load_settings

    access = read_access(load_settings())
    if access.login is None:
        print_line(t("nobody logs in; the pages answer this machine alone"))
    else:
        print_line(t("people log in at {url}", url=access.login.server_metadata_url))
    print_line(t("host names: {names}", names=", ".join(accepted_hosts(access))))
    if email:
        role = access.role_of(email) or t("none: refused")
        print_line(t("{email} has the role {role}", email=email, role=role))


def people_forget(
    name: Annotated[str, typer.Argument(help="Name of a data set.")],
    user: Annotated[str, typer.Argument(help="Id of the person, as in the data set.")],
    models: Annotated[
        bool, typer.Option("--models", help="Also remove the models trained on the data set.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without being asked.")] = False,
    as_json: Json = False,
) -> None:
    """Take one person's rows out of a data set and out of the records of its runs."""
    from llmrec_core.running.forgetting import forget_person

    _, ledger = open_ledger()
    question = t("remove all that is stored of {user!r} in {name}?", user=user, name=name)
    if not yes and not typer.confirm(question):
        raise typer.Exit(1)
    gone = forget_person(ledger, name, user, with_models=models)
    print_line(
        t(
            "removed {interactions} interactions from {versions} versions, and the person from "
            "{runs} records",
            interactions=gone.interactions,
            versions=gone.versions,
            runs=len(gone.runs),
        )
    )
    if gone.runs and not models:
        print_line(
            t(
                "models that were trained on these rows are as they were, and so are backups; "
                "--models removes the models"
            )
        )
    if as_json:
        print_json(asdict(gone))
