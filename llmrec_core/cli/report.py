"""`report`: a study as one HTML file that opens without a network, or as a PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.cli.output import open_ledger, print_line
from llmrec_core.language import t


def register(app: typer.Typer) -> None:
    """Add the verb `report`."""
    app.command()(report)


def report(
    study: Annotated[str, typer.Option(help="The study.")] = "default",
    out: Annotated[
        Path, typer.Option(help="File to write; one that ends in .pdf is printed.")
    ] = Path("report.html"),
    comment: Annotated[str, typer.Option(help="Your own words, shown as plain text.")] = "",
    without_tied: Annotated[
        bool,
        typer.Option("--without-tied", help="Leave out people whose last items share one moment."),
    ] = False,
) -> None:
    """A study as one HTML file that opens without a network, or as a PDF."""
    from llmrec_core.files import write_atomic, write_text
    from llmrec_core.reading import pdf
    from llmrec_core.reading import report as reports

    _, ledger = open_ledger()
    html = reports.render(reports.gather(ledger, study, comment=comment, untied=without_tied))
    if out.suffix.lower() == ".pdf":
        content = pdf.printed(html)
        write_atomic(out, lambda stream: stream.write(content))
    else:
        write_text(out, html)
    print_line(t("wrote {out} ({size:.0f} kB)", out=out, size=out.stat().st_size / 1e3))
