"""`data VERB`: the library's functions about data sets, printed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec_core.cli.cleaning_report import print_report
from llmrec_core.cli.diagnose_data import diagnose_data
from llmrec_core.cli.import_data import import_data
from llmrec_core.cli.output import Json, print_json, refuse_unread
from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

Name = Annotated[
    str, typer.Argument(help="Name of a data set, e.g. ml-100k; NAME@1 is its first version.")
]


def register(app: typer.Typer) -> None:
    """Add the verb `data` to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Data sets: list, import, inspect, diagnose, clean, check, shuffle ties, delete.",
    )
    group.command("list")(list_data)
    group.command("import")(import_data)
    group.command("inspect")(inspect_data)
    group.command("diagnose")(diagnose_data)
    group.command("clean")(clean_data)
    group.command("check")(check_data)
    group.command("shuffle-ties")(shuffle_ties)
    group.command("delete")(delete_data)
    app.add_typer(group, name="data")


def list_data(as_json: Json = False) -> None:
    """Every data set with its versions."""
    from llmrec_core.data import store
    from llmrec_core.settings import load_settings

    rows: list[dict[str, object]] = [
        {"name": name, "version": 1, "note": t("built in, fetched on first use")}
        for name in store.BUILT_IN
    ]
    shown = {"content_hash", "users", "items", "interactions", "order", "note"}
    for stored in store.manifests(load_settings()):
        rows += [
            {"name": stored.name, "version": version.number} | version.model_dump(include=shown)
            for version in stored.versions
        ]
    for row in rows:
        counts = (
            t("{interactions:,} interactions, {users:,} users, {items:,} items", **row)
            if "users" in row
            else ""
        )
        typer.echo(f"{row['name']}@{row['version']}  {counts}  {row['note']}")
    if as_json:
        print_json(rows)


def inspect_data(name: Name, as_json: Json = False) -> None:
    """The cleaning report of a data set; changes nothing."""
    from llmrec_core.data.cleaning import inspection

    report = inspection.inspect(_load(name))
    print_report(report)
    if as_json:
        print_json(report.to_dict())


def clean_data(
    name: Name,
    on: Annotated[
        list[str] | None, typer.Option(help="Switch a check's action on; may be repeated.")
    ] = None,
    off: Annotated[
        list[str] | None, typer.Option(help="Switch a check's action off; may be repeated.")
    ] = None,
    k_core: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            help="Keep users and items with at least this many interactions; 0 = off.",
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Store a cleaned version; the one it was made from stays."""
    from llmrec_core.data.cleaning.cleaned_version import clean_and_store
    from llmrec_core.settings import load_settings

    switches = {**dict.fromkeys(on or [], True), **dict.fromkeys(off or [], False)}
    cleaned = clean_and_store(
        name, load_settings(), switches, k_core, tell=partial(print_report, acted=True)
    )
    if cleaned.version is None:
        typer.echo(t("nothing to change: no new version"))
    else:
        typer.echo(
            t(
                "stored as {name}@{number}, hash {content_hash}",
                name=name.partition("@")[0],
                number=cleaned.version,
                content_hash=cleaned.content_hash,
            )
        )
    if as_json:
        print_json(
            {
                "name": name,
                "content_hash": cleaned.content_hash,
                "version": cleaned.version,
                "report": cleaned.report.to_dict(),
            }
        )


def check_data(
    context: typer.Context,
    name: Name,
    split: Annotated[
        str, typer.Option(help="loo, time, loo-cold-items or loo-cold-users.")
    ] = "loo",
    candidates: Annotated[str, typer.Option(help="full, or e.g. 100-uniform.")] = "100-uniform",
    family: Annotated[
        list[str] | None,
        typer.Option(help="Families to check; may be repeated. Default: the classical ones."),
    ] = None,
    users: Annotated[int, typer.Option(min=1, max=1_000_000, help="Users asked.")] = 400,
    steps: Annotated[
        int,
        typer.Option(
            min=1,
            max=1_000_000,
            help="Training steps of neural families, which train twice.",
        ),
    ] = 120,
    as_json: Json = False,
) -> None:
    """Leakage, shuffled labels, an independent metric, order and batch; exit 1 when one fails."""
    from llmrec_core.contract.families import family_named
    from llmrec_core.running.data_check import Plan, check_and_keep
    from llmrec_core.settings import load_settings

    dataset = _load(name)
    plan = Plan(split, candidates, tuple(family or ()), users, steps)
    families = [family_named(chosen) for chosen in plan.families_for(dataset)]
    if all(chosen.usual.get("adaptation", "none") == "none" for chosen in families):
        refuse_unread(context, ("steps",), t("none of these families trains in steps"))
    rows = check_and_keep(dataset, load_settings(), plan)["rows"]
    for row in rows:
        verdict = t("passed") if row["passed"] else t("FAILED")
        typer.echo(f"{verdict}  {row['subject']}: {row['check']}: {row['detail']}")
    if as_json:
        print_json([row | {"passed": bool(row["passed"])} for row in rows])
    if not all(row["passed"] for row in rows):
        raise typer.Exit(1)


def shuffle_ties(
    name: Name,
    new_name: Annotated[str, typer.Option("--as", help="Name of the data set that is stored.")],
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the order.")] = 0,
    as_json: Json = False,
) -> None:
    """Store a copy in which equal times stand in an order drawn by chance, to run a study on."""
    from dataclasses import replace

    from llmrec_core.data import store
    from llmrec_core.data.ties import shuffled_ties
    from llmrec_core.settings import load_settings

    settings, dataset = load_settings(), _load(name)
    if dataset.order != "time":
        raise UsageError(
            t(
                "{name!r} is not ordered by time, so that no equal times decide anything; "
                "shuffle-ties needs a data set with times",
                name=name,
            )
        )
    if store.folder_of(store.check_name(new_name), settings).exists():
        raise UsageError(
            t("there is a data set {new_name!r} already; choose another --as", new_name=new_name)
        )
    note = t("{name}, equal times in an order drawn with seed {seed}", name=name, seed=seed)
    shuffled = replace(shuffled_ties(dataset, seed), name=new_name)
    version = store.save(shuffled, settings, note=note)
    typer.echo(
        t(
            "stored as {name}@{number}, hash {content_hash}",
            name=new_name,
            number=version.number,
            content_hash=shuffled.content_hash,
        )
    )
    if as_json:
        print_json({"name": new_name, "content_hash": shuffled.content_hash, "seed": seed})


def delete_data(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without being asked.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a data set with all its versions."""
    from llmrec_core.data import store
    from llmrec_core.settings import load_settings

    settings = load_settings()
    if name in store.BUILT_IN:
        raise UsageError(
            t(
                "{name!r} is built in and cannot be deleted; its cached copy lies under "
                "LLMREC_HOME/assets",
                name=name,
            )
        )
    versions = store.manifest(name, settings).versions
    question = t("delete {name!r} with {count} version(s)?", name=name, count=len(versions))
    if not yes and not typer.confirm(question):
        raise typer.Exit(1)
    store.delete(name, settings)
    typer.echo(t("deleted {name}", name=name))
    if as_json:
        print_json({"deleted": name, "versions": len(versions)})


def _load(name: str) -> Dataset:
    from llmrec_core.data.catalogue import load_dataset
    from llmrec_core.settings import load_settings

    return load_dataset(name, load_settings())
