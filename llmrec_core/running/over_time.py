"""The same spec fitted once more on what came before one moment, and asked about what came after.

Leave-one-out lets a model learn from other people's future; a cut in time does not. A choice that
holds under both is worth more, so cheap rows are measured under both.
"""

from __future__ import annotations

import dataclasses
import shutil

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import Dataset
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import Settings

NAME = "time"


class SecondFit(RunContext):
    """The side of a fit beside a run's own: it reports through the run and keeps no figures of it.

    Its checkpoints stand in a folder of their own, its curves have names of their own.
    """

    def __init__(self, run: RunContext, name: str) -> None:
        """Stand beside a run.

        Args:
            run: whose progress, log and stop this fit shares.
            name: of the fit: folder below the run's, and before the names of its curves.
        """
        super().__init__(run.folder / name)
        self._run, self._name = run, name

    def progress(self, phase: str, done: float, total: float) -> None:
        """Report how far a phase is as a phase of the run."""
        self._run.progress(phase, done, total)

    def log(self, line: str) -> None:
        """Report a line for the run's log, with the name of this fit."""
        self._run.log(f"{self._name}: {line}")

    def curve(self, name: str, step: int, value: float) -> None:
        """Report a point of a curve of its own."""
        self._run.curve(f"{self._name}: {name}", step, value)

    def should_stop(self) -> bool:
        """Whether the run is asked to stop."""
        return self._run.should_stop()

    @property
    def clock(self) -> float:
        """The run's clock."""
        return self._run.clock


def exam_over_time(spec: RunSpec, dataset: Dataset) -> Exam | None:
    """The exam after the cut in time; `None` where the spec does not ask for it.

    Raises:
        UnsupportedError: when the data set has no times.
        DataError: when nobody is left to be asked.
    """
    if not spec.protocol.also_time:
        return None
    return Exam.of(dataset, dataclasses.replace(spec.protocol, split="time", also_time=False))


def measure_over_time(
    exam: Exam, spec: RunSpec, dataset: Dataset, context: RunContext, settings: Settings, batch: int
) -> None:
    """Fit the spec on what came before the cut and put the quality after it into the record.

    Args:
        exam: of `exam_over_time`.
        spec: the run's.
        dataset: the version that the spec names.
        context: the run's side of the ledger.
        settings: where backbones stand.
        batch: people scored together.

    Raises:
        LlmrecError: whatever the fit raises.
    """
    recommender = build(spec, dataset, settings)
    fit = SecondFit(context, NAME)
    fit.folder.mkdir(exist_ok=True)
    recommender.fit(exam.split, fit)
    rows, samples = evaluate(
        recommender.score,
        exam.split,
        exam.cases,
        exam.candidates,
        f"{NAME}/{spec.protocol.candidates}",
        spec.protocol.k,
        seed=spec.protocol.seed,
        batch=batch,
        progress=lambda done, total: context.progress("evaluate", done, total),
    )
    context.measure(*rows)
    for sample in samples:
        context.keep(sample)
    shutil.rmtree(fit.folder)
