"""`recommend`: the list of a finished run for a person, for somebody new, or for everybody."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from llmrec_core.cli.output import (
    Json,
    RunOption,
    find_run,
    open_ledger,
    print_json,
    print_line,
    print_table,
    refuse_unread,
)
from llmrec_core.errors import UsageError
from llmrec_core.files import write_atomic
from llmrec_core.language import number, t, tn

if TYPE_CHECKING:
    from llmrec_core.contract.requests import RecommendRequest
    from llmrec_core.ledger.rows import RunRow
    from llmrec_core.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the verb `recommend`."""
    app.command()(recommend)


def recommend(
    context: typer.Context,
    run: RunOption,
    user: Annotated[str, typer.Option(help="User id as in the data set.")] = "",
    history: Annotated[
        list[str] | None,
        typer.Option(help="A title, or an item's id, that somebody new likes; repeat for more."),
    ] = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Everybody, into --out.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines, one user each, for --all-users.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Length of the list.")] = 10,
    policy: Annotated[
        Path | None, typer.Option(help="What may be shown: a policy in TOML.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recommendations of a finished run, for a user, for somebody new, or for everybody."""
    if sum((bool(user), bool(history), all_users)) != 1:
        raise UsageError(
            t("give exactly one of --user ID, --history TITLE (repeatable) or --all-users")
        )
    if all_users != (out is not None):
        raise UsageError(t("--all-users and --out FILE go together"))
    if all_users:
        refuse_unread(context, ("as_json",), t("the file of --out is JSON, a line for each user"))
    from llmrec_core.contract.policy import load_policy
    from llmrec_core.contract.requests import RecommendRequest
    from llmrec_core.running.answers import answer_request

    settings, ledger = open_ledger()
    chosen = find_run(ledger, run)
    request = RecommendRequest(
        run=chosen.id,
        user=user,
        history_titles=tuple(history or ()),
        k=k,
        policy=None if policy is None else load_policy(policy),
    )
    if out is not None:
        _everybody(request, chosen, settings, out)
        return
    answer = answer_request(request, settings)
    if as_json:
        print_json(answer)
        return
    reader = t("user {user}", user=user) if user else ", ".join(history or [])
    print_table(
        t("{run} for {reader}", run=chosen.name, reader=reader),
        ("", t("title"), t("score")),
        [
            (str(rank), item["title"], number(item["score"], ".4g"))
            for rank, item in enumerate(answer["items"], 1)
        ],
    )
    if answer["note"]:
        print_line(answer["note"])
    if answer["unread"]:
        print_line(answer["unread"])
    for act in answer["acts"]:
        print_line(
            t(
                "kept from the list by the policy ({rule}): {title}",
                rule=act["rule"],
                title=act["title"],
            )
        )


def _everybody(request: RecommendRequest, run: RunRow, settings: Settings, out: Path) -> None:
    """Write one line of JSON for each user of the run's data set."""
    from llmrec_core.data.catalogue import load_dataset
    from llmrec_core.recommenders.finished_run import Cache
    from llmrec_core.running.answers import answer_request

    models = Cache()
    version = run.spec["data"]
    dataset = load_dataset(version["name"], settings, version.get("content_hash", ""))
    users = dataset.users["user_id"].astype(str)
    shorter = 0

    def write(sink: IO[bytes]) -> None:
        nonlocal shorter
        for user in users:
            answer = answer_request(dataclasses.replace(request, user=user), settings, models)
            shorter += bool(answer["note"])
            line = {"user": user, "items": answer["items"]}
            if request.policy is not None:
                line["acts"] = answer["acts"]
            sink.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    write_atomic(out, write)
    print_line(t("wrote {count} lists to {out}", count=len(users), out=out))
    if shorter:
        print_line(
            tn(
                "{count:,} of them is shorter than asked: fewer items are left for that person",
                "{count:,} of them are shorter than asked: fewer items are left for these people",
                shorter,
            )
        )
