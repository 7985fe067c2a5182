"""What a running recommender says to the outside: progress, curves, figures; and when to stop."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrec_core.types import Measurement, Samples


@dataclass
class RunContext:
    """The run's side of the ledger.

    This base keeps everything in memory, for tests and scripts. The worker's child uses
    `ledger_context.LedgerContext`, which writes through with attempt fencing.
    """

    folder: Path
    """The run's own folder: checkpoints, weights."""
    parent_model: Path | None = None
    """Model folder of the finished run that `spec.weights_from` names; None when it names none."""
    measurements: list[Measurement] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)
    curves: list[tuple[str, int, float]] = field(default_factory=list)
    stop_requested: bool = False

    def progress(self, phase: str, done: float, total: float) -> None:
        """Say how far `phase` ("fit", "evaluate", "measure") is; it is cheap to call often.

        Args:
            phase: one of `fit`, `evaluate` and `measure`, or a word of the recommender's own.
            done: how much is done, in the unit of `total`.
            total: all that there is to do.
        """

    def log(self, line: str) -> None:
        """Add a line to the run's log."""

    def curve(self, name: str, step: int, value: float) -> None:
        """Add a point to a curve, for example `train_loss` or `valid_ndcg@10`.

        Args:
            name: of the curve.
            step: of the training, from 0.
            value: in the unit of the curve.
        """
        self.curves.append((name, step, float(value)))

    def measure(self, *rows: Measurement) -> None:
        """Add figures to the record."""
        self.measurements.extend(rows)

    def keep(self, samples: Samples) -> None:
        """Add raw values: per-user metrics, latencies."""
        self.samples.append(samples)

    def document(self, name: str, body: object) -> None:
        """Put a JSON document into the record, for example `versions` or `lists`."""
        self.documents[name] = body

    def should_stop(self) -> bool:
        """Whether the run was cancelled or the worker stops.

        Then the step is finished, its checkpoint saved, and the training returns.
        """
        return self.stop_requested

    def timing_window(self) -> AbstractContextManager[None]:
        """The time in which code is measured: nobody's question is answered meanwhile."""
        return nullcontext()

    @property
    def clock(self) -> float:
        """Seconds of a monotonic clock that stands still while questions are answered."""
        return time.monotonic()
