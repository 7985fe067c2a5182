"""The process of one run: `python -m llmrec_core.experiments.child RUN_ID WORKER ATTEMPT`, started by a worker.

All machine learning happens here, so that a crash or a lack of memory ends one run and not the worker. SIGTERM asks
it to stop: the step is finished, a checkpoint saved. It dies with its worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmrec_core.errors import DataError, RunFailed
from llmrec_core.experiments.failures import DISK, REPORTED, STOPPED, classify
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.ledger_context import LedgerContext
from llmrec_core.experiments.records import Lease, LeaseLost
from llmrec_core.experiments.spec import RunSpec, run_from_dict
from llmrec_core.experiments.turns import Turns
from llmrec_core.settings import Settings, load_settings

EXECUTE = "llmrec_core.experiments.execute"
"""The module that runs a spec; `LLMREC_EXECUTE` names another one, for tests of the queue."""


def die_with(parent: int, how: signal.Signals) -> None:
    """Have the kernel send `how` to this process when `parent` ends (Linux; elsewhere fencing alone protects)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(how))
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), how)


@contextlib.contextmanager
def only_one(folder: Path, settings: Settings) -> Iterator[None]:
    """Hold the run's folder: an earlier attempt on this machine may still be writing there until it notices.

    Raises:
        RunFailed: (lost) when it has not left after two leases.
    """
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 2 * settings.lease_s
    with (folder / "lock").open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise RunFailed(
                        f"another process still writes to {folder}; end it and resume the run", "lost"
                    ) from None
                time.sleep(0.1)
        yield


def load(spec: RunSpec, settings: Settings) -> Any:
    """The run's data set, the very one it was queued for.

    Raises:
        DataError: when its content has changed since.
    """
    from llmrec_core.data.dataset import load_dataset

    dataset = load_dataset(spec.data.name, settings)
    wanted = spec.data.content_hash
    if wanted and dataset.content_hash != wanted:
        raise DataError(
            f"data set {spec.data.name!r} has content {dataset.content_hash[:12]}, the run was queued for "
            f"{wanted[:12]}; restore that version, or queue the run again"
        )
    return dataset


def main(run_id: str, worker: str, attempt: int) -> int:
    """Execute one leased run; returns the exit status (see failures.py)."""
    settings = load_settings()
    ledger = Ledger.open(settings)
    run = ledger.run(run_id)
    lease = Lease(run_id, worker, attempt, run.spec, os.environ.get("LLMREC_SOURCE_ID") or None)
    folder = settings.runs / run_id
    parent_model = settings.runs / lease.source_id / "model" if lease.source_id else None
    context = LedgerContext(ledger, lease, folder, parent_model, Turns(settings.home))

    def stop(number: int, frame: Any) -> None:
        context.stop_requested = True

    signal.signal(signal.SIGTERM, stop)
    try:
        with only_one(folder, settings):
            context.progress("load", 0, 1)
            spec = run_from_dict(run.spec, f"run {run_id}")
            module = os.environ.get("LLMREC_EXECUTE")
            dataset = None if module else load(spec, settings)
            importlib.import_module(module or EXECUTE).execute(spec, dataset, context, settings)
            context.finish()
    except LeaseLost as error:
        _say(str(error))
        return REPORTED
    except Exception as error:  # noqa: BLE001 - everything is told to the ledger in a sentence, the traceback to the log
        kind, sentence = classify(error)
        _say(traceback.format_exc())
        if kind == "cancelled" and context.stop_requested:
            return STOPPED
        lines = traceback.format_exc().splitlines() if kind == "bug" else []
        return _tell(context, ledger, lease, kind, sentence, lines)
    return 0


def _say(text: str) -> None:
    """Into the output file, which may be on a full disk."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _tell(context: LedgerContext, ledger: Ledger, lease: Lease, kind: str, sentence: str, lines: list[str]) -> int:
    try:
        for line in lines:
            context.log(line)
        context.flush()
        ledger.fail(lease, kind, sentence)
    except LeaseLost:
        return REPORTED
    except RunFailed as error:  # the ledger's disk is full too: the worker tells it when there is space again
        _say(str(error))
        return DISK
    return REPORTED


if __name__ == "__main__":
    die_with(int(os.environ["LLMREC_WORKER_PID"]), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the worker decides
    ended = main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(ended)  # all is written; Python's own way out would replace the status when that flush fails
