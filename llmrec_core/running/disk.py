"""What a home holds on disk, and what may go: `llmrec disk`.

The rule, also in docs/reference/disk.md. Pruned are

- answered questions, 30 days after their answer;
- checkpoints of runs that have finished: they serve to go on, and the model stands beside them;
- folders of runs that the ledger does not know, unfinished data sets and temporary files, after
  a day, when nobody writes to them any more;
- copies of the ledger from before a change of its schema, after 30 days.

Records, models, data sets and downloads stay until somebody deletes them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmrec_core.data import store
from llmrec_core.language import marked, t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import OVER

DAY_S = 86_400.0
KEPT_DAYS = 30
"""Days for which answered questions and copies of the ledger are kept."""


@dataclass(frozen=True)
class Part:
    """One kind of content of a home."""

    name: str
    """Shown through `t`."""
    files: int
    size_bytes: int
    prunable_bytes: int
    """How much of it the rule lets go now."""


@dataclass(frozen=True)
class Pruned:
    """What has gone."""

    files: int
    size_bytes: int
    questions: int


def usage(ledger: Ledger, clock: float | None = None) -> list[Part]:
    """Return what the home holds, largest first.

    Args:
        ledger: of the home.
        clock: seconds since 1970; now when `None`.
    """
    home = ledger.settings.home
    prunable = set(_files(prunable_paths(ledger, clock)))
    by_name: dict[str, list[Path]] = {}
    for path in _files([home]):
        by_name.setdefault(_kind(path.relative_to(home)), []).append(path)
    parts = [
        Part(name, len(paths), _size(paths), _size(path for path in paths if path in prunable))
        for name, paths in by_name.items()
    ]
    return sorted(parts, key=lambda part: -part.size_bytes)


def _kind(path: Path) -> str:
    """What a file of the home is, by its path in it."""
    first = path.parts[0]
    if first == "runs" and len(path.parts) > 3:
        if path.parts[2] == "checkpoints":
            return marked("checkpoints")
        return marked("models")
    if path.name.startswith("ledger.db"):
        return marked("ledger")
    return {
        "assets": marked("downloads"),
        "datasets": marked("data sets"),
        "runs": marked("records and output of runs"),
        "embeddings": marked("vectors of texts"),
    }.get(first, marked("other"))


def prunable_paths(ledger: Ledger, clock: float | None = None) -> list[Path]:
    """Return the files and folders that the rule lets go.

    Args:
        ledger: of the home.
        clock: seconds since 1970; now when `None`.
    """
    now = time.time() if clock is None else clock
    settings = ledger.settings
    return [
        *_checkpoints(ledger),
        *_older(_strangers(ledger), now - DAY_S),
        *_older(settings.datasets.glob(f"{store.UNFINISHED}*"), now - DAY_S),
        *_older(settings.home.rglob(".*.tmp"), now - DAY_S),
        *_older(settings.home.glob("ledger.db.before-*"), now - KEPT_DAYS * DAY_S),
    ]


def prune(ledger: Ledger, clock: float | None = None) -> Pruned:
    """Remove what the rule lets go.

    Args:
        ledger: of the home.
        clock: seconds since 1970; now when `None`.
    """
    paths = prunable_paths(ledger, clock)
    files = list(_files(paths))
    size = _size(files)
    for path in paths:
        _remove(path)
    return Pruned(len(files), size, ledger.prune_requests(KEPT_DAYS * DAY_S))


def remove_models(ledger: Ledger, run_ids: Iterable[str]) -> int:
    """Remove all that was trained by some runs; returns the bytes that are free again.

    Args:
        ledger: of the home; the runs' records stay in it.
        run_ids: the runs; those that are not over are left alone.
    """
    over = {run.id for run in ledger.runs() if run.state in OVER}
    folders = [
        ledger.settings.runs / run_id / name
        for run_id in run_ids
        if run_id in over
        for name in ("model", "checkpoints")
    ]
    size = _size(_files(folders))
    for folder in folders:
        _remove(folder)
    return size


def _checkpoints(ledger: Ledger) -> Iterator[Path]:
    finished = [run.id for run in ledger.runs() if run.state == "finished"]
    for run_id in finished:
        folder = ledger.settings.runs / run_id / "checkpoints"
        if folder.is_dir():
            yield folder


def _strangers(ledger: Ledger) -> list[Path]:
    """Folders of runs that the ledger does not know; none when it knows no folder at all.

    Then it is more likely the ledger of another home.
    """
    run_ids = {run.id for run in ledger.runs()}
    folders = list(ledger.settings.runs.glob("*"))
    strangers = [path for path in folders if path.name not in run_ids]
    return strangers if len(strangers) < len(folders) else []


def _older(paths: Iterable[Path], moment: float) -> Iterator[Path]:
    """Those of the paths in which nothing was written since a moment."""
    for path in paths:
        files = [path, *_files([path])]
        if max(file.lstat().st_mtime for file in files) < moment:
            yield path


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file at or below the paths; links are not followed."""
    for path in paths:
        if path.is_symlink() or path.is_file():
            yield path
        elif path.is_dir():
            yield from _files(sorted(path.iterdir()))


def _size(paths: Iterable[Path]) -> int:
    return sum(path.lstat().st_size for path in paths)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def rule() -> Sequence[str]:
    """Return the rule as sentences for the command line."""
    return (
        t("answered questions go {days} days after their answer", days=KEPT_DAYS),
        t("checkpoints of finished runs go; models stay"),
        t("folders that no run and no data set has go after a day"),
        t("copies of the ledger from before a new schema go after {days} days", days=KEPT_DAYS),
    )
