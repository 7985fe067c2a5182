"""What the ledger hands out: plain records, one per row."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmrec_core.errors import RunError
from llmrec_core.language import t
from llmrec_core.ledger.json_values import Json

OVER = ("finished", "failed", "cancelled")
"""States that a run leaves only when a person asks for it; the others are `queued`, `running`
and `paused`."""


@dataclass(frozen=True)
class StudyRow:
    """A named list of runs."""

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
    spec: dict[str, Json]
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
    """Times its own process died and it was tried again."""
    losses: int
    """Times its worker died."""
    cancel_requested: bool
    created: str
    started: str | None
    finished: str | None
    error: str | None
    error_kind: str | None
    progress_phase: str | None
    progress_done: float | None
    progress_total: float | None
    halvings: int = 0
    """Times its batch was halved because memory was short."""
    digest: str | None = None
    """SHA-256 of its record; `None` for one written before schema 0002."""
    asked_by: str | None = None
    """Who queued it; `None` where nobody logs in."""


@dataclass(frozen=True)
class Lease:
    """The right to write one run's results.

    It holds as long as the run's `worker` and `attempt` are these.
    """

    run_id: str
    worker: str
    attempt: int
    spec: dict[str, Json] = field(default_factory=dict)
    source_id: str | None = None
    """The run whose trained weights this one uses (`weights_from`)."""


@dataclass(frozen=True)
class RequestRow:
    """A question from a page or the command line to the worker, and its answer."""

    id: str
    kind: str
    payload: dict[str, Json]
    state: str
    """`queued`, `running`, `finished`, `failed` or `cancelled`."""
    attempt: int
    worker: str | None
    answer: dict[str, Json] | None
    error: str | None
    created: str
    finished: str | None
    asked_by: str | None = None


@dataclass(frozen=True)
class WorkerRow:
    """A worker as last heard of."""

    id: str
    host: str
    pid: int
    state: str
    """`idle`, `busy`, `stopping`, `stopped`, or `lost` when it was silent for over a lease."""
    started: str
    heartbeat: str
    beats: int
    """Counts up while it lives."""
    doc: dict[str, Json]


class LeaseLostError(RunError):
    """Somebody else holds the run now; nothing of this attempt may be written."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(
            t(
                "run {run_id}: attempt {attempt} of worker {worker} no longer holds the lease, "
                "so its result was not written; another attempt has the run",
                run_id=lease.run_id,
                attempt=lease.attempt,
                worker=lease.worker,
            ),
            kind="lost",
        )
