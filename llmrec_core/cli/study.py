"""`demo`, `study`, `run`, `up`, `worker`: runs are queued, executed and watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmrec_core.cli.output import Json, make_console, open_ledger, print_json
from llmrec_core.cli.runs import summaries
from llmrec_core.language import ask_language_of, source_language, t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import RunRow
from llmrec_core.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

Port = Annotated[int, typer.Option(help="Port of the web.")]


def register(app: typer.Typer) -> None:
    """Add the verbs that execute runs."""
    for command in (demo, study, run, up, worker):
        app.command()(command)


def demo(
    serve: Annotated[
        bool, typer.Option(help="Start the web too, and keep it until Ctrl-C.")
    ] = True,
    port: Port = 8501,
) -> None:
    """The default study on MovieLens 100K, with progress, then a table."""
    from llmrec_core.running.study import DEFAULT_STUDY

    queue_and_watch(DEFAULT_STUDY, port if serve else None)


def study(
    file: Annotated[Path, typer.Argument(help="A study in TOML, see assets/studies/.")],
    as_json: Json = False,
) -> None:
    """Queue a study, watch it, print its table. Runs that have finished are not computed again."""
    queue_and_watch(file, None, as_json)


def queue_and_watch(file: Path, port: int | None, as_json: bool = False) -> None:
    """Queue the study of a file, have it executed and show it.

    Args:
        file: a study in TOML.
        port: where the web listens meanwhile; no web when `None`.
        as_json: print the runs as JSON at the end.
    """
    from llmrec_core.contract.spec_files import load_study
    from llmrec_core.models.gguf_folder import prepared
    from llmrec_core.running import study as studies
    from llmrec_core.running.services import check_port

    if port is not None:
        check_port(port)
    console = make_console(as_json)
    settings, ledger = open_ledger()
    for name in studies.assets_of(load_study(file)):
        prepared(name, settings, console.print)
    wanted = studies.prepare_study(file, settings)
    ids = ledger.add_study(wanted)
    watch_runs(settings, ledger, ids, wanted.title, port, as_json)


def watch_runs(
    settings: Settings, ledger: Ledger, ids: list[str], title: str, port: int | None, as_json: bool
) -> None:
    """Have the runs executed, show them, and end with their table.

    Args:
        settings: the home.
        ledger: holds the runs.
        ids: the runs, in the order of the table.
        title: stands above the table.
        port: where the web listens meanwhile, until Ctrl-C; no web when `None`.
        as_json: print the runs as JSON at the end.

    Raises:
        typer.Exit: with status 1 when a run did not finish.
    """
    runs = watched(settings, ledger, ids, title, make_console(as_json), port)
    if as_json:
        print_json(summaries(ledger, runs))
    if any(run.state != "finished" for run in runs):
        raise typer.Exit(1)


def watched(
    settings: Settings,
    ledger: Ledger,
    ids: list[str],
    title: str,
    console: Console,
    port: int | None = None,
) -> list[RunRow]:
    """Have the runs executed, show them, and return them as they ended.

    Args:
        settings: the home.
        ledger: holds the runs.
        ids: the runs, in the order of the table.
        title: stands above the table.
        console: where they are shown.
        port: where the web listens meanwhile, until Ctrl-C; no web when `None`.

    Raises:
        typer.Exit: with status 130 after Ctrl-C.
    """
    from llmrec_core.ledger.rows import OVER
    from llmrec_core.running.services import Services
    from llmrec_core.running.study import Board, watch

    board = Board(ledger, ids, title)
    runs = board.runs()
    if port is None and all(run.state in OVER for run in runs):  # nothing to do: no worker needed
        return watch(board, console, lambda: None)
    try:
        with Services(settings, ledger, port, quiet=True) as services:
            if port is not None:
                console.print(_address(services.address))
            runs = watch(board, console, services.keep)
            if port is not None:
                console.print(
                    t(
                        "done; the app goes on at {address} until Ctrl-C",
                        address=services.address,
                    )
                )
                _keep_for_ever(services.keep)
    except KeyboardInterrupt:
        console.print(t("stopped; nothing is lost, the same command goes on from here"))
        raise typer.Exit(130) from None
    return runs


def run(
    file: Annotated[Path, typer.Argument(help="A run in TOML.")],
    study: Annotated[str, typer.Option(help="Study it belongs to.")] = "single runs",
    as_json: Json = False,
) -> None:
    """Execute one run and print its figures."""
    from llmrec_core.contract.spec_files import StudySpec, load_run
    from llmrec_core.models.gguf_folder import prepared
    from llmrec_core.running import study as studies

    spec = load_run(file)
    settings, ledger = open_ledger()
    for name in studies.assets_of(StudySpec(study, study, (spec,))):
        prepared(name, settings, make_console(as_json).print)
    run_id = ledger.enqueue(studies.with_content(spec, settings), study, priority=1)
    watch_runs(settings, ledger, [run_id], study, None, as_json)


def up(
    port: Port = 8501,
    host: Annotated[
        str, typer.Option(help="Address on which the web listens; others than this need a login.")
    ] = "127.0.0.1",
    without_login: Annotated[
        bool,
        typer.Option("--without-login", help="Anybody who reaches the address may come in."),
    ] = False,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Whoever comes in may look and ask, and change nothing."),
    ] = False,
) -> None:
    """The app: web and worker together, until Ctrl-C."""
    import os

    from llmrec_core.access import READ_ONLY, accepted_hosts, check_web, read_access
    from llmrec_core.running.services import Services

    settings, ledger = open_ledger()
    access = read_access(settings)
    check_web(
        access,
        address=host,
        hosts=accepted_hosts(access),
        cors=True,
        xsrf=True,
        without_login=without_login,
    )
    if without_login:
        os.environ["LLMREC_WITHOUT_LOGIN"] = "1"
    if read_only:
        os.environ[READ_ONLY] = "1"
    with Services(settings, ledger, port, host=host) as services:
        print(_address(services.address), flush=True)
        _keep_for_ever(services.keep)


def _address(address: str) -> str:
    return t("open {address}    (Ctrl-C stops everything; what is done is kept)", address=address)


def _keep_for_ever(keep: Callable[[], None]) -> None:
    while True:
        keep()
        time.sleep(1)


def worker(
    allow_many: Annotated[
        bool, typer.Option("--allow-many", help="One of several workers (PostgreSQL).")
    ] = False,
) -> None:
    """Take runs from the queue and answer questions, until Ctrl-C."""
    from llmrec_core.running.worker import Worker

    settings, ledger = open_ledger()
    # What a worker writes into the ledger is read in other languages too.
    ask_language_of(source_language)
    raise typer.Exit(Worker(settings, ledger, allow_many=allow_many).run())
