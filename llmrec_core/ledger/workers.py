"""Workers as they are heard of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.json_values import jsonable
from llmrec_core.ledger.rows import WorkerRow
from llmrec_core.ledger.schema import Now

WORKERS_SHOWN = 50

workers = schema.workers


class Workers(Store):
    """The part of the ledger that knows the workers."""

    def add_worker(self, worker: str, host: str, pid: int, doc: Mapping[str, object]) -> None:
        """Enter a worker that has just started.

        Args:
            worker: its id.
            host: name of its machine.
            pid: its process there.
            doc: what else is worth knowing, e.g. `cores`.
        """
        with self.writing() as connection:
            connection.execute(
                sa.insert(workers).values(
                    id=worker,
                    host=host,
                    pid=pid,
                    state="idle",
                    doc=jsonable(doc),
                    started=Now(),
                    heartbeat=Now(),
                    beats=0,
                )
            )

    def beat(self, worker: str, state: str) -> None:
        """Say that the worker lives and what it does."""
        with self.writing() as connection:
            connection.execute(
                sa.update(workers)
                .where(workers.c.id == worker)
                .values(state=state, heartbeat=Now(), beats=workers.c.beats + 1)
            )

    def workers(self) -> list[WorkerRow]:
        """Return the latest workers, newest first.

        One that was silent for longer than a lease reads `lost`.
        """
        latest = sa.select(workers).order_by(workers.c.started.desc()).limit(WORKERS_SHOWN)
        with self.reading() as connection:
            rows = connection.execute(latest).mappings().all()
            clock = datetime.fromisoformat(connection.execute(sa.select(Now())).scalar_one())
        return [self._row(row, clock) for row in rows]

    def _row(self, row: sa.RowMapping, clock: datetime) -> WorkerRow:
        age_s = (clock - datetime.fromisoformat(row["heartbeat"])).total_seconds()
        worker = WorkerRow(**row)
        if worker.state != "stopped" and age_s > self.settings.lease_s:
            return dataclasses.replace(worker, state="lost")
        return worker
