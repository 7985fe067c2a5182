"""Queueing: a whole study, or one run at the end of a study."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t
from llmrec_core.ledger import schema
from llmrec_core.ledger.claims import end_run, queue_again
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.json_values import Json
from llmrec_core.ledger.rows import OVER
from llmrec_core.ledger.schema import Now
from llmrec_core.ledger.weights_source import Source, chained_hash, study_hashes

MAX_QUEUED = 2000
"""Runs that may wait at once: more would be a mistake in a program that queues them."""

runs, studies = schema.runs, schema.studies


class Studies(Store):
    """The part of the ledger that takes runs in."""

    def add_study(self, study: StudySpec, asked_by: str | None = None) -> list[str]:
        """Queue the runs of a study that it does not have yet.

        A run with the same hash is kept as it is, whatever its state, except that a paused one goes
        on. A row whose spec has changed, or that of the row whose weights it uses, is queued anew;
        its earlier run moves to the study `NAME (earlier)`.

        Args:
            study: the runs that the study shall have.
            asked_by: who queues them; `None` where nobody logs in.

        Returns:
            The ids of all its runs, in order.

        Raises:
            UsageError: when too many runs wait, or a `weights_from` fits no run.
        """
        with self.writing() as connection:
            self._make_study(connection, study.name, study.title)
            before = {row.spec_hash: row for row in _rows_of(connection, study.name)}
            hashes = study_hashes(study)
            self._set_aside_changed(connection, study, list(before.values()), set(hashes.values()))
            ids = []
            for position, spec in enumerate(study.runs):
                kept = before.get(hashes[spec.name])
                place = {"position": position, "priority": -position * study.in_file_order}
                if kept is None:
                    row = _new_row(study.name, spec, hashes[spec.name], position)
                    ids.append(_insert(connection, row | place | {"asked_by": asked_by}))
                    continue
                if kept.state == "paused":
                    queue_again(connection, kept.id)
                connection.execute(
                    sa.update(runs)
                    .where(runs.c.id == kept.id)
                    .values(name=spec.name, minutes=spec.minutes, **place)
                )
                ids.append(kept.id)
            _check_queue(connection)
        return ids

    def enqueue(
        self,
        spec: RunSpec,
        study: str,
        *,
        title: str = "",
        priority: int = 0,
        asked_by: str | None = None,
    ) -> str:
        """Queue one run at the end of a study, which is made when it is new.

        When the study has the same run already, that one is returned; if it had failed or was
        cancelled, it is queued again.

        Args:
            spec: the run.
            study: name of the study.
            title: what a person calls the study; its name when empty.
            priority: higher ones are taken first.
            asked_by: who queues it; `None` where nobody logs in.

        Returns:
            The run's id.

        Raises:
            UsageError: when too many runs wait, or its `weights_from` fits no run.
        """
        with self.writing() as connection:
            self._make_study(connection, study, title or study)
            rows = _rows_of(connection, study)
            sources = [
                Source(row.name, row.family, row.weights_from, row.spec_hash) for row in rows
            ]
            spec_hash = chained_hash(spec, sources, study)
            same = next((row for row in rows if row.spec_hash == spec_hash), None)
            if same is not None:
                if same.state in ("failed", "cancelled", "paused"):
                    queue_again(connection, same.id, priority)
                return str(same.id)
            position = 1 + max((row.position for row in rows), default=-1)
            row = _new_row(study, spec, spec_hash, position)
            run_id = _insert(connection, row | {"priority": priority, "asked_by": asked_by})
            _check_queue(connection)
            return run_id

    def _make_study(self, connection: sa.Connection, name: str, title: str) -> None:
        before = connection.execute(
            sa.select(studies.c.title).where(studies.c.name == name)
        ).scalar()
        if before is None:
            connection.execute(sa.insert(studies).values(name=name, title=title, created=Now()))
        elif before != title and title != name:
            connection.execute(sa.update(studies).where(studies.c.name == name).values(title=title))

    def _set_aside_changed(
        self,
        connection: sa.Connection,
        study: StudySpec,
        rows: Sequence[sa.Row],
        hashes: set[str],
    ) -> None:
        names = {spec.name for spec in study.runs}
        for row in rows:
            if row.name in names and row.spec_hash not in hashes:
                self._set_aside(connection, row, study)

    def _set_aside(self, connection: sa.Connection, row: sa.Row, study: StudySpec) -> None:
        """Move a run whose row has changed to the study of earlier rows."""
        earlier = f"{study.name} (earlier)"
        self._make_study(connection, earlier, t("{title} (earlier rows)", title=study.title))
        same_age = (
            sa.select(studies.c.created).where(studies.c.name == study.name).scalar_subquery()
        )
        connection.execute(
            sa.update(studies).where(studies.c.name == earlier).values(created=same_age)
        )
        moved = sa.update(runs).where(runs.c.id == row.id).values(study=earlier)
        if row.state == "running":
            moved = moved.values(cancel_requested=True)
        connection.execute(moved)
        if row.state not in (*OVER, "running"):
            sentence = marked("its row in the study has changed")
            end_run(connection, row.id, "cancelled", sentence, "cancelled")


def _rows_of(connection: sa.Connection, study: str) -> Sequence[sa.Row]:
    return connection.execute(
        sa.select(runs).where(runs.c.study == study).order_by(runs.c.position)
    ).all()


def _new_row(study: str, spec: RunSpec, spec_hash: str, position: int) -> dict[str, Json]:
    return {
        "id": secrets.token_hex(4),
        "study": study,
        "name": spec.name or spec.recommender.family,
        "position": position,
        "spec": spec.to_dict(),
        "spec_hash": spec_hash,
        "family": spec.recommender.family,
        "weights_from": spec.weights_from,
        "minutes": spec.minutes,
        "priority": 0,
        "state": "queued",
    }


def _insert(connection: sa.Connection, row: dict[str, Json]) -> str:
    connection.execute(sa.insert(runs).values(**row, created=Now()))
    return str(row["id"])


def _check_queue(connection: sa.Connection) -> None:
    """Refuse a queue that is too long; the transaction changes nothing then.

    Raises:
        UsageError: with the number that wait.
    """
    count = connection.execute(
        sa.select(sa.func.count()).select_from(runs).where(runs.c.state == "queued")
    ).scalar_one()
    if count > MAX_QUEUED:
        raise UsageError(
            t(
                "{count} runs would wait, more than the {limit} that are allowed at once; queue "
                "fewer, or cancel some: python -m llmrec_core runs cancel ID",
                count=count,
                limit=MAX_QUEUED,
            )
        )
