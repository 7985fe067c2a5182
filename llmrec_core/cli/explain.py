"""`llmrec explain`: Shapley values of one recommendation, or of many users' into Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec_core.cli.output import Json, RunOption, print_json, refuse_unread
from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.reading.explanations import Reasons
    from llmrec_core.recommenders.finished_run import Loaded

PLAYERS = {
    "history": ("history",),
    "fields": ("fields",),
    "user": ("user",),
    "all": ("history", "fields"),
}
DONE_EVERY = 10
"""Users between two lines of progress."""


def register(app: typer.Typer) -> None:
    """Add the verb `explain`."""
    app.command("explain")(explain)


OF_ONE = ("user", "item", "against", "occasion", "words", "honesty")
"""What only the explanation of one item reads."""


def explain(
    context: typer.Context,
    run: RunOption,
    user: Annotated[str, typer.Option(help="A user id as in the data set.")] = "",
    item: Annotated[str, typer.Option(help="An item id as in the data set.")] = "",
    against: Annotated[str, typer.Option(help="Why the item rather than this one.")] = "",
    occasion: Annotated[
        str,
        typer.Option(help="Which list: 'today' or 'evaluation'; the latter where it hid the item."),
    ] = "",
    budget: Annotated[int | None, typer.Option(help="Coalitions to score at most.")] = None,
    error: Annotated[
        float | None, typer.Option(help="Asked error, as a share of the values; 0 = exact.")
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="What stands in for an absent part: remove, mask or average.")
    ] = "remove",
    target: Annotated[str, typer.Option(help="score or probability.")] = "score",
    players: Annotated[
        str, typer.Option(help="history, fields, user or all (history and fields).")
    ] = "history",
    group_by: Annotated[
        str, typer.Option(help="How a long history is grouped: recency or genre.")
    ] = "recency",
    words: Annotated[str, typer.Option(help="Id of a history item to open into its words.")] = "",
    honesty: Annotated[
        bool, typer.Option("--honesty", help="Measure faithfulness and other baselines too.")
    ] = False,
    users: Annotated[
        int, typer.Option(help="Explain the best item of so many sampled users instead of one.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the coalitions.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Parquet file for --users, one row per value.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Why this item: what each history item, field or attribute adds to its score."""
    if players not in PLAYERS:
        raise UsageError(
            t(
                "--players is {players!r}; expected one of {names}",
                players=players,
                names=", ".join(PLAYERS),
            )
        )
    fields: dict[str, Any] = {
        "players": list(PLAYERS[players]),
        "baseline": baseline,
        "target": target,
        "group_by": group_by,
        "error": error,
        "seed": seed,
    }
    if users:
        if out is None:
            raise UsageError(t("--users needs --out FILE.parquet for its rows"))
        refuse_unread(context, OF_ONE, t("--users explains the best item of a sample of people"))
        _explain_users(run, fields | _given(users=users, budget=budget), out, as_json)
        return
    refuse_unread(context, ("out",), t("only --users writes a file"))
    if not (user and item):
        raise UsageError(
            t(
                "give --user and --item for one explanation, or --users N --out FILE.parquet for a "
                "sample"
            )
        )
    options = {"user": user, "item": item, "honesty": honesty, "budget": budget}
    options |= _given(against=against, words=words, occasion=occasion)
    _explain_item(run, fields | options, as_json)


def _given(**options: object) -> dict[str, Any]:
    """The options that were given; the others keep the defaults of the request."""
    return {name: value for name, value in options.items() if value not in ("", None)}


def _explain_item(run: str, fields: Mapping[str, Any], as_json: bool) -> None:
    from llmrec_core.contract.parsing import parse
    from llmrec_core.contract.requests import ExplainRequest
    from llmrec_core.explain.answer import explain_answer

    request = parse(ExplainRequest, fields)
    loaded, name, many = _load(run)
    body = explain_answer(loaded.recommender, loaded.dataset, loaded.spec, request)
    if as_json:
        print_json({"run": run, "user": request.user} | body)
    else:
        _print(body, name, many)


def _explain_users(run: str, fields: Mapping[str, Any], out: Path, as_json: bool) -> None:
    import pandas as pd

    from llmrec_core.contract.parsing import parse
    from llmrec_core.contract.requests import ExplainManyRequest
    from llmrec_core.explain.many_rows import groups
    from llmrec_core.explain.many_users import explain_users

    def progress(done: int, total: int) -> None:
        if done % DONE_EVERY == 0:
            typer.echo(t("explained {done} of {total} users", done=done, total=total), err=True)

    request = parse(ExplainManyRequest, fields)
    loaded, _, _ = _load(run)
    rows = explain_users(
        loaded.recommender, loaded.dataset, loaded.spec, request, progress=progress
    )
    pd.DataFrame(rows).to_parquet(out, index=False)
    explained = len({row["user_id"] for row in rows})
    if as_json:
        print_json(
            {
                "out": str(out),
                "rows": len(rows),
                "users": explained,
                "by_recency": groups(rows, "recency"),
            }
        )
    else:
        typer.echo(
            t(
                "wrote {rows} values of {users} users to {out}",
                rows=len(rows),
                users=explained,
                out=out,
            )
        )


def _load(run: str) -> tuple[Loaded, str, Mapping[str, Any] | None]:
    """The loaded run, its name, and what was seen of its reasons over many people."""
    from llmrec_core.cli.output import find_run, open_ledger
    from llmrec_core.explain.many_rows import DOCUMENT
    from llmrec_core.profiling.allocator import keep_freed_memory
    from llmrec_core.recommenders.finished_run import load_run

    keep_freed_memory()
    settings, ledger = open_ledger()
    row = find_run(ledger, run)
    return load_run(row.id, settings), row.name, ledger.document(row.id, DOCUMENT)


def _print(body: Mapping[str, Any], run: str, many: Mapping[str, Any] | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from llmrec_core.cli.output import make_console
    from llmrec_core.reading import explanations

    reasons = explanations.read(body, run=run, many=many)
    explanation = reasons.explanation
    console = make_console()
    title = t("Why {title}", title=explanation.title)
    table = Table(title=Text(title), title_justify="left")
    table.add_column(t("reason"))
    for column in (t("value"), "± 95 %"):
        table.add_column(column, justify="right")
    table.add_row(t("without any of them"), f"{explanation.base:+.4f}", "")
    triples = zip(explanation.players, explanation.values, explanation.errors, strict=True)
    for player, value, half_width in sorted(triples, key=lambda triple: -triple[1]):
        sure = f"{half_width:.4f}" if half_width else t("exact")
        table.add_row(Text(player.label), f"{value:+.4f}", sure)
    table.add_row(explanation.target, f"{explanation.prediction:+.4f}", "")
    console.print(table)
    for line in (*_lines(reasons, body), _effort(body)):
        console.print(Text(line))


def _lines(reasons: Reasons, body: Mapping[str, Any]) -> list[str]:
    lines = [line for line in (reasons.sentence, reasons.source, *reasons.notes) if line]
    lines += [t("Warning: {warning}", warning=warning) for warning in reasons.warnings]
    if body["contrast"]:
        lines.append(body["contrast"]["text"])
    if reasons.change:
        lines.append(reasons.change)
    if body["words"]:
        opened = body["words"]
        shares = ", ".join(f"{word['word']} {word['value']:+.4f}" for word in opened["words"])
        lines.append(t("Words of {title}: {shares}", title=opened["title"], shares=shares))
    return lines


def _effort(body: Mapping[str, Any]) -> str:
    return t(
        "{forwards} coalitions scored, {seconds:.1f} s, estimated error {error:.1%}, "
        "base + values - score = {gap:.1g}",
        forwards=body["forwards"],
        seconds=body["seconds"],
        error=body["estimated_error"],
        gap=body["additivity_gap"],
    )
