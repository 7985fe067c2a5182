"""What the ledger hands out: plain records, one per row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmrec_core.errors import RunFailed

OVER = ("finished", "failed", "cancelled")
"""States that a run leaves only when a person asks for it; `queued`, `running` and `paused` are the others."""


@dataclass(frozen=True)
class StudyRow:
    name: str
    title: str
    created: str


@dataclass(frozen=True)
class RunRow:
    """A run as it stands. Times are UTC text; what does not apply yet is `None`."""

    id: str
    study: str
    name: str
    position: int
    spec: dict[str, Any]
    spec_hash: str
    family: str
    weights_from: str
    minutes: float
    priority: int
    state: str
    attempt: int
    worker: str | None
    heartbeat: int
    retries: int
    losses: int
    cancel_requested: bool
    created: str
    started: str | None
    finished: str | None
    error: str | None
    error_kind: str | None
    progress_phase: str | None
    progress_done: float | None
    progress_total: float | None


@dataclass(frozen=True)
class Lease:
    """The right to write one run's results: holds as long as the run's `worker` and `attempt` are these."""

    run_id: str
    worker: str
    attempt: int
    spec: dict[str, Any] = field(default_factory=dict)
    source_id: str | None = None
    """The run whose trained weights this one uses (`weights_from`)."""


@dataclass(frozen=True)
class RequestRow:
    """A question from a page or the command line to the worker, and its answer."""

    id: str
    kind: str
    payload: dict[str, Any]
    state: str
    """`queued`, `running`, `finished` or `failed`."""
    attempt: int
    worker: str | None
    answer: dict[str, Any] | None
    error: str | None
    created: str
    finished: str | None


@dataclass(frozen=True)
class WorkerRow:
    id: str
    host: str
    pid: int
    state: str
    """`idle`, `busy`, `stopping`, `stopped`, or `lost` when it has been silent for longer than a lease."""
    started: str
    heartbeat: str
    doc: dict[str, Any]


class LeaseLost(RunFailed):
    """Somebody else holds the run now; nothing of this attempt may be written."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(
            f"run {lease.run_id}: attempt {lease.attempt} of worker {lease.worker} no longer holds the lease, "
            "so its result was not written; another attempt has the run",
            kind="lost",
        )
