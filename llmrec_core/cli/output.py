"""What every command shares: common options, the open ledger, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec_core.access import LOCAL
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.settings import Settings, load_settings
from llmrec_core.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from llmrec_core.ledger.ledger import Ledger
    from llmrec_core.ledger.rows import RunRow

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on the last line of stdout.")
]
RunOption = Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")]
WIDTH = 150
"""Characters where there is no terminal that tells its own."""


def refuse_unread(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse options that were typed and that this use of a command would not read.

    Args:
        context: of the command.
        names: of the parameters that are not read, as the function calls them.
        why: a sentence about what reads them, or what stands in their place.

    Raises:
        UsageError: naming the options.
    """
    typed = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in set(names) and _was_typed(context, parameter.name)
    ]
    if typed:
        raise UsageError(
            t("{options} would change nothing here: {why}", options=", ".join(typed), why=why)
        )


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def integers(name: str, text: str) -> tuple[int, ...]:
    """Whole numbers that were typed with commas between them.

    Args:
        name: of the parameter, for the refusal.
        text: what was typed.

    Raises:
        UsageError: naming the option.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            t(
                "--{option} is {text!r}; expected whole numbers with commas, e.g. 10,100",
                option=name.replace("_", "-"),
                text=text,
            )
        ) from error


def open_ledger() -> tuple[Settings, Ledger]:
    """Return the settings of this process and their ledger."""
    from llmrec_core.ledger.ledger import Ledger
    from llmrec_core.ledger.personal import PersonalLedger

    settings = load_settings()
    return settings, PersonalLedger(Ledger.open(settings), LOCAL)


def make_console(as_json: bool = False) -> Console:
    """Return the screen, or stderr when stdout is for JSON."""
    from rich.console import Console

    console = Console(stderr=as_json)
    return console if console.is_terminal else Console(stderr=as_json, width=WIDTH)


def print_json(body: object) -> None:
    """Print one JSON document on one line."""
    print(json.dumps(body, ensure_ascii=False), flush=True)


def print_line(text: str) -> None:
    """Print one line; what data has put into it can neither forge lines nor move the cursor."""
    print(printable(text), flush=True)


def print_table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a table.

    Args:
        title: stands above it.
        columns: their heads.
        lines: one cell a column.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=printable(title), title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column)
    for line in lines:
        table.add_row(*(Text(printable(cell)) for cell in line))
    make_console().print(table)


def find_run(ledger: Ledger, wanted: str) -> RunRow:
    """Return a run by its id, its name, or `STUDY/NAME`.

    Raises:
        UsageError: when there is none, or several have the name: then with their ids and what
            differs between them.
    """
    from llmrec_core.errors import UsageError
    from llmrec_core.reading.labels import described, differences

    runs = ledger.runs()
    named = [run for run in runs if wanted in (run.name, f"{run.study}/{run.name}")]
    if any(run.id == wanted for run in runs) or not named:
        return ledger.run(wanted)
    if len(named) == 1:
        return named[0]
    bodies = [described(run.study, run.spec) for run in named]
    words = differences([run.id for run in named], bodies)
    lines = [
        t("{id}: {state}, {difference}", id=run.id, state=run.state, difference=word)
        for run, word in zip(named, words, strict=True)
    ]
    raise UsageError(
        t(
            "{count} runs are called {name!r}; give the id of one, or STUDY/NAME where that is "
            "clear: {runs}",
            count=len(named),
            name=wanted,
            runs="; ".join(lines),
        )
    )
