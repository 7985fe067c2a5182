"""`data import`: shows what was found in strangers' files, and why, and stores it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec_core.cli.output import Json, print_json
from llmrec_core.errors import UsageError
from llmrec_core.language import t, tn

if TYPE_CHECKING:
    from llmrec_core.data.importing.request import ImportOutcome

_Column = Annotated[
    str, typer.Option(help="By name, or by number from 1; none for no such column.")
]


def import_data(
    path: Annotated[Path, typer.Argument(help="A file, a folder, or a zip.")],
    name: Annotated[str, typer.Option(help="What to call it: a–z, 0–9, . _ -")],
    title: Annotated[str, typer.Option(help="A title for people.")] = "",
    format: Annotated[
        str,
        typer.Option(help="delimited, atomic, id-lists, json-lines, json, python-lines, parquet."),
    ] = "",
    separator: Annotated[
        str, typer.Option(help="What separates columns, e.g. , or \\t or ::")
    ] = "",
    encoding: Annotated[
        str, typer.Option(help="e.g. utf-8 or cp1252; damaged letters are replaced.")
    ] = "",
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first line names the columns."),
    ] = None,
    user: Annotated[
        str,
        typer.Option(
            help="Column of the user, by name or number from 1; a number means the table of "
            "interactions."
        ),
    ] = "",
    item: Annotated[str, typer.Option(help="Column of the item.")] = "",
    rating: Annotated[str, typer.Option(help="Column of the rating, or none.")] = "",
    time: Annotated[str, typer.Option(help="Column of the time, or none.")] = "",
    title_column: Annotated[str, typer.Option(help="Column of the title, or none.")] = "",
    category_column: Annotated[str, typer.Option(help="Column of the category, or none.")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of one file: FILE:ROLE=COLUMN, e.g. products.csv:title=Label; may be "
            "repeated."
        ),
    ] = None,
    time_unit: Annotated[
        str, typer.Option(help="s, ms, us, ns, or order for mere positions.")
    ] = "",
    time_format: Annotated[str, typer.Option(help="e.g. %d/%m/%Y")] = "",
    order: Annotated[
        str, typer.Option(help="What orders a user's items: time, file or none.")
    ] = "",
    kind: Annotated[str, typer.Option(help="For one file: interactions, items, edges, …")] = "",
    skip_bad_rows: Annotated[
        bool, typer.Option(help="Leave out rows that cannot be read instead of stopping.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Show what was found and store nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Read other people's data; what was found, and why, is shown."""
    from llmrec_core.data.importing.described_table import Options
    from llmrec_core.data.importing.isolated import run_import
    from llmrec_core.data.importing.request import ImportRequest
    from llmrec_core.settings import load_settings

    columns = {
        "user": user,
        "item": item,
        "rating": rating,
        "time": time,
        "title": title_column,
        "genres": category_column,
    }
    options = Options.of(
        format=format,
        separator=separator,
        encoding=encoding,
        header=header,
        columns={role: chosen for role, chosen in columns.items() if chosen},
        time_unit=time_unit,
        time_format=time_format,
        order=order,
        kind=kind,
        skip_bad_rows=skip_bad_rows,
        files=_columns_of_files(column or []),
    )
    request = ImportRequest(
        path=str(path.absolute()), name=name, title=title[:200], options=options, store=not dry_run
    )
    outcome = run_import(request, load_settings())
    _print_tables(outcome)
    outcome.raise_problems()
    _print_result(outcome)
    if as_json:
        print_json(outcome.model_dump(exclude={"previews"}))


def _columns_of_files(choices: list[str]) -> dict[str, dict[str, Any]]:
    """File label → its columns, from FILE:ROLE=COLUMN; `category` means `genres`."""
    files: dict[str, dict[str, Any]] = {}
    for choice in choices:
        where, _, column = choice.partition("=")
        file, _, role = where.rpartition(":")
        if not (file and role and column):
            raise UsageError(
                t(
                    "--column is {choice!r}; expected FILE:ROLE=COLUMN, e.g. "
                    "products.csv:title=Label",
                    choice=choice[:80],
                )
            )
        role = {"category": "genres"}.get(role, role)
        files.setdefault(file, {"columns": {}})["columns"][role] = column
    return files


def _print_tables(outcome: ImportOutcome) -> None:
    for table in outcome.tables:
        roles = ", ".join(f"{role} = {column}" for role, column in table.get("roles", {}).items())
        typer.echo(f"{table['file']}: {table['kind']}  {roles}")
        for line in table["evidence"]:
            typer.echo(f"    {line}")


def _print_result(outcome: ImportOutcome) -> None:
    from llmrec_core.cli.cleaning_report import print_report
    from llmrec_core.data.cleaning.report import Report

    for reason, count in outcome.left_out.items():
        typer.echo(
            tn(
                "{count:,} row left out: {reason}",
                "{count:,} rows left out: {reason}",
                count,
                reason=reason,
            )
        )
    if outcome.report is not None:
        print_report(Report.from_dict(outcome.report))
    if outcome.version is None:
        typer.echo(t("nothing is stored, as asked"))
    else:
        typer.echo(
            t(
                "stored as imported, nothing cleaned: {name}@{number}, {rows:,} interactions, "
                "{users:,} users, {items:,} items, hash {content_hash}",
                name=outcome.name,
                number=outcome.version,
                rows=outcome.interactions,
                users=outcome.users,
                items=outcome.items,
                content_hash=outcome.content_hash,
            )
        )
