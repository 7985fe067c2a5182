"""`data list | import | inspect | clean | check | delete`: the library's functions, printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from llmrec_core.errors import UsageError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]
Name = Annotated[str, typer.Argument(help="Name of a data set, e.g. ml-100k; NAME@1 is its first version.")]


def register(app: typer.Typer) -> None:
    """Adds the verb `data` to the command line."""
    data = typer.Typer(no_args_is_help=True, help="Data sets: list, import, inspect, clean, check, delete.")
    data.command("list")(list_data)
    data.command("import")(import_data)
    data.command("inspect")(inspect_data)
    data.command("clean")(clean_data)
    data.command("check")(check_data)
    data.command("delete")(delete_data)
    app.add_typer(data, name="data")


def list_data(as_json: JsonFlag = False) -> None:
    """Every data set with its versions."""
    from llmrec_core.data import store
    from llmrec_core.settings import load_settings

    rows: list[dict[str, Any]] = [{"name": "ml-100k", "version": 1, "note": "built in, fetched on first use"}]
    for found in store.manifests(load_settings()):
        for version in found["versions"]:
            keys = ("content_hash", "users", "items", "interactions", "order", "note")
            rows.append({"name": found["name"], "version": version["number"], **{key: version[key] for key in keys}})
    for row in rows:
        counts = (
            f"{row['interactions']:,} interactions, {row['users']:,} users, {row['items']:,} items"
            if "users" in row
            else ""
        )
        typer.echo(f"{row['name']}@{row['version']}  {counts}  {row['note']}")
    _end(rows, as_json)


def import_data(
    path: Annotated[Path, typer.Argument(help="A file, a folder, or a zip.")],
    name: Annotated[str, typer.Option(help="What to call it: a–z, 0–9, . _ -")],
    title: Annotated[str, typer.Option(help="A title for people.")] = "",
    format: Annotated[str, typer.Option(help="delimited, atomic, json-lines, json, python-lines or parquet.")] = "",
    separator: Annotated[str, typer.Option(help="What separates columns, e.g. , or \\t or ::")] = "",
    encoding: Annotated[str, typer.Option(help="e.g. utf-8 or cp1252; damaged letters are replaced.")] = "",
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line names the columns.")
    ] = None,
    user: Annotated[str, typer.Option(help="Column of the user, by name or number from 1.")] = "",
    item: Annotated[str, typer.Option(help="Column of the item.")] = "",
    rating: Annotated[str, typer.Option(help="Column of the rating.")] = "",
    time: Annotated[str, typer.Option(help="Column of the time.")] = "",
    title_column: Annotated[str, typer.Option(help="Column of the title.")] = "",
    time_unit: Annotated[str, typer.Option(help="s, ms, us, ns, or order for mere positions.")] = "",
    time_format: Annotated[str, typer.Option(help="e.g. %d/%m/%Y")] = "",
    order: Annotated[str, typer.Option(help="What orders a user's items: time, file or none.")] = "",
    kind: Annotated[str, typer.Option(help="For one file: interactions, items, edges, …")] = "",
    skip_bad_rows: Annotated[
        bool, typer.Option(help="Leave out rows that cannot be read instead of stopping.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Show what was found and store nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Reads other people's data; shows what was found, and why, before it is stored."""
    from llmrec_core.data import cleaning, store
    from llmrec_core.data.importing import plan_import, read_plan
    from llmrec_core.data.tables import Options
    from llmrec_core.settings import load_settings

    options = Options(
        format,
        separator,
        encoding,
        header,
        user,
        item,
        rating,
        time,
        title_column,
        time_unit,
        time_format,
        order,
        kind,
        skip_bad_rows,
    )
    settings = load_settings()
    store.check_name(name)
    plan = plan_import(path, options)
    for row in plan.rows():
        roles = ", ".join(f"{role} = {column}" for role, column in row.get("roles", {}).items())
        typer.echo(f"{row['file']}: {row['kind']}  {roles}")
        for line in row["evidence"]:
            typer.echo(f"    {line}")
    dataset = read_plan(plan, name, options, title=title, source=path.name)
    report = cleaning.inspect(dataset)
    _print_report(report)
    body = {"name": name, "content_hash": dataset.content_hash, "users": dataset.n_users, "items": dataset.n_items}
    body |= {
        "interactions": len(dataset.interactions),
        "order": dataset.order,
        "tables": plan.rows(),
        "report": report.to_dict(),
    }
    if not dry_run:
        entry = store.save(dataset, settings, note="imported", tables=plan.rows(), report=report.to_dict())
        body["version"] = entry["number"]
        typer.echo(f"stored as {name}@{entry['number']}, hash {dataset.content_hash}")
    _end(body, as_json)


def inspect_data(name: Name, as_json: JsonFlag = False) -> None:
    """The cleaning report of a data set; changes nothing."""
    from llmrec_core.data import cleaning

    report = cleaning.inspect(_load(name))
    _print_report(report)
    _end(report.to_dict(), as_json)


def clean_data(
    name: Name,
    on: Annotated[list[str] | None, typer.Option(help="Switch a check's action on; may be repeated.")] = None,
    off: Annotated[list[str] | None, typer.Option(help="Switch a check's action off; may be repeated.")] = None,
    k_core: Annotated[
        int, typer.Option(help="Keep users and items with at least this many interactions; 0 = off.")
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Stores a cleaned version; the one it was made from stays."""
    from llmrec_core.data import cleaning, store
    from llmrec_core.settings import load_settings

    switches = {**dict.fromkeys(on or [], True), **dict.fromkeys(off or [], False)}
    dataset = _load(name)
    if name.partition("@")[0] in store.BUILT_IN:
        raise UsageError(f"{name!r} is built in and stays as it is; import a copy under another name to clean it")
    cleaned, report = cleaning.clean(dataset, switches, k_core)
    _print_report(report)
    if not len(cleaned.interactions):
        raise UsageError("nothing would be left; switch something off or lower --k-core")
    if cleaned.content_hash == dataset.content_hash:
        typer.echo("nothing to change: no new version")
        _end({"name": name, "content_hash": dataset.content_hash, "version": None, "report": report.to_dict()}, as_json)
        return
    entry = store.save(cleaned, load_settings(), note=f"cleaned from {name}", report=report.to_dict())
    typer.echo(f"stored as {name.partition('@')[0]}@{entry['number']}, hash {cleaned.content_hash}")
    _end(
        {"name": name, "content_hash": cleaned.content_hash, "version": entry["number"], "report": report.to_dict()},
        as_json,
    )


def check_data(
    name: Name,
    split: Annotated[str, typer.Option(help="loo, time, loo-cold-items or loo-cold-users.")] = "loo",
    candidates: Annotated[str, typer.Option(help="full, or e.g. 100-uniform.")] = "100-uniform",
    family: Annotated[
        list[str] | None, typer.Option(help="Families to check; may be repeated. Default: the classical ones.")
    ] = None,
    users: Annotated[int, typer.Option(help="Users asked.")] = 400,
    steps: Annotated[int, typer.Option(help="Training steps of neural families, which train twice.")] = 120,
    as_json: JsonFlag = False,
) -> None:
    """Sanity checks: leakage, shuffled labels, an independent metric, order and batch. Exit 1 when one fails."""
    import tempfile
    from functools import partial

    from llmrec_core.data.splits import split as make_split
    from llmrec_core.experiments import sanity
    from llmrec_core.experiments.grid import usual_run
    from llmrec_core.recommenders.registry import build
    from llmrec_core.settings import load_settings

    settings, dataset = load_settings(), _load(name)
    made = make_split(dataset, split)
    rows = [("data", result) for result in sanity.check_split(made, candidates, users=users)]
    titled = bool((dataset.items["title"] != "").any())
    families = family or ["popularity", "item-knn", "ease", *(["tf-idf"] if titled else [])]
    with tempfile.TemporaryDirectory() as folder:
        for chosen in families:
            make = partial(build, usual_run(chosen, steps), settings=settings)
            results = sanity.check_recommender(make, made, Path(folder), candidates, users=users)
            rows += [(chosen, result) for result in results]
    for subject, result in rows:
        typer.echo(f"{'passed' if result.passed else 'FAILED'}  {subject}: {result.check}: {result.detail}")
    _end([{"subject": s, "check": r.check, "passed": bool(r.passed), "detail": r.detail} for s, r in rows], as_json)
    if not all(result.passed for _, result in rows):
        raise typer.Exit(1)


def delete_data(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without being asked.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Removes a data set with all its versions."""
    from llmrec_core.data import store
    from llmrec_core.settings import load_settings

    settings = load_settings()
    if name in store.BUILT_IN:
        raise UsageError(f"{name!r} is built in and cannot be deleted; its cached copy lies under LLMREC_HOME/assets")
    versions = store.manifest(name, settings)["versions"]
    if not yes and not typer.confirm(f"delete {name!r} with {len(versions)} version(s)?"):
        raise typer.Exit(1)
    store.delete(name, settings)
    typer.echo(f"deleted {name}")
    _end({"deleted": name, "versions": len(versions)}, as_json)


def _load(name: str) -> Any:
    from llmrec_core.data.dataset import load_dataset
    from llmrec_core.settings import load_settings

    return load_dataset(name, load_settings())


def _print_report(report: Any) -> None:
    for finding in report.findings:
        switch = f"[{'on' if finding.on else 'off'}: {finding.action}]" if finding.action else "[report only]"
        typer.echo(
            f"{finding.check:17} {finding.count:8,} of {finding.total:,} {finding.unit}  {finding.rule}  {switch}"
        )
        for example in finding.examples[:2]:
            typer.echo(f"{'':27}e.g. {example}")
    for core in report.cores:
        typer.echo(
            f"{core['k']}-core would leave {core['users']:,} users, {core['items']:,} items, "
            f"{core['interactions']:,} interactions"
        )
    for step in report.steps:
        typer.echo(f"after {step.step}: {step.users:,} users, {step.items:,} items, {step.interactions:,} interactions")


def _end(body: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(body, default=str))
