"""Stands in for `running.execute` in tests of the queue.

It counts steps in a file, and fails as the `options` of the spec say: see `FAULTS`. Besides:
`steps` and `step_s` (its length), `window_s` (of its timing window), `valid` (its validation NDCG).
"""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.errors import DataError, RunError
from llmrec_core.files import write_text
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement, Samples


def bug(value: float, spec: RunSpec, context: RunContext) -> None:
    raise KeyError("no such column")


def data(value: float, spec: RunSpec, context: RunContext) -> None:
    raise DataError("row 3 has no rating; expected a number; mend the file")


def full(value: float, spec: RunSpec, context: RunContext) -> None:
    """Say that the disk is full."""
    raise OSError(errno.ENOSPC, "No space left on device", str(context.folder))


def fill(value: float, spec: RunSpec, context: RunContext) -> None:
    """Fill the disk, once."""
    if not (context.folder / "filled").exists():
        with (context.folder / "filled").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))


def hog(value: float, spec: RunSpec, context: RunContext) -> None:
    """Ask for more memory than it may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    bytearray(2**32)


def takes_gb(value: float, spec: RunSpec, context: RunContext) -> None:
    """Ask for so much memory a history of the batch."""
    bytearray(int(value * 1e9) * spec.training.batch_histories)


def crash(value: float, spec: RunSpec, context: RunContext) -> None:
    os.kill(os.getpid(), int(value))


def deadlock(value: float, spec: RunSpec, context: RunContext) -> None:
    """Wait for ever without computing anything, once."""
    if not (context.folder / "waited").exists():
        (context.folder / "waited").touch()
        threading.Event().wait()


FAULTS: dict[str, Callable[[float, RunSpec, RunContext], None]] = {
    fault.__name__: fault for fault in (bug, data, full, fill, hog, takes_gb, crash, deadlock)
}


def execute(spec: RunSpec, dataset: Any, context: RunContext, settings: Settings) -> None:
    options = spec.recommender.options
    for name, value in options.items():
        if name in FAULTS:
            FAULTS[name](value, spec, context)
    _count_steps(options, context)
    with context.timing_window():
        began = time.time()
        time.sleep(options.get("window_s", 0.0))
        context.document("window", {"began": began, "ended": time.time()})
    (context.folder / "model").mkdir(exist_ok=True)
    (context.folder / "model" / "weights.bin").write_bytes(bytes(range(256)) * 64)
    context.curve("valid_ndcg@10", int(options.get("steps", 3)), options.get("valid", 0.5))
    context.measure(Measurement("ndcg@10", 0.25, "1", 0.2, 0.3, 100, protocol="loo/100-uniform"))
    context.measure(Measurement("energy_per_request_j", None, "J", reason="no counter"))
    context.keep(Samples("ndcg@10", [0.0, 0.5], [4, 7], "loo/100-uniform"))
    context.document("parent", str(context.parent_model))
    context.document("batch", [spec.training.batch_histories, spec.training.accumulate])


def _count_steps(options: dict[str, float], context: RunContext) -> None:
    """Count, and chain a digest as training chains its weights: from step to saved step."""
    saved = context.folder / "steps.txt"
    done, chain = saved.read_text().split() if saved.exists() else ("0", chain_of(0))
    if int(done):
        context.log(f"resumed at step {done}")
    steps = int(options.get("steps", 3))
    for step in range(int(done), steps):
        time.sleep(options.get("step_s", 0.0))
        chain = next_link(chain, step)
        context.curve("train_loss", step, 1 / (step + 1))
        context.progress("fit", step + 1, steps)
        write_text(saved, f"{step + 1} {chain}")
        if options.get("crash_at") == step and not (context.folder / "crashed").exists():
            (context.folder / "crashed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if context.should_stop():
            raise RunError(f"stopped at step {step + 1}", "cancelled")
    context.document("chain", chain)


def next_link(chain: str, step: int) -> str:
    return hashlib.sha256(f"{chain} {step}".encode()).hexdigest()


def chain_of(steps: int) -> str:
    """The digest after so many steps without a stop."""
    chain = "begin"
    for step in range(steps):
        chain = next_link(chain, step)
    return chain
