"""Stands in for `experiments.execute` in tests of the queue: counts steps in a file, and fails as it is told.

`options` of the spec say what to do: `steps`, `step_s`, `crash_at` (signal 9 to itself at that step, once),
`always_crash`, `hog` (asks for more memory than it may have), `full` (says that its disk is full), `fill` (fills it, once), `bug`, `window_s`.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from typing import Any

from llmrec_core.errors import DataError, RunFailed
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.spec import RunSpec
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement, Samples


def execute(spec: RunSpec, dataset: Any, context: RunContext, settings: Settings) -> None:
    options = spec.recommender.options
    saved = context.folder / "steps.txt"
    done = int(saved.read_text()) if saved.exists() else 0
    if done:
        context.log(f"resumed at step {done}")
    if options.get("bug"):
        raise KeyError("no such column")
    if options.get("data"):
        raise DataError("row 3 has no rating; expected a number; mend the file")
    if options.get("full"):
        raise OSError(errno.ENOSPC, "No space left on device", str(saved))
    if options.get("fill") and not (context.folder / "filled").exists():
        with (context.folder / "filled").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    if options.get("hog"):
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**32)
    if options.get("crash"):
        os.kill(os.getpid(), int(options["crash"]))
    steps = int(options.get("steps", 3))
    for step in range(done, steps):
        time.sleep(options.get("step_s", 0.0))
        context.curve("train_loss", step, 1 / (step + 1))
        context.progress("fit", step + 1, steps)
        saved.write_text(str(step + 1))
        if options.get("crash_at") == step and not (context.folder / "crashed").exists():
            (context.folder / "crashed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if context.should_stop():
            raise RunFailed(f"stopped at step {step + 1}", "cancelled")
    with context.timing_window():
        began = time.time()
        time.sleep(options.get("window_s", 0.0))
        context.document("window", {"began": began, "ended": time.time()})
    context.curve("valid_ndcg@10", steps, options.get("valid", 0.5))
    context.measure(Measurement("ndcg@10", 0.25, "1", 0.2, 0.3, 100, protocol="loo/100-uniform"))
    context.measure(Measurement("energy_per_request_j", None, "J", reason="no counter"))
    context.keep(Samples("ndcg@10", [0.0, 0.5], [4, 7], "loo/100-uniform"))
    context.document("parent", str(context.parent_model))
