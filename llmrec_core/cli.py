"""The command line: `python -m llmrec_core VERB`. A thin reading of the functions that do the work.

With `--json` the last line of stdout is one JSON document. Exit status 0, 2 for a wrong argument, 1 for a failure;
every failure is one sentence on stderr. Heavy modules are imported inside the commands.
"""

from __future__ import annotations

import dataclasses
import errno
import importlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmrec_core.errors import LlmrecError, UsageError
from llmrec_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from llmrec_core.experiments.ledger import Ledger
    from llmrec_core.experiments.records import RunRow

app = typer.Typer(
    help="Which recommender gives the best recommendations per dollar on your data and hardware?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
runs_app = typer.Typer(help="The ledger's runs.", no_args_is_help=True)
models_app = typer.Typer(help="Backbones that come with checked downloads.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(models_app, name="models")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on the last line of stdout.")]
RunOption = Annotated[str, typer.Option("--run", help="Id of a finished run, or its name.")]


def _open() -> tuple[Settings, Ledger]:
    from llmrec_core.experiments.ledger import Ledger

    settings = load_settings()
    return settings, Ledger.open(settings)


def _console(as_json: bool = False) -> Console:
    """The screen, or stderr when stdout is for JSON; wide enough for a table where there is no terminal."""
    from rich.console import Console

    console = Console(stderr=as_json)
    return console if console.is_terminal else Console(stderr=as_json, width=150)


def _print_json(body: Any) -> None:
    print(json.dumps(body, ensure_ascii=False), flush=True)


def _print_table(title: str, columns: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    _console().print(table)


def find_run(ledger: Ledger, wanted: str) -> RunRow:
    """A run by id or by name; of several with one name, the latest finished one.

    Raises:
        UsageError: when there is none.
    """
    named = [run for run in ledger.runs() if run.name == wanted]
    if not named:
        return ledger.run(wanted)
    return max(named, key=lambda run: (run.state == "finished", run.finished or "", run.created))


# ── studies ──────────────────────────────────────────────────────────────────────────────────────


@app.command()
def demo(
    serve: Annotated[bool, typer.Option(help="Start the web too, and keep it until Ctrl-C.")] = True,
    port: Annotated[int, typer.Option(help="Port of the web.")] = 8501,
) -> None:
    """The default study on MovieLens 100K, with progress, then a table."""
    from llmrec_core.experiments.study import DEFAULT_STUDY

    _work(DEFAULT_STUDY, port if serve else None)


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="A study in TOML, see assets/studies/.")], as_json: Json = False
) -> None:
    """Queue a study, watch it, print its table. Runs that have finished are not computed again."""
    _work(file, None, as_json)


def _work(file: Path, port: int | None, as_json: bool = False) -> None:
    from llmrec_core import assets
    from llmrec_core.experiments import study as studies
    from llmrec_core.experiments.spec import load_study
    from llmrec_core.experiments.up import check_port

    if port is not None:
        check_port(port)
    console = _console(as_json)
    settings, ledger = _open()
    needed = studies.assets_of(load_study(file))
    for name in needed:
        assets.fetch(name, settings, console.print)
    wanted = studies.prepare_study(file, settings)
    ids = ledger.add_study(wanted)
    _watch(settings, ledger, ids, wanted.title, port, as_json)


def _watch(settings: Settings, ledger: Ledger, ids: list[str], title: str, port: int | None, as_json: bool) -> None:
    """Have the runs executed, show them, and end with their table; exit 1 when one did not finish."""
    import time

    from llmrec_core.experiments.records import OVER
    from llmrec_core.experiments.study import Board, watch
    from llmrec_core.experiments.up import Services

    console = _console(as_json)
    board = Board(ledger, ids, title)
    runs = board.runs()
    if port is None and all(run.state in OVER for run in runs):  # nothing to do: no worker needed
        runs = watch(board, console, lambda: None)
    else:
        try:
            with Services(settings, ledger, port, quiet=True) as services:
                if port is not None:
                    console.print(f"open {services.address}    (Ctrl-C stops everything; what is done is kept)")
                runs = watch(board, console, services.alive)
                if port is not None:
                    console.print(f"done; the app goes on at {services.address} until Ctrl-C")
                    while True:
                        services.alive()
                        time.sleep(1)
        except KeyboardInterrupt:
            console.print("stopped; nothing is lost, the same command goes on from here")
            raise typer.Exit(130) from None
    if as_json:
        _print_json(_summaries(ledger, runs))
    if any(run.state != "finished" for run in runs):
        raise typer.Exit(1)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A run in TOML.")],
    study: Annotated[str, typer.Option(help="Study it belongs to.")] = "single runs",
    as_json: Json = False,
) -> None:
    """Execute one run and print its figures."""
    from llmrec_core import assets
    from llmrec_core.experiments import study as studies
    from llmrec_core.experiments.spec import StudySpec, load_run

    spec = load_run(file)
    settings, ledger = _open()
    for name in studies.assets_of(StudySpec(study, study, (spec,))):
        assets.fetch(name, settings, _console(as_json).print)
    run_id = ledger.enqueue(studies.with_content(spec, settings), study, priority=1)
    _watch(settings, ledger, [run_id], study, None, as_json)


@app.command()
def up(port: Annotated[int, typer.Option(help="Port of the web.")] = 8501) -> None:
    """The app: web and worker together, until Ctrl-C."""
    import time

    from llmrec_core.experiments.up import Services

    settings, ledger = _open()
    with Services(settings, ledger, port) as services:
        print(f"open {services.address}    (Ctrl-C stops everything; what is done is kept)", flush=True)
        while True:
            services.alive()
            time.sleep(1)


@app.command()
def worker(
    allow_many: Annotated[bool, typer.Option("--allow-many", help="One of several workers (PostgreSQL).")] = False,
) -> None:
    """Take runs from the queue and answer questions, until Ctrl-C."""
    from llmrec_core.experiments.worker import Worker

    settings, ledger = _open()
    raise typer.Exit(Worker(settings, ledger, allow_many=allow_many).run())


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


def _summaries(ledger: Ledger, runs: list[RunRow]) -> list[dict[str, Any]]:
    from llmrec_core.experiments import listing

    return [listing.summary(run, row) for run, row in zip(runs, listing.rows_of(ledger, runs), strict=True)]


@runs_app.command("list")
def runs_list(study: Annotated[str, typer.Option(help="Only this study.")] = "", as_json: Json = False) -> None:
    """All runs with quality and cost."""
    from llmrec_core.experiments import listing

    _, ledger = _open()
    found = ledger.runs(study or None)
    if study and not found:
        names = ", ".join(row.name for row in ledger.studies()) or "none yet"
        raise UsageError(f"no study {study!r} in the ledger; it has: {names}")
    if as_json:
        _print_json(_summaries(ledger, found))
        return
    lines = [(run.id, *listing.cells(run, row)) for run, row in zip(found, listing.rows_of(ledger, found), strict=True)]
    _print_table(f"{len(found)} runs in {ledger.where}", ("id", *listing.COLUMNS), lines)


@runs_app.command("show")
def runs_show(run: Annotated[str, typer.Argument(help="Id or name.")], as_json: Json = False) -> None:
    """One run: its spec, every figure and the end of its log."""
    from dataclasses import asdict

    from llmrec_core.experiments import formats, listing

    _, ledger = _open()
    found = find_run(ledger, run)
    (row,) = listing.rows_of(ledger, [found])
    if as_json:
        figures = [asdict(figure) for figure in row.figures]
        documents = {name: body for name, body in row.documents.items() if name != "slices"}
        _print_json(asdict(found) | {"measurements": figures, "documents": documents})
        return
    print(f"{found.name} (run {found.id}): {listing.state_text(found)}, attempt {found.attempt}")
    if found.error:
        print(f"  {found.error}")
    lines = [(one.name, formats.figure(one, interval=True), one.slice, one.protocol) for one in row.figures]
    _print_table("figures", ("name", "value", "slice", "protocol"), lines)
    for moment, line in ledger.logs(found.id, last=20):
        print(f"{moment}  {line}")


@runs_app.command("cancel")
def runs_cancel(run: Annotated[str, typer.Argument(help="Id or name.")]) -> None:
    """Cancel a queued or running run; what it has saved is kept."""
    _, ledger = _open()
    found = find_run(ledger, run)
    state = ledger.cancel(found.id)
    print(f"{found.name} (run {found.id}): " + ("cancelled" if state == "cancelled" else "told to stop after its step"))


@runs_app.command("resume")
def runs_resume(run: Annotated[str, typer.Argument(help="Id or name.")]) -> None:
    """Queue a failed, cancelled or paused run again, from its last checkpoint."""
    _, ledger = _open()
    found = find_run(ledger, run)
    ledger.retry(found.id)
    print(f"{found.name} (run {found.id}): queued; a worker takes it (python -m llmrec_core worker)")


@runs_app.command("export")
def runs_export(
    study: Annotated[str, typer.Option(help="The study.")] = "default",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("study.json"),
) -> None:
    """A study with all its records as one JSON file."""
    _, ledger = _open()
    out.write_text(json.dumps(ledger.export_study(study), ensure_ascii=False), encoding="utf-8")
    print(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")


# ── models, answers, report ──────────────────────────────────────────────────────────────────────


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """Backbones and data with checked downloads, and whether they are on this machine."""
    from llmrec_core.assets import list_assets

    rows = list_assets(load_settings())
    if as_json:
        _print_json(rows)
        return
    lines = [(row["name"], row["title"], "yes" if row["cached"] else "no", row["licence"]) for row in rows]
    _print_table(
        "any Hugging Face id or local folder of safetensors works too", ("name", "what", "here", "licence"), lines
    )


@models_app.command("fetch")
def models_fetch(names: Annotated[list[str] | None, typer.Argument(help="All when none is named.")] = None) -> None:
    """Download and check; afterwards no network is needed."""
    from llmrec_core.assets import ASSETS, fetch

    for name in names or list(ASSETS):
        print(fetch(name, load_settings(), lambda line: print(line, flush=True)))


def _answer(kind: str, payload: dict[str, Any], cache: dict[Any, Any] | None = None) -> dict[str, Any]:
    from llmrec_core.experiments.answers import answer

    return answer(kind, payload, load_settings(), {} if cache is None else cache)


@app.command()
def recommend(
    run: RunOption,
    user: Annotated[str, typer.Option(help="User id as in the data set.")] = "",
    history: Annotated[list[str] | None, typer.Option(help="A title somebody new likes; repeat for more.")] = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Everybody, into --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON lines, one user each, for --all-users.")] = None,
    k: Annotated[int, typer.Option("-k", help="Length of the list.")] = 10,
    policy: Annotated[Path | None, typer.Option(help="What may be shown: a policy in TOML.")] = None,
    as_json: Json = False,
) -> None:
    """Recommendations of a finished run, for a user, for somebody new, or for everybody."""
    if sum((bool(user), bool(history), all_users)) != 1:
        raise UsageError("give exactly one of --user ID, --history TITLE (repeatable) or --all-users")
    if all_users != (out is not None):
        raise UsageError("--all-users and --out FILE go together")
    settings, ledger = _open()
    found = find_run(ledger, run)
    ask: dict[str, Any] = {"run": found.id, "k": k}
    if policy is not None:
        from llmrec_core.experiments.policy import load_policy

        ask["policy"] = dataclasses.asdict(load_policy(policy))
    if out is not None:
        from llmrec_core.data.dataset import load_dataset

        cache: dict[Any, Any] = {}
        users = load_dataset(found.spec["data"]["name"], settings).users["user_id"].astype(str)
        with out.open("w", encoding="utf-8") as sink:
            for user_id in users:
                body = _answer("recommend", ask | {"user": user_id}, cache)
                kept = {"acts": body["acts"]} if policy is not None else {}
                sink.write(json.dumps({"user": user_id, "items": body["items"]} | kept, ensure_ascii=False) + "\n")
        print(f"wrote {len(users)} lists to {out}")
        return
    body = _answer("recommend", ask | ({"user": user} if user else {"history_titles": history}))
    if as_json:
        _print_json(body)
        return
    lines = [(str(rank), item["title"], f"{item['score']:.4g}") for rank, item in enumerate(body["items"], 1)]
    _print_table(
        f"{found.name} for {f'user {user}' if user else ', '.join(history or [])}", ("", "title", "score"), lines
    )
    for act in body["acts"]:
        print(f"kept from the list by the policy ({act['rule']}): {act['title']}")


@app.command()
def profile(
    run: Annotated[str, typer.Option("--run", help="Id or name of a finished run.")] = "",
    model: Annotated[str, typer.Option("--model", help="A backbone, a Hugging Face id or a folder.")] = "",
    precision: Annotated[str, typer.Option(help="fp32, bf16, int8-dynamic, …")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch: Annotated[int, typer.Option(help="Requests at a time.")] = 1,
    candidates: Annotated[int, typer.Option(help="Candidates per request.")] = 100,
    history: Annotated[int, typer.Option(help="History items.")] = 10,
    grid: Annotated[
        bool, typer.Option("--grid", help="Per layer, roofline, and every size of the lists below.")
    ] = False,
    batches: Annotated[str, typer.Option(help="Grid: requests at a time.")] = "1,8",
    history_tokens: Annotated[str, typer.Option(help="Grid: history lengths.")] = "50,200",
    candidate_counts: Annotated[str, typer.Option(help="Grid: candidates per request.")] = "10,100,500",
    candidate_tokens: Annotated[int, typer.Option(help="Grid: tokens of a candidate.")] = 12,
    runtime: Annotated[str, typer.Option(help="Grid: eager, compile or onnx.")] = "eager",
    depth: Annotated[int, typer.Option(help="Grid: layers kept, 0 for all.")] = 0,
    as_json: Json = False,
) -> None:
    """FLOPs, memory, latency and energy of one request; with --grid, where the time goes over many sizes."""
    if bool(run) == bool(model):
        raise UsageError("give exactly one of --run ID or --model NAME")
    if grid:
        lists = {"batches": batches, "history_tokens": history_tokens, "candidates": candidate_counts}
        sizes = {name: _integers(name, text) for name, text in lists.items()}
        more = {"candidate_tokens": candidate_tokens, "runtime": runtime, "depth": depth, "grid": True}
        _show_profile(
            _answer("profile", {"model": model, "precision": precision, "device": device} | sizes | more), as_json
        )
        return
    subject = {"run": find_run(_open()[1], run).id} if run else {"model": model}
    options = {"precision": precision, "device": device, "batch": batch, "candidates": candidates, "history": history}
    _show_profile(_answer("profile", subject | options), as_json)


def _integers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--{name.replace('_', '-')} is {text!r}; expected whole numbers with commas, e.g. 10,100"
        ) from error


def _show_profile(body: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(body)
        return
    from llmrec_core.experiments import formats
    from llmrec_core.types import Measurement

    rows = [
        Measurement(**{k: v for k, v in row.items() if k in Measurement.__dataclass_fields__}) for row in body["rows"]
    ]
    _print_table(
        "profile", ("name", "value", "protocol"), [(row.name, formats.figure(row), row.protocol) for row in rows]
    )


@app.command()
def report(
    study: Annotated[str, typer.Option(help="The study.")] = "default",
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    comment: Annotated[str, typer.Option(help="Your own words, shown as plain text.")] = "",
) -> None:
    """A study as one HTML file that opens without a network."""
    from llmrec_core.experiments import report as reports

    _, ledger = _open()
    out.write_text(reports.render(reports.gather(ledger, study, comment=comment)), encoding="utf-8")
    print(f"wrote {out} ({out.stat().st_size / 1e3:.0f} kB)")


# ── the entry point ──────────────────────────────────────────────────────────────────────────────


def _register() -> None:
    """Verbs that live beside the parts they drive."""
    for part in ("data", "explain", "costmodel", "experiments"):
        if importlib.util.find_spec(f"llmrec_core.{part}.cli"):
            importlib.import_module(f"llmrec_core.{part}.cli").register(app)


def main() -> None:
    """Run the command line; every error meant for a person is one sentence."""
    _register()
    try:
        app(prog_name="python -m llmrec_core")
    except LlmrecError as error:
        sys.exit(_complain(str(error), error.exit_code))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EISDIR, errno.ENOENT, errno.EROFS):
            raise
        sys.exit(
            _complain(
                f"{error.filename or 'a file'} cannot be written or read: {error.strerror}; nothing stored is lost", 1
            )
        )
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(sentence: str, status: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status
