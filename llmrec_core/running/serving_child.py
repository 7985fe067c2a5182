"""The process in which a run is served while its cost is measured.

    python -m llmrec_core.running.serving_child FOLDER

It loads the saved model as a server would, imports what that family needs and nothing else, and
answers the requests of `FOLDER`. Neither training nor the meters of the machine are in it. A window
is measured for each line on its standard input; answers are files of `FOLDER`, so that what a
library prints does no harm.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmrec_core.contract.recommender import Recommender, ServesInPrecision, reader_of
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.profiling.measure import CostMeter
from llmrec_core.profiling.resident import highest_resident_bytes, resident_bytes
from llmrec_core.recommenders.registry import family_class, stored_as
from llmrec_core.running.failures import classify
from llmrec_core.running.processes import die_with
from llmrec_core.running.serving_files import Failure, Order, Ready, Served, ServingFolder
from llmrec_core.settings import load_settings

KEPT_CELLS = 250_000
"""Scores that go back to the run; more of them would count as memory of serving."""


class Answers:
    """The scores of every request, as it was answered first."""

    def __init__(self, histories: Sequence[np.ndarray]) -> None:
        self._places = {id(history): place for place, history in enumerate(histories)}
        self._scores: dict[int, np.ndarray] = {}
        self._cells = 0

    def keep(
        self, histories: Sequence[np.ndarray], offered: np.ndarray, scores: np.ndarray
    ) -> None:
        """Remember scores, shape (B, N), as `CostMeter.keep` is told them.

        Args:
            histories: item codes of each request.
            offered: item codes, shape (B, N); -1 pads.
            scores: shape (B, N).
        """
        for history, scored in zip(histories, scores, strict=True):
            place = self._places[id(history)]
            if place not in self._scores and self._cells + scored.size <= KEPT_CELLS:
                self._cells += scored.size
                self._scores[place] = scored

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the requests, and their scores, shape (requests, N)."""
        places = sorted(self._scores)
        return np.array(places, dtype=np.int64), np.array([self._scores[at] for at in places])


def loaded(order: Order, spec: RunSpec) -> tuple[Recommender, int]:
    """The saved recommender, and the resident memory before anything of it was loaded."""
    family = family_class(stored_as(spec.recommender))
    runtime_bytes = resident_bytes()
    dataset = load_dataset(spec.data.name, load_settings(), order.content_hash)
    recommender = family.load(Path(order.model), dataset)
    reader = reader_of(recommender)
    if isinstance(reader, ServesInPrecision):
        reader.ready(spec.precision)
    return recommender, runtime_bytes


def serve(folder: ServingFolder) -> None:
    """Load, say so, and measure a window for each line of the standard input."""
    order = folder.order()
    spec = stored_run(order.spec)
    histories, candidates = folder.requests()
    recommender, runtime_bytes = loaded(order, spec)
    loaded_bytes, load_s = resident_bytes(), time.monotonic() - order.started
    answers = Answers(histories)
    meter = CostMeter(
        recommender,
        histories,
        candidates,
        order.k,
        order.batch,
        precision=spec.precision,
        keep=answers.keep,
    )
    start = time.perf_counter()
    meter.request(0, 1)
    first_s = time.perf_counter() - start
    folder.write_ready(Ready(load_s, first_s, runtime_bytes, loaded_bytes))
    keep_freed_memory()
    for number, _ in enumerate(sys.stdin, 1):
        meter.run(number)
        served = Served(meter.single[-1], meter.batched[-1], highest_resident_bytes())
        folder.write_served(number, served, *answers.arrays())


def main(path: str) -> int:
    """Serve; a fault is written for the run, and its traceback printed."""
    folder = ServingFolder(Path(path))
    try:
        serve(folder)
    except Exception as error:  # noqa: BLE001 - every fault is the run's to report
        traceback.print_exc()
        folder.write_failure(Failure(*classify(error)))
        return 1
    return 0


if __name__ == "__main__":
    die_with(int(os.environ["LLMREC_RUN_PID"]), signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(ended)  # nothing is left to do, and libraries may take seconds over it
