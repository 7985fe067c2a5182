"""Rows of a study straight from the ledger, and what the command line says about each."""

from __future__ import annotations

from typing import Any

from llmrec_core.experiments import formats, views
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.records import RunRow
from llmrec_core.types import Measurement

QUALITY = ("ndcg@10", "recall@10", "mrr", "auc")


def rows_of(ledger: Ledger, runs: list[RunRow]) -> list[views.Row]:
    """The records of these runs, in order."""
    table = ledger.measurements([run.id for run in runs])
    rows = []
    for run in runs:
        documents = {name: ledger.document(run.id, name) for name in views.SMALL_DOCUMENTS}
        rows.append(views.make_row(run, table, {name: body for name, body in documents.items() if body is not None}))
    return rows


def _figure(found: Measurement) -> dict[str, Any]:
    body = {"value": found.value, "unit": found.unit, "low": found.low, "high": found.high, "n": found.n}
    return {name: value for name, value in body.items() if value is not None or name == "value"} | (
        {"reason": found.reason} if found.value is None else {}
    )


def summary(run: RunRow, row: views.Row) -> dict[str, Any]:
    """One run as a JSON object: state, quality with intervals by protocol, and what a request costs.

    An unknown value is null with a reason.
    """
    quality = {protocol: {name: _figure(row.figure(name, protocol)) for name in QUALITY} for protocol in row.protocols}
    return {
        "id": run.id,
        "study": run.study,
        "name": run.name,
        "state": run.state,
        "attempt": run.attempt,
        "error": run.error,
        "error_kind": run.error_kind,
        "finished": run.finished,
        "precision": row.spec.precision,
        "quality": quality,
        "flops_per_request": _figure(row.request_figure("flops_per_request")),
        "latency_p50_s": _figure(row.request_figure("latency_p50_s")),
        "latency_p95_s": _figure(row.request_figure("latency_p95_s")),
        "noisy": row.noisy,
        "peak_memory_bytes": _figure(row.figure("peak_memory_bytes")),
        "energy_per_request_j": _figure(views.energy(row).joules),
        "usd_per_million": _figure(views.usd_per_million(row)),
        "train_s": _figure(row.figure("train_s")),
    }


def state_text(run: RunRow) -> str:
    """`finished`, `fit 30 %`, `failed (data)`."""
    if run.state == "running" and run.progress_phase:
        share = (run.progress_done or 0) / run.progress_total if run.progress_total else 0
        return f"{run.progress_phase} {share:.0%}" if run.progress_phase != "load" else "loading"
    return f"{run.state} ({run.error_kind})" if run.error_kind and run.state != "queued" else run.state


COLUMNS = ("run", "state", "NDCG@10", "p50", "p95", "$ per million", "memory", "energy")


def cells(run: RunRow, row: views.Row | None) -> tuple[str, ...]:
    """A line of the table on the screen, as `COLUMNS` names it."""
    if row is None or row.state != "finished":
        return (run.name, state_text(run), "", "", "", "", "", "")
    protocol = row.spec.protocol.name
    energy = views.energy(row).joules
    return (
        run.name,
        state_text(run) + (", noisy" if row.noisy else ""),
        formats.figure(row.figure(f"ndcg@{row.spec.protocol.k}", protocol), interval=True),
        formats.figure(row.request_figure("latency_p50_s")),
        formats.figure(row.request_figure("latency_p95_s")),
        formats.figure(views.usd_per_million(row)),
        formats.figure(row.figure("peak_memory_bytes")),
        formats.figure(energy) if energy.value is not None else "not measured",
    )
