"""Questions of people to the worker, each answered once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from statistics import median

import sqlalchemy as sa

from llmrec_core.contract.requests import MEASUREMENTS
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.claims import Claims
from llmrec_core.ledger.json_values import Json, jsonable
from llmrec_core.ledger.rows import RequestRow
from llmrec_core.ledger.schema import Now
from llmrec_core.redaction import redacted

REQUEST_ATTEMPTS = 2
MAX_WAITING = 100
"""Questions that may wait at once: a worker answers one after the other."""
USUAL_OF, USUAL_FROM = 20, 3
"""The newest answers that the usual time is taken of, and how many there must be."""

requests, workers = schema.requests, schema.workers


class Questions(Claims):
    """The part of the ledger that holds questions and answers."""

    def request(self, kind: str, payload: Mapping[str, object], asked_by: str | None = None) -> str:
        """Ask the worker something; returns the id to read the answer with.

        Args:
            kind: `recommend`, `explain`, `profile`, …: see running/answers.py.
            payload: what is asked.
            asked_by: who asks; `None` where nobody logs in.

        Raises:
            UsageError: when too many questions wait already.
        """
        # The time comes first: two requests of one millisecond keep their order.
        request_id = f"{time.time_ns():016x}{secrets.token_hex(16)}"
        waiting = sa.select(sa.func.count()).where(requests.c.state == "queued")
        with self.writing() as connection:
            count = connection.execute(waiting).scalar_one()
            if count >= MAX_WAITING:
                raise UsageError(
                    t(
                        "{count} questions wait already, as many as are allowed; ask again when "
                        "the worker has answered some, or start one: python -m llmrec_core worker",
                        count=count,
                    )
                )
            connection.execute(
                sa.insert(requests).values(
                    id=request_id,
                    kind=kind,
                    payload=jsonable(payload),
                    state="queued",
                    attempt=0,
                    created=Now(),
                    asked_by=asked_by,
                )
            )
        return request_id

    def answer(self, request_id: str) -> RequestRow | None:
        """Return the request as it stands, `None` for an unknown one."""
        with self.reading() as connection:
            row = (
                connection.execute(sa.select(requests).where(requests.c.id == request_id))
                .mappings()
                .first()
            )
        return RequestRow(**row) if row else None

    def claim_request(self, worker: str, *, measurements: bool | None = None) -> RequestRow | None:
        """Return the oldest request that waits, now held by `worker`.

        Args:
            worker: its id.
            measurements: only kinds of `MEASUREMENTS`, or only the others; `None`: any.
        """
        waiting = requests.c.state == "queued"
        if measurements is not None:
            waiting = sa.and_(waiting, _in_line(measurements))
        with self.reading() as connection:
            if connection.execute(sa.select(requests.c.id).where(waiting).limit(1)).first() is None:
                return None
        oldest = (
            sa.select(requests.c.id)
            .where(waiting)
            .order_by(requests.c.created, requests.c.id)
            .limit(1)
        )
        with self.writing() as connection:
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

    def open_questions(self) -> dict[str, int]:
        """Return how many questions are `queued` and `running`, in both lines together."""
        counted = (
            sa.select(requests.c.state, sa.func.count())
            .where(requests.c.state.in_(("queued", "running")))
            .group_by(requests.c.state)
        )
        with self.reading() as connection:
            counts = {state: int(count) for state, count in connection.execute(counted)}
        return {"queued": 0, "running": 0} | counts

    def questions_before(self, request_id: str) -> int:
        """Return how many questions wait in the same line and will be answered before this one."""
        asked = self.answer(request_id)
        own = sa.select(requests.c.created).where(requests.c.id == request_id).scalar_subquery()
        earlier = sa.or_(
            requests.c.created < own,
            sa.and_(requests.c.created == own, requests.c.id < request_id),
        )
        line = _in_line(asked is not None and asked.kind in MEASUREMENTS)
        waiting = sa.select(sa.func.count()).where(requests.c.state == "queued", earlier, line)
        with self.reading() as connection:
            return int(connection.execute(waiting).scalar_one())

    def usual_answer_s(self, kind: str) -> float | None:
        """Return the median time from asking to the answer, in seconds.

        Args:
            kind: of question; the newest `USUAL_OF` answers count.

        Returns:
            `None` below `USUAL_FROM` answers.
        """
        newest = (
            sa.select(requests.c.created, requests.c.finished)
            .where(requests.c.kind == kind, requests.c.state == "finished")
            .order_by(requests.c.finished.desc())
            .limit(USUAL_OF)
        )
        with self.reading() as connection:
            rows = connection.execute(newest).all()
        if len(rows) < USUAL_FROM:
            return None
        return median(
            (
                datetime.fromisoformat(row.finished) - datetime.fromisoformat(row.created)
            ).total_seconds()
            for row in rows
        )

    def cancel_request(self, request_id: str) -> bool:
        """Give a question up, whether it waits or is being answered.

        Returns:
            False when it had been answered already.
        """
        with self.writing() as connection:
            changed = connection.execute(
                sa.update(requests)
                .where(requests.c.id == request_id, requests.c.state.in_(("queued", "running")))
                .values(state="cancelled", finished=Now())
            )
        return changed.rowcount == 1

    def close_request(
        self, row: RequestRow, answer: Mapping[str, object] | None, error: str | None = None
    ) -> bool:
        """Store the answer, or the sentence why there is none.

        Args:
            row: as it was claimed.
            answer: its fields; None when there is an error.
            error: the sentence; None when there is an answer.

        Returns:
            False when the request is somebody else's by now; then nothing is written.
        """
        with self.writing() as connection:
            changed = connection.execute(
                sa.update(requests)
                .where(*_held(row))
                .values(
                    state="failed" if error else "finished",
                    answer=jsonable(answer),
                    error=None if error is None else redacted(error),
                    finished=Now(),
                )
            )
        return changed.rowcount == 1

    def release_request(self, row: RequestRow) -> None:
        """Let the request wait again, as the worker stops; the attempt does not count."""
        with self.writing() as connection:
            connection.execute(
                sa.update(requests)
                .where(*_held(row))
                .values(state="queued", worker=None, attempt=row.attempt - 1)
            )

    def free_silent_requests(self, *, everyone: bool = False) -> None:
        """Let the requests of silent workers wait again, or fail them after `REQUEST_ATTEMPTS`.

        Args:
            everyone: do not wait for a lease; see `Claims.free_silent_runs`.
        """
        columns = (requests.c.id, requests.c.worker, requests.c.attempt, workers.c.beats)
        held = sa.select(*columns).join(workers, workers.c.id == requests.c.worker, isouter=True)
        with self.reading() as connection:
            running = connection.execute(held.where(requests.c.state == "running")).all()
        self.silence.look("request")
        silent = [
            row
            for row in running
            if everyone or self.silence.lasts("request", row.id, (row.attempt, row.beats))
        ]
        if not silent:
            return
        with self.writing() as connection:
            for row in silent:
                values: dict[str, Json] = {"state": "queued", "worker": None}
                if row.attempt >= REQUEST_ATTEMPTS:
                    sentence = t(
                        "the worker died {attempt} times while answering; see its output, then ask "
                        "again",
                        attempt=row.attempt,
                    )
                    values = {"state": "failed", "error": sentence, "finished": Now()}
                connection.execute(
                    sa.update(requests)
                    .where(
                        requests.c.id == row.id,
                        requests.c.attempt == row.attempt,
                        requests.c.state == "running",
                    )
                    .values(**values)
                )

    def prune_requests(self, keep_s: float) -> int:
        """Remove requests that were answered more than `keep_s` seconds ago; returns how many.

        Args:
            keep_s: seconds since the answer that a request is kept.
        """
        with self.writing() as connection:
            clock = connection.execute(sa.select(Now())).scalar_one()
            limit = schema.earlier(clock, keep_s)
            gone = connection.execute(
                sa.delete(requests).where(
                    requests.c.state.in_(("finished", "failed", "cancelled")),
                    requests.c.finished < limit,
                )
            )
        return int(gone.rowcount)


def _in_line(measurements: bool) -> sa.ColumnElement[bool]:
    """Whether a question waits in the line of measurements, or in that of all others."""
    within = requests.c.kind.in_(sorted(MEASUREMENTS))
    return within if measurements else sa.not_(within)


def _held(row: RequestRow) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        requests.c.id == row.id,
        requests.c.worker == row.worker,
        requests.c.attempt == row.attempt,
        requests.c.state == "running",
    )
