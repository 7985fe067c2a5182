"""`python -m llmrec_core explain`: Shapley values of one recommendation, or of many users' into Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb `explain`."""
    app.command("explain")(explain)


def explain(
    run: Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")],
    user: Annotated[str, typer.Option(help="A user id as in the data set.")] = "",
    item: Annotated[str, typer.Option(help="An item id as in the data set.")] = "",
    against: Annotated[str, typer.Option(help="Why the item rather than this one.")] = "",
    budget: Annotated[int | None, typer.Option(help="Coalitions to score at most.")] = None,
    error: Annotated[float | None, typer.Option(help="Asked error, as a share of the values; 0 = exact.")] = None,
    baseline: Annotated[
        str, typer.Option(help="What stands in for an absent part: remove, mask or average.")
    ] = "remove",
    target: Annotated[str, typer.Option(help="score or probability.")] = "score",
    players: Annotated[str, typer.Option(help="history, fields, user or all (history and fields).")] = "history",
    group_by: Annotated[str, typer.Option(help="How a long history is grouped: recency or genre.")] = "recency",
    words: Annotated[str, typer.Option(help="Id of a history item to open into its words.")] = "",
    honesty: Annotated[bool, typer.Option("--honesty", help="Measure faithfulness and other baselines too.")] = False,
    users: Annotated[int, typer.Option(help="Explain the best item of so many sampled users instead of one.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the coalitions.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Parquet file for --users, one row per value.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on the last line of stdout.")
    ] = False,
) -> None:
    """Why this item: what each history item, field or attribute adds to its score."""
    if users and out is None:
        raise UsageError("--users needs --out FILE.parquet for its rows")
    if not users and not (user and item):
        raise UsageError("give --user and --item for one explanation, or --users N --out FILE.parquet for a sample")
    if budget is not None and budget < 1:
        raise UsageError(f"--budget is {budget}; expected at least the number of players + 2")
    payload: dict[str, Any] = {
        "budget": budget, "error": error, "baseline": baseline, "target": target, "players": players,
        "group_by": group_by, "seed": seed,
    }  # fmt: skip
    loaded = _load(run)
    if users:
        _many(loaded, {**payload, "users": users}, out or Path("explanations.parquet"), as_json)
        return
    from llmrec_core.explain.answer import explain_answer

    payload |= {"user": user, "item": item, "against": against, "words": words}
    payload["honesty"] = "full" if honesty else ""
    body = {"run": run, "user": user} | explain_answer(loaded.recommender, loaded.dataset, loaded.spec, payload)
    _print(body)
    if as_json:
        print(json.dumps(body, ensure_ascii=False), flush=True)


def _load(run: str) -> Any:
    from llmrec_core.cli import find_run
    from llmrec_core.experiments.answers import load_run
    from llmrec_core.experiments.ledger import Ledger
    from llmrec_core.profiling.allocator import keep_freed_memory
    from llmrec_core.settings import load_settings

    keep_freed_memory()
    settings = load_settings()
    return load_run(find_run(Ledger.open(settings), run).id, settings, {})


def _many(loaded: Any, payload: dict[str, Any], out: Path, as_json: bool) -> None:
    import pandas as pd

    from llmrec_core.explain.globalview import explain_users, groups

    if payload["budget"] is None:
        del payload["budget"]  # the sample's own default: many users matter more than exact values
    rows = explain_users(
        loaded.recommender, loaded.dataset, loaded.spec, payload,
        progress=lambda done, total: typer.echo(f"explained {done} of {total} users", err=True) if done % 10 == 0 else None,
    )  # fmt: skip
    pd.DataFrame(rows).to_parquet(out, index=False)
    users = len({row["user_id"] for row in rows})
    typer.echo(f"wrote {len(rows)} values of {users} users to {out}")
    if as_json:
        body = {"out": str(out), "rows": len(rows), "users": users, "by_recency": groups(rows, "recency")}
        print(json.dumps(body, ensure_ascii=False), flush=True)


def _print(body: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(title=Text(f"Why {body['title']}"), title_justify="left")
    for column in ("reason", "value", "± 95 %"):
        table.add_column(column, justify="left" if column == "reason" else "right")
    table.add_row("without any of them", f"{body['base']:+.4f}", "")
    for player in sorted(body["players"], key=lambda player: -player["value"]):
        error = f"{player['error']:.4f}" if player["error"] else "exact"
        table.add_row(Text(player["title"]), f"{player['value']:+.4f}", error)
    table.add_row(f"{body['target']}", f"{body['prediction']:+.4f}", "")
    console.print(table)
    lines = [body["text"], *body["notes"], *body["honesty"]["warnings"]]
    if body.get("contrast"):
        lines.append(body["contrast"]["text"])
    if (body.get("smallest_set") or {}).get("text"):
        lines.append(body["smallest_set"]["text"])
    opened = body.get("words")
    if opened:
        shares = ", ".join(f"{word['word']} {word['value']:+.4f}" for word in opened["words"])
        lines.append(f"Words of {opened['title']}: {shares}")
    lines.append(
        f"{body['forwards']} coalitions scored, {body['seconds']:.1f} s, estimated error "
        f"{body['estimated_error']:.1%}, base + values − score = {body['additivity_gap']:.1e}"
    )
    for line in lines:
        console.print(Text(line))
