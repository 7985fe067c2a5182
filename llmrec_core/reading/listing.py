"""Rows of a study straight from the ledger, and what the command line says about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmrec_core.language import marked, t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.rows import RunRow
from llmrec_core.reading import number_format
from llmrec_core.reading.labels import distinct
from llmrec_core.reading.people import People, of_sample, stacked
from llmrec_core.reading.pricing import request_energy, usd_per_million
from llmrec_core.reading.row import SMALL_DOCUMENTS, Row, make_row
from llmrec_core.types import Measurement

QUALITY = ("ndcg@10", "recall@10", "mrr", "auc")


def rows_of(ledger: Ledger, runs: list[RunRow]) -> list[Row]:
    """The records of these runs, in order, with names that are different from each other."""
    table = ledger.measurements([run.id for run in runs])
    rows = []
    for run in runs:
        documents = {name: ledger.document(run.id, name) for name in SMALL_DOCUMENTS}
        rows.append(
            make_row(
                run, table, {name: body for name, body in documents.items() if body is not None}
            )
        )
    return distinct(rows)


def people_of(ledger: Ledger, rows: Sequence[Row], metric: str, protocol: str) -> dict[str, People]:
    """Values of a metric of each person by the id of the row, a line a seed; finished rows only.

    Args:
        ledger: of the rows.
        rows: single runs, or those that differ in their seed alone as one.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
    """
    return {
        row.run_id: stacked(
            [of_sample(ledger.samples(run_id, metric, protocol)) for run_id in row.run_ids]
        )
        for row in rows
        if row.state == "finished"
    }


def _figure(figure: Measurement) -> dict[str, Any]:
    body = {
        "value": figure.value,
        "unit": figure.unit,
        "low": figure.low,
        "high": figure.high,
        "n": figure.n,
    }
    return {name: value for name, value in body.items() if value is not None or name == "value"} | (
        {"reason": figure.reason} if figure.value is None else {}
    )


def summary(run: RunRow, row: Row) -> dict[str, Any]:
    """One run as a JSON object: state, quality by protocol, and what a request costs.

    An unknown value is null with a reason.
    """
    quality = {
        protocol: {name: _figure(row.figure(name, protocol)) for name in QUALITY}
        for protocol in row.protocols
    }
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
        "energy_per_request_j": _figure(request_energy(row).joules),
        "usd_per_million": _figure(usd_per_million(row)),
        "train_s": _figure(row.figure("train_s")),
    }


def state_text(run: RunRow) -> str:
    """`finished`, `fit 30 %`, `failed (data)`."""
    if run.state == "running" and run.progress_phase:
        share = (run.progress_done or 0) / run.progress_total if run.progress_total else 0
        return f"{run.progress_phase} {share:.0%}" if run.progress_phase != "load" else "loading"
    return (
        f"{run.state} ({run.error_kind})" if run.error_kind and run.state != "queued" else run.state
    )


COLUMNS = ("run", "state", "NDCG@10", "p50", "p95", marked("$ per million"), "memory", "energy")


IDENTITY = (marked("study"), marked("data"), marked("protocol"), marked("seed"))


def identity(run: RunRow, row: Row) -> tuple[str, ...]:
    """What tells runs of one name apart, as `IDENTITY` names it."""
    spec = row.spec
    return run.study, spec.data.name, spec.protocol.name, str(spec.seed)


def cells(run: RunRow, row: Row | None) -> tuple[str, ...]:
    """A line of the table on the screen, as `COLUMNS` names it."""
    if row is None or row.state != "finished":
        return (run.name, state_text(run), "", "", "", "", "", "")
    protocol = row.spec.protocol.name
    energy = request_energy(row).joules
    return (
        run.name,
        state_text(run) + (", noisy" if row.noisy else ""),
        number_format.figure(row.figure(f"ndcg@{row.spec.protocol.k}", protocol), interval=True),
        number_format.figure(row.request_figure("latency_p50_s")),
        number_format.figure(row.request_figure("latency_p95_s")),
        number_format.figure(usd_per_million(row)),
        number_format.figure(row.figure("peak_memory_bytes")),
        number_format.figure(energy) if energy.value is not None else t("not measured"),
    )
