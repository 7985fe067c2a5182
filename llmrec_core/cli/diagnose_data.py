"""`data diagnose`: what the data itself gives away, before any training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec_core.cli.output import Json, find_run, open_ledger, print_json, refuse_unread
from llmrec_core.contract.steps import Step
from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.checks.diagnosis.trained_again import TrainedAgain

Name = Annotated[
    str, typer.Argument(help="Name of a data set, e.g. ml-100k; NAME@1 is its first version.")
]


def diagnose_data(
    context: typer.Context,
    name: Name,
    draws: Annotated[
        int, typer.Option(min=5, max=1_000, help="Orders of equal times that are drawn.")
    ] = 5,
    model: Annotated[
        str,
        typer.Option(
            help="A local language model: how many of 100 titles does it complete from their first "
            "half?"
        ),
    ] = "",
    run: Annotated[
        str,
        typer.Option(
            help="Id or name of a finished run on this data: it is trained again with equal times "
            "in another order, which takes as long as its training did."
        ),
    ] = "",
    trainings: Annotated[
        int, typer.Option(min=1, max=20, help="Orders on which that run is trained.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Ties, item numbers, successors, titles, long histories, cleaning: what do they give away?"""
    if not run:
        refuse_unread(context, ("trainings",), t("only --run is trained again"))
    from llmrec_core.checks.diagnosis.answer import diagnose_and_keep, remember_titles
    from llmrec_core.reading.data_doubts import doubts, meanings, trained_again_sentence
    from llmrec_core.settings import load_settings

    settings = load_settings()
    said = ""

    def say(step: Step) -> None:
        nonlocal said
        if step.phase != said:  # once, not for each of its titles
            typer.echo(step.phase, err=True)
        said = step.phase

    findings = diagnose_and_keep(name, settings, draws=draws, progress=say)
    if model:
        findings = remember_titles(name, model, findings, settings, progress=say)
    sentences = doubts(findings)
    for sentence in sentences:
        typer.echo(t("doubt: {sentence}", sentence=sentence))
    if not sentences:
        typer.echo(t("nothing in the data gives its targets away"))
    for sentence in meanings(findings):
        typer.echo(sentence)
    body = findings.model_dump(mode="json") | {"doubts": sentences}
    if run:
        again = _trained_again(run, findings.content_hash, trainings, say)
        typer.echo(trained_again_sentence(again.name, again.draws, again.ties))
        body |= {"run": again.to_dict()}
    if as_json:
        print_json(body)


def _trained_again(
    wanted: str, content_hash: str, trainings: int, say: Callable[[Step], None]
) -> TrainedAgain:
    """The run trained on other orders of equal times.

    Raises:
        UsageError: for an unknown run, or one on other data.
    """
    from llmrec_core.checks.diagnosis.trained_again import trained_again

    settings, ledger = open_ledger()
    run = find_run(ledger, wanted)
    if run.spec["data"].get("content_hash") != content_hash:
        raise UsageError(
            t(
                "run {run!r} is on {data!r} of other content; diagnose the data that it is on",
                run=wanted,
                data=run.spec["data"]["name"],
            )
        )
    return trained_again(run.id, ledger, settings, draws=trainings, progress=say)
