"""`ledger check | backup | restore | schema`: the ledger as a whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.cli.output import Json, open_ledger, print_json, print_line, print_table
from llmrec_core.language import t, tn


def register(app: typer.Typer) -> None:
    """Add the verb `ledger`."""
    ledger_app = typer.Typer(help="The ledger as a whole.", no_args_is_help=True)
    ledger_app.command("check")(ledger_check)
    ledger_app.command("backup")(ledger_backup)
    ledger_app.command("restore")(ledger_restore)
    ledger_app.command("schema")(ledger_schema)
    app.add_typer(ledger_app, name="ledger")


def ledger_check(as_json: Json = False) -> None:
    """Compare records, models and data sets with their digests; status 1 when one is damaged."""
    from llmrec_core.running.integrity import check

    _, ledger = open_ledger()
    findings = check(ledger)
    damaged = [finding for finding in findings if finding.damage]
    if as_json:
        print_json({"damaged": len(damaged), "findings": [asdict(finding) for finding in findings]})
    else:
        lines = [(finding.kind, finding.subject, finding.sentence) for finding in findings]
        if lines:
            print_table(ledger.where, (t("kind"), t("subject"), t("finding")), lines)
        print_line(
            tn("{count} thing is damaged", "{count} things are damaged", len(damaged))
            if damaged
            else t("nothing is damaged")
        )
    if damaged:
        raise typer.Exit(1)


def ledger_backup(
    file: Annotated[Path, typer.Argument(help="A new file, e.g. ledger-2026-11-26.db.")],
) -> None:
    """Copy the ledger into one file, while it is in use; models and data sets are not in it."""
    from llmrec_core.ledger.backup import backup

    _, ledger = open_ledger()
    count = backup(ledger, file)
    print_line(tn("{count} run in {file}", "{count} runs in {file}", count, file=file))


def ledger_restore(
    file: Annotated[Path, typer.Argument(help="A file written by `ledger backup`.")],
) -> None:
    """Copy a backup into this home's ledger, which must be empty."""
    from llmrec_core.ledger.backup import restore

    _, ledger = open_ledger()
    count = restore(ledger, file)
    print_line(
        tn("{count} run restored into {where}", "{count} runs restored into {where}", count,
           where=ledger.where)
    )  # fmt: skip


def ledger_schema(
    to: Annotated[
        str, typer.Option(help="Move to this schema, for a return to an older version.")
    ] = "",
) -> None:
    """Show the ledger's schema, or move it up or down; a SQLite file is copied aside first."""
    from llmrec_core.ledger import schema
    from llmrec_core.ledger.migration import move_to, version_of

    _, ledger = open_ledger()
    if to:
        move_to(ledger, to)
    print_line(
        t(
            "schema {version} of {known}",
            version=version_of(ledger),
            known=", ".join(schema.REVISIONS),
        )
    )
