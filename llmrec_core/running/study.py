"""A study from the command line: queue it, watch it, print its table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec, load_study
from llmrec_core.installation import ASSETS
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import OVER, RunRow
from llmrec_core.models.model_folder import BUILT_IN, identity_of
from llmrec_core.reading import listing, number_format
from llmrec_core.reading.row import Row
from llmrec_core.settings import Settings

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

DEFAULT_STUDY = ASSETS / "studies" / "default.toml"
WATCH_S = 0.5
FIRST_S = 180.0
WIDE = 120  # characters


def with_content(spec: RunSpec, settings: Settings) -> RunSpec:
    """Return the spec with the hashes of its data set and its backbone as they are now.

    So a changed data set or backbone makes another run. A run that cannot fit this machine is
    refused here, unless workers of other machines take runs too.

    Raises:
        UsageError: for an unknown data set or backbone.
        UnsupportedError: for a run that needs more than there is; see `needs.require_fit`.
    """
    from llmrec_core.data.catalogue import load_dataset

    return _of_content(spec, load_dataset(spec.data.name, settings), settings)


def _of_content(spec: RunSpec, dataset: Dataset, settings: Settings) -> RunSpec:
    from llmrec_core.recommenders.hosted.spending import require_affordable
    from llmrec_core.running.needs import catalogue_of, machine_of, require_fit

    require_affordable(spec, dataset)
    if settings.ledger_url.startswith("sqlite"):
        require_fit(spec, catalogue_of(dataset), machine_of(settings))
    data = dataclasses.replace(spec.data, content_hash=dataset.content_hash)
    chosen, identity = spec.recommender, ""
    if chosen.backbone and chosen.backbone not in BUILT_IN:
        identity = identity_of(chosen.backbone, settings)
    recommender = dataclasses.replace(chosen, backbone_hash=identity)
    return dataclasses.replace(spec, data=data, recommender=recommender)


def prepare_study(path: Path, settings: Settings) -> StudySpec:
    """Return the study of a TOML file with the hashes of its data sets and backbones.

    Raises:
        UsageError: for a wrong spec, see `spec_files.load_study`, and as `prepared_study`.
        UnsupportedError: as `prepared_study`.
    """
    return prepared_study(load_study(path), settings)


def prepared_study(study: StudySpec, settings: Settings) -> StudySpec:
    """Return the study with the hashes of its data sets and backbones.

    Raises:
        UsageError: for an unknown data set or backbone.
        UnsupportedError: for a run that needs more than there is.
    """
    from llmrec_core.data.catalogue import load_dataset

    names = {spec.data.name for spec in study.runs}
    datasets = {name: load_dataset(name, settings) for name in names}
    runs = tuple(_of_content(spec, datasets[spec.data.name], settings) for spec in study.runs)
    return dataclasses.replace(study, runs=runs)


def assets_of(study: StudySpec) -> list[str]:
    """Names of the downloads that the study's rows need."""
    from llmrec_core.assets import ASSETS

    wanted = {name for spec in study.runs for name in (spec.data.name, spec.recommender.backbone)}
    return [name for name in ASSETS if name in wanted]


def seconds_left(runs: Sequence[RunRow], clock: datetime) -> float | None:
    """Expected seconds until the last run ends: its spec's minutes times the pace so far.

    The pace is seconds spent over seconds expected, begun with `FIRST_S` as expected: the first
    rows are short and mostly start-up, and say little about the long ones.

    Args:
        runs: rows of the ledger, finished ones among them.
        clock: the moment at which they were read.

    Returns:
        Seconds, or `None` when nothing can be expected of the runs that are left.
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
        self._rows: dict[tuple[str, int], Row] = {}

    def runs(self) -> list[RunRow]:
        """Return the runs as they stand now, in their first order."""
        by_id = {run.id: run for run in self.ledger.runs()}
        return [by_id[run_id] for run_id in self.run_ids]

    def table(self, runs: Sequence[RunRow], width: int) -> Table:
        """The runs as they stand; a narrow screen goes without the last columns.

        Args:
            runs: of the study, in its order.
            width: of the screen in letters.
        """
        fresh = [
            run
            for run in runs
            if run.state == "finished" and (run.id, run.attempt) not in self._rows
        ]
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
                column,
                justify="left" if text else "right",
                overflow="fold",
                min_width=24 if column == "run" else None,
            )
        for run in runs:
            lines = listing.cells(run, self._rows.get((run.id, run.attempt)))
            table.add_row(*(Text(cell) for cell in lines[: len(columns)]))
        return table

    def caption(self, runs: Sequence[RunRow]) -> str:
        """Return the sentence below the table: how many are done, and how long it takes."""
        over = sum(run.state in OVER for run in runs)
        text = t(
            "{over} of {n_runs} done, {duration} so far",
            over=over,
            n_runs=len(runs),
            duration=number_format.duration(time.monotonic() - self.began),
        )
        left = seconds_left(runs, datetime.now().astimezone())
        return text + (
            t(", about {left} left", left=number_format.duration(left))
            if left and over < len(runs)
            else ""
        )


def watch(board: Board, console: Console, alive: Callable[[], None]) -> list[RunRow]:
    """Show the table until every run is over or paused.

    On a terminal the table is redrawn in place; elsewhere each change of state is one line, and the
    table comes last.

    Args:
        board: the runs.
        console: where the table is shown.
        alive: called at every look; raises when nobody works on the runs any more.

    Returns:
        The runs as they ended.
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
                    console.print(
                        Text(f"{run.state}  {run.name}{note}  [{board.caption(runs)}]"),
                        soft_wrap=True,
                    )
                seen[run.id] = run.state
            if all(run.state in OVER or run.state == "paused" for run in runs):
                break
            alive()
            time.sleep(WATCH_S)
            runs = board.runs()
    console.print(board.table(runs, console.width))
    for run in runs:
        if run.state != "finished":
            console.print(
                Text(f"{run.state}: {run.name} (run {run.id}): {run.error}"), soft_wrap=True
            )
    return runs
