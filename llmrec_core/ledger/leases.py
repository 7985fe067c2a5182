"""What the holder of a run writes, each write fenced: it changes 0 rows once the lease is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.claims import end_run
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.digests import write_digest
from llmrec_core.ledger.json_values import Json, jsonable
from llmrec_core.ledger.rows import Lease, LeaseLostError
from llmrec_core.ledger.schema import Now
from llmrec_core.redaction import redacted
from llmrec_core.types import Measurement, Samples

MAX_RETRIES = 2
"""Times a run whose own process died is tried again."""
LINE_LENGTH = 2000

runs = schema.runs


class Leases(Store):
    """The part of the ledger that workers and their runs write to."""

    def _held(self, connection: sa.Connection, lease: Lease, **values: Json) -> sa.Row:
        """Change the run if the lease still holds.

        Raises:
            LeaseLostError: otherwise; the transaction changes nothing.
        """
        row = connection.execute(
            sa.update(runs)
            .where(
                runs.c.id == lease.run_id,
                runs.c.worker == lease.worker,
                runs.c.attempt == lease.attempt,
                runs.c.state == "running",
            )
            .values(**values)
            .returning(runs.c.cancel_requested, runs.c.retries, runs.c.halvings)
        ).first()
        if row is None:
            raise LeaseLostError(lease)
        return row

    def renew(self, lease: Lease) -> bool:
        """Say that the holder lives; returns whether somebody asked to cancel the run.

        Args:
            lease: that the holder has.
        """
        with self.writing() as connection:
            held = self._held(connection, lease, heartbeat=runs.c.heartbeat + 1)
            return bool(held.cancel_requested)

    def report(
        self,
        lease: Lease,
        progress: tuple[str, float, float] | None = None,
        curves: Sequence[tuple[str, int, float]] = (),
        lines: Sequence[str] = (),
    ) -> None:
        """Write what a running run has to say.

        Args:
            lease: the right to write.
            progress: phase, how much of it is done, and of how much.
            curves: points as (name, step, value).
            lines: lines for its log.

        Raises:
            LeaseLostError: when another attempt has the run; nothing is written.
        """
        values: dict[str, Json] = {"heartbeat": runs.c.heartbeat + 1}
        if progress is not None:
            names = ("progress_phase", "progress_done", "progress_total")
            values |= dict(zip(names, progress, strict=True))
        with self.writing() as connection:
            self._held(connection, lease, **values)
            _add_to_curves(connection, lease, curves)
            _log(connection, lease, lines)

    def finish(
        self,
        lease: Lease,
        measurements: Sequence[Measurement] = (),
        samples: Sequence[Samples] = (),
        documents: Mapping[str, object] | None = None,
        *,
        curves: Sequence[tuple[str, int, float]] = (),
        lines: Sequence[str] = (),
    ) -> None:
        """Write the whole record with its digest and end the run, in one transaction.

        Args:
            lease: the right to write.
            measurements: its figures.
            samples: raw values behind them.
            documents: JSON documents by name.
            curves: points that were not reported yet.
            lines: lines of its log that were not reported yet.

        Raises:
            LeaseLostError: when another attempt has the run; nothing is written.
        """
        of_run = {"run_id": lease.run_id}
        figures = [
            of_run | {name: jsonable(value) for name, value in vars(row).items()}
            for row in measurements
        ]
        kept = [
            of_run
            | {
                "name": sample.name,
                "protocol": sample.protocol,
                "keys": jsonable(sample.keys),
                "values": jsonable(sample.values),
            }
            for sample in samples
        ]
        bodies = [
            of_run | {"name": name, "body": jsonable(body)}
            for name, body in (documents or {}).items()
        ]
        with self.writing() as connection:
            self._held(connection, lease, state="finished", finished=Now(), cancel_requested=False)
            for table, rows in (
                (schema.measurements, figures),
                (schema.samples, kept),
                (schema.documents, bodies),
            ):
                connection.execute(sa.delete(table).where(table.c.run_id == lease.run_id))
                if rows:
                    connection.execute(sa.insert(table), rows)
            _add_to_curves(connection, lease, curves)
            _log(connection, lease, lines)
            write_digest(connection, lease.run_id)

    def fail(self, lease: Lease, kind: str, message: str, *, halve: bool = False) -> str:
        """End an attempt that went wrong; returns the run's new state.

        `lost` (its process vanished) is tried again up to `MAX_RETRIES` times; `disk` pauses the
        run, since all it has saved is still good; `cancelled` cancels it; everything else fails it
        at once, as it would fail again.

        Args:
            lease: the right to write.
            kind: the class of the failure, see failures.py.
            message: the sentence that a person reads.
            halve: queue the run again, once, with half the batch.

        Raises:
            LeaseLostError: when another attempt has the run; nothing is written.
        """
        with self.writing() as connection:
            row = self._held(connection, lease, heartbeat=runs.c.heartbeat + 1)
            again: dict[str, int] = {}
            if row.cancel_requested:
                state = "cancelled"
            elif kind == "lost" and row.retries < MAX_RETRIES:
                state, again = "queued", {"retries": row.retries + 1}
            elif halve and not row.halvings:
                state, again = "queued", {"halvings": 1}
            else:
                state = {"disk": "paused", "cancelled": "cancelled"}.get(kind, "failed")
            end_run(connection, lease.run_id, state, message, kind)
            if again:
                connection.execute(
                    sa.update(runs)
                    .where(runs.c.id == lease.run_id)
                    .values(**again, worker=None, finished=None)
                )
            _log(connection, lease, [f"{kind}: {message}"])
        return state

    def put_back(self, lease: Lease) -> None:
        """Queue the run again, as the worker stops before it was done.

        Raises:
            LeaseLostError: when another attempt has the run; nothing is written.
        """
        with self.writing() as connection:
            self._held(connection, lease, state="queued", worker=None)
            line = t("the worker was stopped; the run goes on with the next one")
            _log(connection, lease, [line])


def _add_to_curves(
    connection: sa.Connection, lease: Lease, points: Sequence[tuple[str, int, float]]
) -> None:
    rows = [
        {
            "run_id": lease.run_id,
            "attempt": lease.attempt,
            "name": name,
            "step": step,
            "value": value,
        }
        for name, step, value in points
    ]
    if rows:
        connection.execute(sa.insert(schema.curves), rows)


def _log(connection: sa.Connection, lease: Lease, lines: Sequence[str]) -> None:
    for line in lines:
        connection.execute(
            sa.insert(schema.logs).values(
                run_id=lease.run_id,
                attempt=lease.attempt,
                time=Now(),
                line=redacted(line)[:LINE_LENGTH],
            )
        )
