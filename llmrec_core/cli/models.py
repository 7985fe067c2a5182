"""`models list | fetch`: backbones and data that come with checked downloads."""

from __future__ import annotations

from typing import Annotated

import typer

from llmrec_core.cli.output import Json, print_json, print_line, print_table
from llmrec_core.language import t
from llmrec_core.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verb `models`."""
    models_app = typer.Typer(
        help="Backbones that come with checked downloads.", no_args_is_help=True
    )
    models_app.command("list")(models_list)
    models_app.command("fetch")(models_fetch)
    app.add_typer(models_app, name="models")


def models_list(as_json: Json = False) -> None:
    """Backbones and data with checked downloads, and whether they are on this machine."""
    from llmrec_core.assets import list_assets

    rows = list_assets(load_settings())
    if as_json:
        print_json(rows)
        return
    lines = [
        (row["name"], row["title"], t("yes") if row["cached"] else t("no"), row["licence"])
        for row in rows
    ]
    print_table(
        t("any Hugging Face id or local folder of safetensors works too"),
        (t("name"), t("what"), t("here"), t("licence")),
        lines,
    )


def models_fetch(
    names: Annotated[list[str] | None, typer.Argument(help="All when none is named.")] = None,
) -> None:
    """Download and check; afterwards no network is needed."""
    from llmrec_core.assets import ASSETS
    from llmrec_core.models.gguf_folder import prepared

    for name in names or list(ASSETS):
        print_line(str(prepared(name, load_settings(), print_line)))
