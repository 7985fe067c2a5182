"""`tune`: settings are chosen by validation, within a budget."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from llmrec_core.cli.output import Json, print_json, print_line
from llmrec_core.language import t


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("tune")(tune)


def tune(
    file: Annotated[Path, typer.Argument(help="A study in TOML; its rows are the trials.")],
    minutes: Annotated[
        float, typer.Option(min=0, help="No trial is begun after so many minutes of training.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Try the rows of a study on validation people; nobody of the test is asked."""
    from llmrec_core.contract.spec_files import load_study
    from llmrec_core.models.gguf_folder import prepared
    from llmrec_core.running.study import assets_of, prepare_study
    from llmrec_core.running.tune import tune as search
    from llmrec_core.settings import load_settings

    settings = load_settings()
    for name in assets_of(load_study(file)):
        prepared(name, settings, print_line)
    study = prepare_study(file, settings)
    trials = search(study.runs, settings, minutes=minutes, say=print_line)
    if trials:
        print_line(t("best on validation: {name}", name=trials[0].name))
    if as_json:
        print_json({"minutes": minutes, "trials": [dataclasses.asdict(trial) for trial in trials]})
