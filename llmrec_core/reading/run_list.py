"""The list of a study's runs: what tells them apart, how far they are, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from llmrec_core.language import marked, t
from llmrec_core.ledger.rows import RunRow
from llmrec_core.reading import number_format
from llmrec_core.reading.row import Row
from llmrec_core.reading.study_tables import P95, RUN
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.retelling import retold
from llmrec_core.types import Measurement

STATES = {
    "queued": marked("queued"),
    "running": marked("running"),
    "paused": marked("paused"),
    "finished": marked("finished"),
    "failed": marked("failed"),
    "cancelled": marked("cancelled"),
}
STOPPING = marked("stopping…")
COLUMNS = (
    RUN,
    Column(marked("State"), "state"),
    Column("NDCG@10", "ndcg@10", number_format.quality),
    P95,
    Column(marked("Data"), "data"),
    Column(marked("Protocol"), "protocol"),
    Column(marked("Seed"), "seed", number_format.count),
    Column(marked("Started, UTC"), "started"),
    Column(marked("Took"), "took_s", number_format.duration),
    Column(marked("Attempt"), "attempt", number_format.count),
    Column(marked("Error"), "error"),
    Column(marked("Id"), "id"),
)


def state_title(state: str) -> str:
    """A state in the reader's language."""
    return t(STATES.get(state, state))


def state_words(run: RunRow) -> str:
    """A run's state; one that was asked to stop and still works says so."""
    if run.state == "running" and run.cancel_requested:
        return t(STOPPING)
    return state_title(run.state)


def seconds_taken(run: RunRow) -> float | None:
    """Wall-clock seconds of the last attempt; `None` while it has not ended."""
    if run.started is None or run.finished is None:
        return None
    spent = datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)
    return max(0.0, spent.total_seconds())


def run_table(runs: Sequence[RunRow], rows: Mapping[str, Row]) -> Table:
    """One line a run.

    Args:
        runs: as the ledger has them now.
        rows: run id → what came out.
    """
    lines: list[dict[str, Cell | Measurement]] = []
    for run in runs:
        row = rows[run.id]
        lines.append(
            {
                "Run": row.name,
                "State": state_words(run),
                "NDCG@10": row.figure("ndcg@10", row.spec.protocol.name),
                "p95": row.request_figure("latency_p95_s"),
                "Data": row.spec.data.name,
                "Protocol": row.spec.protocol.name,
                "Seed": row.spec.seed,
                "Started, UTC": (run.started or "")[:19].replace("T", " "),
                "Took": seconds_taken(run),
                "Attempt": run.attempt,
                "Error": retold(run.error or ""),
                "Id": run.id,
            }
        )
    return make(COLUMNS, lines, [run.id for run in runs])
