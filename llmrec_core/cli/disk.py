"""`disk`: what the home holds, and pruning by one rule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from llmrec_core.cli.output import Json, open_ledger, print_json, print_line, print_table
from llmrec_core.language import t


def register(app: typer.Typer) -> None:
    """Add the verb `disk`."""
    app.command("disk")(disk)


def disk(
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what the rule below the table lets go.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What the home holds and how much of it may go."""
    from llmrec_core.reading import number_format
    from llmrec_core.running import disk as home

    settings, ledger = open_ledger()
    pruned = home.prune(ledger) if prune else None
    parts = home.usage(ledger)
    lines = [
        (
            t(part.name),
            str(part.files),
            number_format.size(part.size_bytes),
            number_format.size(part.prunable_bytes),
        )
        for part in parts
    ]
    print_table(str(settings.home), (t("what"), t("files"), t("size"), t("may go")), lines)
    for sentence in home.rule():
        print_line(t("- {sentence}", sentence=sentence))
    if pruned is not None:
        print_line(
            t(
                "removed {files} files ({size}) and {questions} answered questions",
                files=pruned.files,
                size=number_format.size(pruned.size_bytes),
                questions=pruned.questions,
            )
        )
    if as_json:
        body = {"parts": [asdict(part) for part in parts]}
        print_json(body | {"pruned": asdict(pruned) if pruned else None})
