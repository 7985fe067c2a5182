"""The queue: leases with fencing, retries, requests and workers.

A worker claims a run, which raises the run's `attempt`; everything written afterwards carries (worker, attempt) in
its WHERE clause, so an attempt that lost its run changes 0 rows (`LeaseLost`). While it works it raises the run's
`heartbeat` counter. Another worker that has seen one counter unchanged for a whole lease, by its own monotonic
clock, puts the run back. No clocks are compared, so a wrong or moved clock neither frees a live run nor keeps a
dead one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from llmrec_core.errors import UsageError
from llmrec_core.experiments import schema
from llmrec_core.experiments.records import OVER, Lease, LeaseLost, RequestRow, WorkerRow
from llmrec_core.experiments.schema import now
from llmrec_core.experiments.sources import BEST
from llmrec_core.experiments.store import Store, jsonable
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement, Samples

MAX_RETRIES = 2
"""Times a run whose own process died is tried again."""
MAX_LOSSES = 10
"""Times a run whose worker died is tried again: that is seldom the run's fault, but must not go on for ever."""
REQUEST_ATTEMPTS = 2
WORKERS_SHOWN = 50
LINE_LENGTH = 2000

runs, requests, workers = schema.runs, schema.requests, schema.workers


class Queue(Store):
    """The writing half of the ledger, as workers use it."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._watched: dict[tuple[str, str], tuple[Any, float]] = {}
        self.monotonic = time.monotonic

    # ── claiming ─────────────────────────────────────────────────────────────────────────────────

    def claim(self, worker: str) -> Lease | None:
        """The next run that may start, now held by `worker`: by priority, then cheap first, then position.

        A run that takes the weights of another waits for it; when that one has failed, so does this one.
        """
        self.free_silent_runs()
        queued = sa.select(runs).where(runs.c.state == "queued")
        with self.reading() as connection:  # no write lock for an empty queue
            if connection.execute(queued.limit(1)).first() is None:
                return None
        order = (runs.c.priority.desc(), runs.c.minutes, runs.c.position, runs.c.created)
        with self.writing() as connection:
            for run in connection.execute(queued.order_by(*order)).all():
                ready, source_id, sentence = self._source(connection, run)
                if sentence:
                    self._end(connection, run.id, "failed", sentence, "data")
                if sentence or not ready:
                    continue
                taken = connection.execute(
                    sa.update(runs)
                    .where(runs.c.id == run.id, runs.c.state == "queued")
                    .values(
                        state="running",
                        worker=worker,
                        attempt=runs.c.attempt + 1,
                        heartbeat=0,
                        started=now(),
                        finished=None,
                        error=None,
                        error_kind=None,
                        progress_phase=None,
                        progress_done=None,
                        progress_total=None,
                    )
                    .returning(runs.c.attempt)
                ).scalar()
                if taken is not None:
                    return Lease(run.id, worker, taken, run.spec, source_id)
        return None

    def _source(self, connection: sa.Connection, run: sa.Row[Any]) -> tuple[bool, str | None, str | None]:
        """(may start, run whose weights are used, sentence when it never can) for a queued run."""
        wanted = run.weights_from
        if not wanted:
            return True, None, None
        others = sa.select(runs.c.id, runs.c.name, runs.c.state).where(runs.c.study == run.study, runs.c.id != run.id)
        if wanted.startswith(BEST):
            others = others.where(runs.c.family == wanted.removeprefix(BEST), runs.c.weights_from == "")
        else:
            others = others.where(runs.c.name == wanted)
        found = connection.execute(others).all()
        if not found:
            return (
                False,
                None,
                f"weights_from = {wanted!r} fits no run of the study {run.study!r}; name one of its rows",
            )
        if any(row.state not in OVER for row in found):
            return False, None, None
        finished = [row.id for row in found if row.state == "finished"]
        if not finished:
            what = "; ".join(f"{row.name!r} {row.state}" for row in found)
            return False, None, f"the run whose weights it uses did not finish ({what}); resume that one, then this"
        return True, self._best_validated(connection, finished), None

    def _best_validated(self, connection: sa.Connection, run_ids: list[str]) -> str:
        """The run with the highest validation NDCG@10; runs that were never validated come last."""
        curves = schema.curves
        best = sa.func.max(curves.c.value)
        ranked = connection.execute(
            sa.select(curves.c.run_id)
            .where(curves.c.run_id.in_(run_ids), curves.c.name == "valid_ndcg@10")
            .group_by(curves.c.run_id)
            .order_by(best.desc(), curves.c.run_id)
        ).scalars()
        return next(iter(ranked), run_ids[0])

    def free_silent_runs(self, *, everyone: bool = False) -> None:
        """Put back the runs of workers that have been silent for a lease; `everyone` does not wait.

        `everyone` is for a worker that holds the home's lock and therefore knows that all the others are gone.
        """
        running = sa.select(runs.c.id, runs.c.attempt, runs.c.heartbeat, runs.c.losses).where(runs.c.state == "running")
        with self.reading() as connection:
            found = connection.execute(running).all()
        silent = [row for row in found if everyone or self._silent("run", row.id, (row.attempt, row.heartbeat))]
        if not silent:
            return
        with self.writing() as connection:
            for row in silent:
                same = (runs.c.id == row.id, runs.c.attempt == row.attempt, runs.c.heartbeat == row.heartbeat)
                held = connection.execute(
                    sa.select(runs.c.cancel_requested).where(*same, runs.c.state == "running").with_for_update()
                ).first()
                if held is None:
                    continue  # it came back to life meanwhile
                if held.cancel_requested:
                    self._end(connection, row.id, "cancelled", "cancelled while its worker was gone", "cancelled")
                elif row.losses >= MAX_LOSSES:
                    self._end(
                        connection, row.id, "failed", f"its worker died {row.losses + 1} times while running it", "lost"
                    )
                else:
                    connection.execute(
                        sa.update(runs).where(*same).values(state="queued", worker=None, losses=row.losses + 1)
                    )

    def _silent(self, kind: str, key: str, beat: Any) -> bool:
        """Whether `beat` has been the same for a lease, as watched by this process."""
        seen, since = self._watched.get((kind, key), (None, 0.0))
        if seen != beat:
            self._watched[(kind, key)] = (beat, self.monotonic())
            return False
        return self.monotonic() - since > self.settings.lease_s

    # ── fenced writes of the holder ──────────────────────────────────────────────────────────────

    def _held(self, connection: sa.Connection, lease: Lease, **values: Any) -> sa.Row[Any]:
        """Change the run if the lease still holds.

        Raises:
            LeaseLost: otherwise; the transaction changes nothing.
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
            .returning(runs.c.cancel_requested, runs.c.retries)
        ).first()
        if row is None:
            raise LeaseLost(lease)
        return row

    def renew(self, lease: Lease) -> bool:
        """Say that the holder lives; true when somebody asked to cancel the run."""
        with self.writing() as connection:
            return bool(self._held(connection, lease, heartbeat=runs.c.heartbeat + 1).cancel_requested)

    def report(
        self,
        lease: Lease,
        progress: tuple[str, float, float] | None = None,
        curves: Sequence[tuple[str, int, float]] = (),
        lines: Sequence[str] = (),
    ) -> None:
        """Progress, points of curves and log lines of a running run."""
        values: dict[str, Any] = {"heartbeat": runs.c.heartbeat + 1}
        if progress is not None:
            values |= dict(zip(("progress_phase", "progress_done", "progress_total"), progress, strict=True))
        with self.writing() as connection:
            self._held(connection, lease, **values)
            of_run = {"run_id": lease.run_id, "attempt": lease.attempt}
            if curves:
                points = [of_run | {"name": name, "step": step, "value": value} for name, step, value in curves]
                connection.execute(sa.insert(schema.curves), points)
            self._log(connection, lease.run_id, lease.attempt, lines)

    def _log(self, connection: sa.Connection, run_id: str, attempt: int, lines: Sequence[str]) -> None:
        for line in lines:
            connection.execute(
                sa.insert(schema.logs).values(run_id=run_id, attempt=attempt, time=now(), line=line[:LINE_LENGTH])
            )

    def finish(
        self,
        lease: Lease,
        measurements: Sequence[Measurement] = (),
        samples: Sequence[Samples] = (),
        documents: dict[str, Any] | None = None,
    ) -> None:
        """Write the whole record and end the run, in one transaction.

        Raises:
            LeaseLost: when another attempt has the run; nothing is written.
        """
        figures = [
            {"run_id": lease.run_id, **{name: jsonable(value) for name, value in vars(row).items()}}
            for row in measurements
        ]
        kept = [
            {
                "run_id": lease.run_id,
                "name": sample.name,
                "protocol": sample.protocol,
                "keys": jsonable(sample.keys),
                "values": jsonable(sample.values),
            }
            for sample in samples
        ]
        bodies = [
            {"run_id": lease.run_id, "name": name, "body": jsonable(body)} for name, body in (documents or {}).items()
        ]
        with self.writing() as connection:
            self._held(connection, lease, state="finished", finished=now(), cancel_requested=False)
            for table, rows in ((schema.measurements, figures), (schema.samples, kept), (schema.documents, bodies)):
                connection.execute(sa.delete(table).where(table.c.run_id == lease.run_id))
                if rows:
                    connection.execute(sa.insert(table), rows)

    def fail(self, lease: Lease, kind: str, message: str) -> str:
        """End an attempt that went wrong; returns the run's new state.

        `lost` (its process vanished) is tried again up to `MAX_RETRIES` times; `disk` pauses the run, since all it
        has saved is still good; `cancelled` cancels it; everything else fails it at once, as it would fail again.
        """
        with self.writing() as connection:
            row = self._held(connection, lease, heartbeat=runs.c.heartbeat + 1)
            state = {"disk": "paused", "cancelled": "cancelled"}.get(kind, "failed")
            if row.cancel_requested:
                state = "cancelled"
            elif kind == "lost" and row.retries < MAX_RETRIES:
                state = "queued"
            self._end(connection, lease.run_id, state, message, kind)
            if state == "queued":
                values = {"retries": row.retries + 1, "worker": None, "finished": None}
                connection.execute(sa.update(runs).where(runs.c.id == lease.run_id).values(**values))
            self._log(connection, lease.run_id, lease.attempt, [f"{kind}: {message}"])
        return state

    def put_back(self, lease: Lease) -> None:
        """The worker stops before the run was done: queued again, to be resumed from its last checkpoint."""
        with self.writing() as connection:
            self._held(connection, lease, state="queued", worker=None)
            self._log(
                connection, lease.run_id, lease.attempt, ["the worker was stopped; the run goes on with the next one"]
            )

    def _end(self, connection: sa.Connection, run_id: str, state: str, message: str, kind: str) -> None:
        values = {"state": state, "error": message, "error_kind": kind, "finished": now(), "cancel_requested": False}
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(**values))

    # ── what a person asks for ───────────────────────────────────────────────────────────────────

    def cancel(self, run_id: str) -> str:
        """Cancel a run; returns `cancelled`, or `running` while its process is being told to stop.

        Raises:
            UsageError: for an unknown run, or one that is over.
        """
        with self.writing() as connection:
            state = self._state(connection, run_id)
            if state in OVER:
                raise UsageError(f"run {run_id} is {state}: there is nothing to cancel")
            if state == "running":
                connection.execute(sa.update(runs).where(runs.c.id == run_id).values(cancel_requested=True))
                return "running"
            self._end(connection, run_id, "cancelled", "cancelled before it ran", "cancelled")
            return "cancelled"

    def retry(self, run_id: str) -> None:
        """Queue a failed, cancelled or paused run again; it goes on from its last checkpoint.

        Raises:
            UsageError: for an unknown run, or one that is queued, running or finished.
        """
        with self.writing() as connection:
            state = self._state(connection, run_id)
            if state not in ("failed", "cancelled", "paused"):
                raise UsageError(f"run {run_id} is {state}; only a failed, cancelled or paused run can be resumed")
            values = {"state": "queued", "worker": None, "retries": 0, "losses": 0, "error": None, "error_kind": None}
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(**values, finished=None))

    def _state(self, connection: sa.Connection, run_id: str) -> str:
        state = connection.execute(sa.select(runs.c.state).where(runs.c.id == run_id).with_for_update()).scalar()
        if state is None:
            raise UsageError(f"no run {run_id!r} in this ledger; `python -m llmrec_core runs list` shows those it has")
        return str(state)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    def request(self, kind: str, payload: dict[str, Any]) -> str:
        """Ask the worker something; returns the id to read the answer with."""
        request_id = (
            f"{time.time_ns():016x}{secrets.token_hex(4)}"  # sorts: two requests of one millisecond keep their order
        )
        row = {"id": request_id, "kind": kind, "payload": jsonable(payload), "state": "queued", "attempt": 0}
        with self.writing() as connection:
            connection.execute(sa.insert(requests).values(**row, created=now()))
        return request_id

    def answer(self, request_id: str) -> RequestRow | None:
        """The request as it stands."""
        with self.reading() as connection:
            row = connection.execute(sa.select(requests).where(requests.c.id == request_id)).mappings().first()
        return RequestRow(**row) if row else None

    def claim_request(self, worker: str) -> RequestRow | None:
        """The oldest request that waits, now held by `worker`; those of silent workers wait again."""
        waiting = requests.c.state == "queued"
        with self.reading() as connection:
            if connection.execute(sa.select(requests.c.id).where(waiting).limit(1)).first() is None:
                return None
        with self.writing() as connection:
            oldest = sa.select(requests.c.id).where(waiting).order_by(requests.c.created, requests.c.id).limit(1)
            row = (
                connection.execute(
                    sa.update(requests)
                    .where(requests.c.id == oldest.scalar_subquery(), waiting)
                    .values(state="running", worker=worker, attempt=requests.c.attempt + 1)
                    .returning(requests)
                )
                .mappings()
                .first()
            )
        return RequestRow(**row) if row else None

    def close_request(self, row: RequestRow, answer: dict[str, Any] | None, error: str | None = None) -> bool:
        """Store the answer or the sentence why there is none; false when the request is somebody else's by now."""
        mine = (requests.c.id == row.id, requests.c.worker == row.worker, requests.c.attempt == row.attempt)
        values = {"state": "failed" if error else "finished", "answer": jsonable(answer), "error": error}
        with self.writing() as connection:
            changed = connection.execute(
                sa.update(requests).where(*mine, requests.c.state == "running").values(**values, finished=now())
            )
        return changed.rowcount == 1

    def release_request(self, row: RequestRow) -> None:
        """The worker stops before it could answer: the request waits again, and the attempt does not count."""
        mine = (requests.c.id == row.id, requests.c.worker == row.worker, requests.c.attempt == row.attempt)
        values = {"state": "queued", "worker": None, "attempt": row.attempt - 1}
        with self.writing() as connection:
            connection.execute(sa.update(requests).where(*mine, requests.c.state == "running").values(**values))

    def free_silent_requests(self, *, everyone: bool = False) -> None:
        """Let the requests of silent workers wait again, or fail them after `REQUEST_ATTEMPTS`."""
        held = sa.select(requests.c.id, requests.c.worker, requests.c.attempt, workers.c.beats).join(
            workers, workers.c.id == requests.c.worker, isouter=True
        )
        with self.reading() as connection:
            found = connection.execute(held.where(requests.c.state == "running")).all()
        silent = [row for row in found if everyone or self._silent("request", row.id, (row.attempt, row.beats))]
        if not silent:
            return
        with self.writing() as connection:
            for row in silent:
                same = (requests.c.id == row.id, requests.c.attempt == row.attempt, requests.c.state == "running")
                values: dict[str, Any] = {"state": "queued", "worker": None}
                if row.attempt >= REQUEST_ATTEMPTS:
                    sentence = f"the worker died {row.attempt} times while answering; see its output, then ask again"
                    values = {"state": "failed", "error": sentence, "finished": now()}
                connection.execute(sa.update(requests).where(*same).values(**values))

    # ── workers ──────────────────────────────────────────────────────────────────────────────────

    def add_worker(self, worker: str, host: str, pid: int, doc: dict[str, Any]) -> None:
        row = {"id": worker, "host": host, "pid": pid, "state": "idle", "doc": jsonable(doc)}
        with self.writing() as connection:
            connection.execute(sa.insert(workers).values(**row, started=now(), heartbeat=now(), beats=0))

    def beat(self, worker: str, state: str) -> None:
        """Say that the worker lives and what it does."""
        with self.writing() as connection:
            connection.execute(
                sa.update(workers)
                .where(workers.c.id == worker)
                .values(state=state, heartbeat=now(), beats=workers.c.beats + 1)
            )

    def workers(self) -> list[WorkerRow]:
        """The latest workers, newest first; one that was silent for longer than a lease reads `lost`."""
        with self.reading() as connection:
            found = (
                connection.execute(sa.select(workers).order_by(workers.c.started.desc()).limit(WORKERS_SHOWN))
                .mappings()
                .all()
            )
            clock = datetime.fromisoformat(connection.execute(sa.select(now())).scalar_one())
        rows = []
        for row in found:
            age_s = (clock - datetime.fromisoformat(row["heartbeat"])).total_seconds()
            state = "lost" if row["state"] != "stopped" and age_s > self.settings.lease_s else row["state"]
            rows.append(WorkerRow(**{**{k: row[k] for k in WorkerRow.__dataclass_fields__}, "state": state}))
        return rows
