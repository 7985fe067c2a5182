"""What a running recommender may tell the outside: progress, curves, figures, and be told to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmrec_core.types import Measurement, Samples


@dataclass
class RunContext:
    """The run's side of the ledger. This base keeps everything in memory (tests, scripts); the worker's
    child uses `ledger_context.LedgerContext`, which writes through with attempt fencing."""

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
        """How far `phase` ("fit", "evaluate", "measure") is; cheap to call often."""

    def log(self, line: str) -> None:
        """One line for the run's log."""

    def curve(self, name: str, step: int, value: float) -> None:
        """A point of `train_loss`, `valid_ndcg@10`, …"""
        self.curves.append((name, step, float(value)))

    def measure(self, *rows: Measurement) -> None:
        self.measurements.extend(rows)

    def keep(self, samples: Samples) -> None:
        """Raw values: per-user metrics, latencies."""
        self.samples.append(samples)

    def document(self, name: str, body: Any) -> None:
        """A JSON document of the run: `versions`, `device`, `lists`, `conditions`, …"""
        self.documents[name] = body

    def should_stop(self) -> bool:
        """True once the run was cancelled or the worker is told to stop: finish the step, save, return."""
        return self.stop_requested

    def timing_window(self) -> Any:
        """Context manager around code that is being timed: no interactive request runs meanwhile."""
        from contextlib import nullcontext

        return nullcontext()

    @property
    def clock(self) -> float:
        return time.monotonic()
