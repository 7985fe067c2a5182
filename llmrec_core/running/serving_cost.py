"""What a run costs to serve, measured in a fresh process that only serves it.

The process of a run holds training, checks and the meters' own buffers, so its memory is four to
six times what a server needs. Here the saved model is loaded by a program of its own
(`serving_child.py`), which answers requests of the study in windows that stand apart in time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from llmrec_core.contract.spec import RunSpec
from llmrec_core.errors import RunError
from llmrec_core.language import marked, t
from llmrec_core.profiling.measure import CostMeter
from llmrec_core.profiling.served_elsewhere import Meter
from llmrec_core.running.failures import classify_exit, kernel_oom_kills
from llmrec_core.running.serving_files import Order, Ready, ServingFolder
from llmrec_core.types import Measurement

LOOK_S = 0.02
"""Between two looks for an answer; they take next to nothing from the window that is measured."""
MOST_REQUESTS, MOST_CELLS = 400, 1_000_000
"""Requests that are served, and candidates in all of them: what is asked stands in memory too."""
INSIDE = {
    "peak_memory_bytes": marked(
        "the most that was resident in a fresh process: Python, the libraries that the family "
        "needs, the data set, the model, and what loading and answering take on top; no training, "
        "no meter"
    ),
    "runtime_memory_bytes": marked(
        "Python and the libraries of the family, before anything is loaded"
    ),
    "loaded_memory_bytes": marked("the same with the data set and the model, ready to answer"),
    "request_memory_bytes": marked(
        "what the process has taken beyond that at its highest: loading and answering"
    ),
    "load_s": marked(
        "from the start of the process until it could answer: imports, data set, model"
    ),
    "first_latency_s": marked("the first request of the process: nothing is warm"),
    "latency_p50_s": marked(
        "later requests, each of a user seen for the first time: titles are read into tokens and "
        "vectors of the catalogue are computed before, the history is read anew"
    ),
}
"""What is inside each figure: the record's document `serving`."""

_Answer = TypeVar("_Answer")


class Serving:
    """A process that serves a saved model, for as long as its cost is measured.

    It is started with the first window and ended with the `with` block.
    """

    def __init__(
        self,
        spec: RunSpec,
        content_hash: str,
        model: Path,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to serve.

        Args:
            spec: of the run that the model is of.
            content_hash: of the data set that the spec names; the process loads it by both.
            model: folder of the saved model.
            should_stop: asked again and again while an answer is waited for.
        """
        self._spec, self._content_hash, self._model = spec, content_hash, model
        self._should_stop = should_stop
        self._files = ExitStack()
        self._folder: ServingFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._oom_kills = kernel_oom_kills()
        self._loaded: Ready | None = None
        self._windows, self._peak_bytes, self._shape = 0, 0, ""

    def __enter__(self) -> Serving:
        """Make the folder through which the two processes talk."""
        path = self._files.enter_context(tempfile.TemporaryDirectory(prefix="llmrec-serving-"))
        self._folder = ServingFolder(Path(path))
        return self

    def __exit__(self, *error: object) -> None:
        """End the process and delete the folder."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._files.close()

    def start(self, meter: CostMeter) -> None:
        """Start the process and wait until it could answer; a window does so by itself.

        Args:
            meter: has the requests.

        Raises:
            RunError: as `window`.
        """
        folder, process = self._started(meter)
        self._loaded = self._wait(folder.ready, process, folder)

    def window(self, meter: Meter) -> None:
        """Measure a window of both kinds and give it to `meter`, with the scores that were seen.

        Args:
            meter: has the requests; it takes the windows. Nothing is done for requests that
                somebody else's machines answer.

        Raises:
            RunError: when the process has failed, or the run is asked to stop.
        """
        if not isinstance(meter, CostMeter):
            return
        folder, process = self._started(meter)
        self._loaded = self._wait(folder.ready, process, folder)
        assert process.stdin is not None, "the process was started with a pipe"
        process.stdin.write(b"\n")
        process.stdin.flush()
        self._windows += 1
        served = self._wait(lambda: folder.served(self._windows), process, folder)
        self._peak_bytes, self._shape = served.peak_bytes, meter.shape
        meter.single.append(served.single)
        meter.batched.append(served.batched)
        places, scores = folder.scores(self._windows)
        if meter.keep is not None and len(places):
            histories = [meter.histories[place] for place in places]
            meter.keep(histories, meter.candidates[places], scores)

    def measurements(self) -> list[Measurement]:
        """Rows of the record that only this process knows; none where nothing is served here."""
        ready = self._loaded
        if ready is None:
            return []
        return [
            Measurement("load_s", ready.load_s, "s", protocol="run"),
            Measurement("first_latency_s", ready.first_s, "s", protocol=f"{self._shape}/batch-1"),
            *(
                Measurement(name, float(value), "B", protocol="run")
                for name, value in (
                    ("peak_memory_bytes", self._peak_bytes),
                    ("runtime_memory_bytes", ready.runtime_bytes),
                    ("loaded_memory_bytes", ready.loaded_bytes),
                    ("request_memory_bytes", self._peak_bytes - ready.loaded_bytes),
                )
            ),
        ]

    def _started(self, meter: CostMeter) -> tuple[ServingFolder, subprocess.Popen[bytes]]:
        """The folder and the process, which is started when it is not."""
        assert self._folder is not None, "used outside its block"
        if self._process is None:
            offered = meter.candidates.shape[1]
            count = min(len(meter.histories), MOST_REQUESTS, max(1, MOST_CELLS // offered))
            order = Order(
                self._spec.to_dict(),
                str(self._model),
                self._content_hash,
                meter.k,
                meter.batch,
                time.monotonic(),
            )
            self._folder.write_order(order, meter.histories[:count], meter.candidates[:count])
            self._process = subprocess.Popen(
                [sys.executable, "-m", "llmrec_core.running.serving_child", self._folder.path],
                stdin=subprocess.PIPE,
                stdout=sys.stderr,
                env={**os.environ, "LLMREC_RUN_PID": str(os.getpid())},
            )
        return self._folder, self._process

    def _wait(
        self,
        look: Callable[[], _Answer | None],
        process: subprocess.Popen[bytes],
        folder: ServingFolder,
    ) -> _Answer:
        while (answer := look()) is None:
            if process.poll() is not None:
                raise self._failed(process, folder)
            if self._should_stop():
                raise RunError(t("stopped on request"), "cancelled")
            time.sleep(LOOK_S)
        return answer

    def _failed(self, process: subprocess.Popen[bytes], folder: ServingFolder) -> RunError:
        failure = folder.failure()
        if failure is not None:
            kind, reason = failure.kind, failure.sentence
        else:
            kind, reason = classify_exit(process.returncode, kernel_oom_kills() - self._oom_kills)
        return RunError(t("the saved model could not be served: {reason}", reason=reason), kind)


def inside(rows: Sequence[Measurement]) -> dict[str, str]:
    """What is inside each cost figure, in the reader's language.

    Args:
        rows: what `Serving.measurements` returned.
    """
    return {name: t(sentence) for name, sentence in INSIDE.items()} if rows else {}
