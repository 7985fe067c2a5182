"""A study from the command line: queue it, watch it, print its table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from llmrec_core.experiments import formats, listing, views
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.records import OVER, RunRow
from llmrec_core.experiments.spec import RunSpec, StudySpec, load_study
from llmrec_core.settings import Settings

DEFAULT_STUDY = Path(__file__).parents[2] / "assets" / "studies" / "default.toml"
WATCH_S = 0.5
FIRST_S = 180.0
WIDE = 120  # characters


def with_content(spec: RunSpec, settings: Settings) -> RunSpec:
    """The spec with the content hash of its data set as it is now, so that a changed one makes another run.

    Raises:
        UsageError: for an unknown data set.
    """
    from llmrec_core.data.dataset import load_dataset

    found = load_dataset(spec.data.name, settings)
    return dataclasses.replace(spec, data=dataclasses.replace(spec.data, content_hash=found.content_hash))


def prepare_study(path: Path, settings: Settings) -> StudySpec:
    """The study of a TOML file with its data sets' content hashes.

    Raises:
        UsageError: for a wrong spec, see `spec.load_study`.
    """
    study = load_study(path)
    hashes: dict[str, str] = {}
    runs = []
    for spec in study.runs:
        name = spec.data.name
        if name not in hashes:
            hashes[name] = with_content(spec, settings).data.content_hash
        runs.append(dataclasses.replace(spec, data=dataclasses.replace(spec.data, content_hash=hashes[name])))
    return dataclasses.replace(study, runs=tuple(runs))


def assets_of(study: StudySpec) -> list[str]:
    """Names of the downloads that the study's rows need."""
    from llmrec_core.assets import ASSETS

    wanted = {name for spec in study.runs for name in (spec.data.name, spec.recommender.backbone)}
    return [name for name in ASSETS if name in wanted]


def seconds_left(runs: Sequence[RunRow], clock: datetime) -> float | None:
    """Expected seconds until the last run ends: its spec's minutes times the pace so far.

    The pace is seconds spent over seconds expected, begun with `FIRST_S` as expected: the first rows are short and
    mostly start-up, and say little about the long ones.
    """
    spent_s, expected_s, left = FIRST_S, FIRST_S, 0.0
    for run in runs:
        expected = run.minutes * 60
        if run.state == "finished" and run.started and run.finished and expected:
            spent_s += (_time(run.finished) - _time(run.started)).total_seconds()
            expected_s += expected
    pace = spent_s / expected_s
    for run in runs:
        if run.state in ("queued", "paused"):
            left += run.minutes * 60 * pace
        elif run.state == "running":
            spent = (clock - _time(run.started)).total_seconds() if run.started else 0.0
            left += max(run.minutes * 60 * pace - spent, 5.0)
    return left if left or all(run.state in OVER for run in runs) else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Board:
    """The live table of some runs; figures of finished ones are read once."""

    def __init__(self, ledger: Ledger, run_ids: Sequence[str], title: str) -> None:
        self.ledger, self.run_ids, self.title = ledger, list(run_ids), title
        self.began = time.monotonic()
        self._rows: dict[tuple[str, int], views.Row] = {}

    def runs(self) -> list[RunRow]:
        found = {run.id: run for run in self.ledger.runs()}
        return [found[run_id] for run_id in self.run_ids]

    def table(self, runs: Sequence[RunRow], width: int) -> Table:
        """The runs as they stand; a narrow screen goes without the last columns."""
        fresh = [run for run in runs if run.state == "finished" and (run.id, run.attempt) not in self._rows]
        for run, row in zip(fresh, listing.rows_of(self.ledger, fresh), strict=True):
            self._rows[(run.id, run.attempt)] = row
        table = Table(
            title=self.title,
            caption=self.caption(runs),
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        columns = listing.COLUMNS if width >= WIDE else listing.COLUMNS[:-2]
        for column in columns:
            text = column in ("run", "state")
            table.add_column(
                column, justify="left" if text else "right", overflow="fold", min_width=24 if column == "run" else None
            )
        for run in runs:
            lines = listing.cells(run, self._rows.get((run.id, run.attempt)))
            table.add_row(*(Text(cell) for cell in lines[: len(columns)]))
        return table

    def caption(self, runs: Sequence[RunRow]) -> str:
        over = sum(run.state in OVER for run in runs)
        text = f"{over} of {len(runs)} done, {formats.duration(time.monotonic() - self.began)} so far"
        left = seconds_left(runs, datetime.now().astimezone())
        return text + (f", about {formats.duration(left)} left" if left and over < len(runs) else "")


def watch(board: Board, console: Console, alive: Callable[[], None]) -> list[RunRow]:
    """Show the table until every run is over or paused; returns the runs as they ended.

    On a terminal the table is redrawn in place; elsewhere each change of state is one line, and the table comes last.

    Args:
        alive: called at every look; raises when nobody works on the runs any more.
    """
    runs = board.runs()
    seen: dict[str, str] = {}
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            if console.is_terminal:
                live.update(board.table(runs, console.width), refresh=True)
            for run in runs:
                before = seen.get(run.id, "queued")
                if before != run.state and not console.is_terminal:
                    note = f": {run.error}" if run.error else ""
                    console.print(Text(f"{run.state}  {run.name}{note}  [{board.caption(runs)}]"), soft_wrap=True)
                seen[run.id] = run.state
            if all(run.state in OVER or run.state == "paused" for run in runs):
                break
            alive()
            time.sleep(WATCH_S)
            runs = board.runs()
    console.print(board.table(runs, console.width))
    for run in runs:
        if run.state != "finished":
            console.print(Text(f"{run.state}: {run.name} (run {run.id}): {run.error}"), soft_wrap=True)
    return runs
