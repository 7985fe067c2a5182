"""`docs tables`: the documentation's tables of studies, written from their stored records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.language import t, tn


def register(app: typer.Typer) -> None:
    """Add the verb `docs`."""
    docs = typer.Typer(help="The documentation of a checkout.", no_args_is_help=True)
    docs.command("tables")(tables)
    docs.callback()(_group)
    app.add_typer(docs, name="docs")


def _group() -> None:
    """The documentation of a checkout."""


def tables(
    root: Annotated[
        Path, typer.Option(help="Folder of the checkout: pages in docs/, records by their path.")
    ] = Path(),
) -> None:
    """Write the tables of studies whose record is stored; a page says which record it shows."""
    from llmrec_core.files import write_text
    from llmrec_core.reading.documentation import refreshed

    pages = [*sorted((root / "docs").rglob("*.md")), *sorted(root.glob("README*.md"))]
    changed = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        current = refreshed(text, root)
        if current != text:
            write_text(page, current)
            changed += 1
            print(t("wrote the tables of {page}", page=page))
    print(tn("{count} page changed", "{count} pages changed", changed))
