"""The process of one run: `python -m llmrec_core.running.child RUN_ID WORKER ATTEMPT`.

A worker starts it. All machine learning happens here, so that a crash or a lack of memory ends one
run and not the worker. SIGTERM asks it to stop: the step is finished, a checkpoint saved. It dies
with its worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import signal
import sys
import time
import traceback
from types import FrameType
from typing import TYPE_CHECKING

from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.errors import DataError, LedgerError, RunError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.model_files import DOCUMENT, require_intact
from llmrec_core.ledger.rows import Lease, LeaseLostError, RunRow
from llmrec_core.running import halving, limits
from llmrec_core.running.failures import AWAY, DISK, KEPT, REPORTED, STOPPED, classify
from llmrec_core.running.ledger_context import (
    COMMIT_PAUSE_S,
    COMMIT_S,
    LedgerContext,
    RecordKept,
)
from llmrec_core.running.needs import catalogue_of, machine_of, require_fit
from llmrec_core.running.processes import die_with, run_folder
from llmrec_core.running.run_record import RunRecord
from llmrec_core.running.turns import Turns
from llmrec_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

EXECUTE = "llmrec_core.running.execute"
"""The module that runs a spec; `LLMREC_EXECUTE` names another one, for tests of the queue."""


def execute_run(run: RunRow, context: LedgerContext, settings: Settings) -> None:
    """Compute a run and give its record to the ledger, or only the latter when it is computed.

    Raises:
        LlmrecError: whatever the parts raise; a `RunError` says how it ended.
        RecordKept: when the record is safe and the ledger away.
    """
    context.progress("load", 0, 1)
    record = RunRecord.read(context.folder, run.spec_hash)
    if record is not None:
        context.log(t("an earlier attempt has finished; its record is taken as it is"))
        context.commit(record)
        return
    spec = smaller_batch(stored_run(run.spec), run, context)
    module = os.environ.get("LLMREC_EXECUTE")
    dataset = None if module else load(spec, settings)
    if dataset is not None:
        require_fit(spec, catalogue_of(dataset), machine_of(settings))
    importlib.import_module(module or EXECUTE).execute(spec, dataset, context, settings)
    context.finish(run.spec_hash)


def load(spec: RunSpec, settings: Settings) -> Dataset:
    """Return the run's data set, the very one it was queued for.

    Raises:
        DataError: when its content has changed since.
    """
    from llmrec_core.data.catalogue import load_dataset

    dataset = load_dataset(spec.data.name, settings, spec.data.content_hash)
    wanted = spec.data.content_hash
    if wanted and dataset.content_hash != wanted:
        raise DataError(
            t(
                "data set {name!r} has content {content_hash}, the run was queued for "
                "{wanted}; restore that version, or queue the run again",
                name=spec.data.name,
                content_hash=dataset.content_hash[:12],
                wanted=wanted[:12],
            )
        )
    return dataset


def smaller_batch(spec: RunSpec, run: RunRow, context: LedgerContext) -> RunSpec:
    """Return the spec with half the batch when memory was short before, and say so."""
    if not run.halvings:
        return spec
    training = halving.halved(spec.training)
    sentence = halving.sentence(spec.training, training)
    context.log(sentence)
    body = {"sentence": sentence, "training": dataclasses.asdict(training)}
    context.document("smaller_batch", body)
    return dataclasses.replace(spec, training=training)


def main(run_id: str, worker: str, attempt: int) -> int:
    """Execute one leased run; returns the exit status (see failures.py).

    Args:
        run_id: of the run.
        worker: name of the worker that holds it.
        attempt: number of the lease: a later one shuts this process out.
    """
    settings = load_settings()
    try:
        ledger = Ledger.open(settings)
        run = ledger.run(run_id)
    except LedgerError as error:
        _say(str(error))
        return AWAY
    lease = Lease(run_id, worker, attempt, run.spec, os.environ.get("LLMREC_SOURCE_ID") or None)
    parent_model = settings.runs / lease.source_id / "model" if lease.source_id else None
    turns = Turns(settings.home)
    context = LedgerContext(ledger, lease, settings.runs / run_id, parent_model, turns)

    def stop(number: int, frame: FrameType | None) -> None:
        context.stop_requested = True

    signal.signal(signal.SIGTERM, stop)
    try:
        ledger.renew(lease)  # whoever holds the lease may end the process that has the folder
        with run_folder(context.folder, 2 * settings.lease_s):
            if lease.source_id and parent_model is not None and parent_model.is_dir():
                require_intact(parent_model, ledger.document(lease.source_id, DOCUMENT))
            execute_run(run, context, settings)
    except LeaseLostError as error:
        _say(str(error))
        return REPORTED
    except RecordKept as error:
        _say(str(error))
        return KEPT
    except LedgerError as error:
        _say(str(error))
        return AWAY
    except Exception as error:  # noqa: BLE001 - all is told to the ledger, the traceback to the log
        _say(traceback.format_exc())
        kind, sentence = classify(error)
        if kind == "cancelled" and context.stop_requested:
            return STOPPED
        lines = traceback.format_exc().splitlines() if kind == "bug" else []
        return _report(context, ledger, lease, kind, sentence, lines)
    return 0


def _say(text: str) -> None:
    """Into the output file, which may be on a full disk."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _report(
    context: LedgerContext, ledger: Ledger, lease: Lease, kind: str, sentence: str, lines: list[str]
) -> int:
    """Tell the ledger how the run failed; returns the exit status."""
    halve = kind == "out_of_memory" and halving.can_halve(stored_run(lease.spec))
    until = time.monotonic() + COMMIT_S
    for line in lines:
        context.log(line)
    while True:
        try:
            context.flush()
            ledger.fail(lease, kind, sentence, halve=halve)
        except LeaseLostError:
            return REPORTED
        except RunError as error:  # the ledger's disk is full too: the worker tells it later
            _say(str(error))
            return DISK
        except LedgerError as error:
            if time.monotonic() < until and not context.should_stop():
                time.sleep(COMMIT_PAUSE_S)
                continue
            _say(str(error))
            return AWAY
        return REPORTED


if __name__ == "__main__":
    die_with(int(os.environ["LLMREC_WORKER_PID"]), signal.SIGKILL)
    # Ctrl-C reaches the whole terminal; the worker decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    limits.hold(load_settings(), limits.RUN_FIRST)
    ended = main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    # All is written; Python's own way out would replace the status when that flush fails.
    os._exit(ended)
