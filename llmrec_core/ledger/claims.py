"""Which run is next, and which runs of silent workers wait again.

A worker claims a run, which raises the run's `attempt`; everything written afterwards carries
(worker, attempt) in its WHERE clause, so an attempt that lost its run changes 0 rows
(`LeaseLostError`, see leases.py). While it works it raises the run's `heartbeat` counter; another
worker that has seen one counter unchanged for a whole lease puts the run back (silence.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t
from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.rows import OVER, Lease
from llmrec_core.ledger.schema import Now
from llmrec_core.ledger.silence import Silence
from llmrec_core.ledger.weights_source import BEST
from llmrec_core.redaction import redacted
from llmrec_core.settings import Settings

MAX_LOSSES = 10
"""Times a run whose worker died is tried again.

That is seldom the run's fault, but it must not go on for ever."""

runs, curves = schema.runs, schema.curves


@dataclass(frozen=True)
class _Source:
    """Whether a queued run may start, with whose weights, or the sentence why it never can."""

    ready: bool
    run_id: str | None = None
    refusal: str | None = None


def end_run(connection: sa.Connection, run_id: str, state: str, message: str, kind: str) -> None:
    """Write how a run ended.

    Args:
        connection: a transaction.
        run_id: the run.
        state: `failed`, `cancelled`, `paused`, or `queued` when it is tried again.
        message: the sentence that a person reads.
        kind: the class of the failure, see failures.py.
    """
    connection.execute(
        sa.update(runs)
        .where(runs.c.id == run_id)
        .values(
            state=state,
            error=redacted(message),
            error_kind=kind,
            finished=Now(),
            cancel_requested=False,
        )
    )


class Claims(Store):
    """The part of the ledger that hands out runs."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self.silence = Silence(settings.lease_s)

    def claim(self, worker: str) -> Lease | None:
        """Return the next run that may start, now held by `worker`.

        The order is priority, then cheap first, then position. A run that takes the weights of
        another waits for it; when that one has failed, so does this one.
        """
        self.free_silent_runs()
        queued = sa.select(runs).where(runs.c.state == "queued")
        with self.reading() as connection:  # no write lock for an empty queue
            if connection.execute(queued.limit(1)).first() is None:
                return None
        order = (runs.c.priority.desc(), runs.c.minutes, runs.c.position, runs.c.created)
        with self.writing() as connection:
            for run in connection.execute(queued.order_by(*order)).all():
                source = self._source(connection, run)
                if source.refusal:
                    end_run(connection, run.id, "failed", source.refusal, "data")
                elif source.ready:
                    attempt = self._take(connection, run.id, worker)
                    if attempt is not None:
                        return Lease(run.id, worker, attempt, run.spec, source.run_id)
        return None

    def _take(self, connection: sa.Connection, run_id: str, worker: str) -> int | None:
        """Give the run to `worker`; returns the attempt, `None` when somebody else was faster."""
        return connection.execute(
            sa.update(runs)
            .where(runs.c.id == run_id, runs.c.state == "queued")
            .values(
                state="running",
                worker=worker,
                attempt=runs.c.attempt + 1,
                heartbeat=0,
                started=Now(),
                finished=None,
                error=None,
                error_kind=None,
                progress_phase=None,
                progress_done=None,
                progress_total=None,
            )
            .returning(runs.c.attempt)
        ).scalar()

    def _source(self, connection: sa.Connection, run: sa.Row) -> _Source:
        """Whose weights a queued run uses."""
        wanted = run.weights_from
        if not wanted:
            return _Source(True)
        others = sa.select(runs.c.id, runs.c.name, runs.c.state).where(
            runs.c.study == run.study, runs.c.id != run.id
        )
        if wanted.startswith(BEST):
            family = wanted.removeprefix(BEST)
            others = others.where(runs.c.family == family, runs.c.weights_from == "")
        else:
            others = others.where(runs.c.name == wanted)
        rows = connection.execute(others).all()
        if not rows:
            return _Source(
                False,
                refusal=t(
                    "weights_from = {wanted!r} fits no run of the study {study!r}; name one of its "
                    "rows",
                    wanted=wanted,
                    study=run.study,
                ),
            )
        if any(row.state not in OVER for row in rows):
            return _Source(False)
        finished = [row.id for row in rows if row.state == "finished"]
        if not finished:
            return _Source(
                False,
                refusal=t(
                    "the run whose weights it uses did not finish ({what}); resume that one, then "
                    "this",
                    what="; ".join(f"{row.name!r} {row.state}" for row in rows),
                ),
            )
        return _Source(True, self._best_validated(connection, finished))

    def _best_validated(self, connection: sa.Connection, run_ids: list[str]) -> str:
        """The run with the highest validation NDCG@10; runs that were never validated come last."""
        best = sa.func.max(curves.c.value)
        ranked = connection.execute(
            sa.select(curves.c.run_id)
            .where(curves.c.run_id.in_(run_ids), curves.c.name == "valid_ndcg@10")
            .group_by(curves.c.run_id)
            .order_by(best.desc(), curves.c.run_id)
        ).scalars()
        return next(iter(ranked), run_ids[0])

    def free_silent_runs(self, *, everyone: bool = False) -> None:
        """Put back the runs of workers that have been silent for a lease.

        Args:
            everyone: do not wait; for a worker that holds the home's lock and therefore knows that
                all the others are gone.
        """
        columns = (runs.c.id, runs.c.attempt, runs.c.heartbeat, runs.c.losses)
        with self.reading() as connection:
            running = connection.execute(sa.select(*columns).where(runs.c.state == "running")).all()
        self.silence.look("run")
        silent = [
            row
            for row in running
            if everyone or self.silence.lasts("run", row.id, (row.attempt, row.heartbeat))
        ]
        if silent:
            self._put_back(silent)

    def _put_back(self, silent: Sequence[sa.Row]) -> None:
        with self.writing() as connection:
            for row in silent:
                same = (
                    runs.c.id == row.id,
                    runs.c.attempt == row.attempt,
                    runs.c.heartbeat == row.heartbeat,
                    runs.c.state == "running",
                )
                held = connection.execute(
                    sa.select(runs.c.cancel_requested).where(*same).with_for_update()
                ).first()
                if held is None:
                    continue  # it came back to life meanwhile
                if held.cancel_requested:
                    sentence = marked("cancelled while its worker was gone")
                    end_run(connection, row.id, "cancelled", sentence, "cancelled")
                elif row.losses >= MAX_LOSSES:
                    sentence = marked("its worker died {losses} times while running it").format(
                        losses=row.losses + 1
                    )
                    end_run(connection, row.id, "failed", sentence, "lost")
                else:
                    connection.execute(
                        sa.update(runs)
                        .where(*same)
                        .values(state="queued", worker=None, losses=row.losses + 1)
                    )

    # ── what a person asks for ───────────────────────────────────────────────────────────────────

    def cancel(self, run_id: str) -> str:
        """Cancel a run.

        Returns:
            `cancelled`, or `running` while its process is being asked to stop.

        Raises:
            UsageError: for an unknown run, or one that is over.
        """
        with self.writing() as connection:
            state = self._state(connection, run_id)
            if state in OVER:
                raise UsageError(
                    t(
                        "run {run_id} is {state}: there is nothing to cancel",
                        run_id=run_id,
                        state=state,
                    )
                )
            if state == "running":
                connection.execute(
                    sa.update(runs).where(runs.c.id == run_id).values(cancel_requested=True)
                )
                return "running"
            end_run(connection, run_id, "cancelled", marked("cancelled before it ran"), "cancelled")
            return "cancelled"

    def retry(self, run_id: str) -> None:
        """Queue a failed, cancelled or paused run again; it goes on from its last checkpoint.

        Raises:
            UsageError: for an unknown run, or one that is queued, running or finished.
        """
        with self.writing() as connection:
            state = self._state(connection, run_id)
            if state not in ("failed", "cancelled", "paused"):
                raise UsageError(
                    t(
                        "run {run_id} is {state}; only a failed, cancelled or paused run can be "
                        "resumed",
                        run_id=run_id,
                        state=state,
                    )
                )
            queue_again(connection, run_id)

    def _state(self, connection: sa.Connection, run_id: str) -> str:
        state = connection.execute(
            sa.select(runs.c.state).where(runs.c.id == run_id).with_for_update()
        ).scalar()
        if state is None:
            raise UsageError(
                t(
                    "no run {run_id!r} in this ledger; `python -m llmrec_core runs list` shows "
                    "those it has",
                    run_id=run_id,
                )
            )
        return str(state)


def queue_again(connection: sa.Connection, run_id: str, priority: int | None = None) -> None:
    """Queue a run that was over or paused, with its counts of failures at zero.

    Args:
        connection: a transaction.
        run_id: the run.
        priority: its new priority; as it was when `None`.
    """
    again = sa.update(runs).where(runs.c.id == run_id)
    if priority is not None:
        again = again.values(priority=priority)
    connection.execute(
        again.values(
            state="queued",
            worker=None,
            retries=0,
            losses=0,
            error=None,
            error_kind=None,
            finished=None,
        )
    )
