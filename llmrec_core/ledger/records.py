"""Everything that is read: studies, runs and their records."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import sqlalchemy as sa

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.digests import Digests, write_digest
from llmrec_core.ledger.json_values import Json, jsonable
from llmrec_core.ledger.rows import RunRow, StudyRow
from llmrec_core.types import Samples

if TYPE_CHECKING:
    import pandas as pd

PARAMETERS = 500
"""Run ids in one query; databases limit the number of parameters."""
_MEASUREMENT = (
    "run_id",
    "name",
    "value",
    "unit",
    "low",
    "high",
    "n",
    "slice",
    "protocol",
    "reason",
)

runs, studies = schema.runs, schema.studies


class Records(Digests):
    """The part of the ledger that is read by pages and commands."""

    def studies(self) -> list[StudyRow]:
        """Return the studies, oldest first; a study's earlier rows come before it."""
        order = (studies.c.created, studies.c.name.desc())
        with self.reading() as connection:
            rows = connection.execute(sa.select(studies).order_by(*order)).mappings()
            return [StudyRow(**row) for row in rows]

    def runs(self, study: str | None = None) -> list[RunRow]:
        """Return the runs of a study in its order; without `study` those of all, oldest first."""
        query = sa.select(runs).order_by(runs.c.study, runs.c.position, runs.c.created)
        if study is not None:
            query = query.where(runs.c.study == study)
        with self.reading() as connection:
            return [RunRow(**row) for row in connection.execute(query).mappings()]

    def running_runs(self) -> list[RunRow]:
        """Return the runs of all studies that work just now."""
        query = sa.select(runs).where(runs.c.state == "running").order_by(runs.c.started)
        with self.reading() as connection:
            return [RunRow(**row) for row in connection.execute(query).mappings()]

    def runs_waiting(self) -> int:
        """Return how many runs of all studies wait in the queue."""
        waiting = sa.select(sa.func.count()).where(runs.c.state == "queued")
        with self.reading() as connection:
            return int(connection.execute(waiting).scalar_one())

    def run(self, run_id: str) -> RunRow:
        """Return one run.

        Raises:
            UsageError: when there is none, with the nearest ids.
        """
        with self.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().first()
            if row is not None:
                return RunRow(**row)
            ids = connection.execute(sa.select(runs.c.id)).scalars().all()
        raise self._no_run(run_id, ids)

    def _no_run(self, run_id: str, ids: Sequence[str]) -> UsageError:
        near = get_close_matches(run_id, ids, n=3)
        hint = (
            t("Did you mean {near}?", near=", ".join(near))
            if near
            else t("`python -m llmrec_core runs list` shows those it has")
        )
        return UsageError(
            t(
                "no run {run_id!r} in the ledger {where}. {hint}",
                run_id=run_id,
                where=self.where,
                hint=hint,
            )
        )

    def measurements(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Return the figures of some runs.

        Returns:
            Columns run_id, name, value, unit, low, high, n, slice, protocol, reason; missing values
            are None or NaN.
        """
        import pandas as pd

        table = schema.measurements
        query = sa.select(*(table.c[name] for name in _MEASUREMENT)).order_by(table.c.id)
        rows: list[sa.Row] = []
        with self.reading() as connection:
            for start in range(0, len(run_ids), PARAMETERS):
                chosen = query.where(table.c.run_id.in_(run_ids[start : start + PARAMETERS]))
                rows.extend(connection.execute(chosen).all())
        return pd.DataFrame(rows, columns=list(_MEASUREMENT))

    def samples(self, run_id: str, name: str, protocol: str) -> Samples | None:
        """Return raw values kept by a run, `None` where it has none of that name."""
        table = schema.samples
        same = (table.c.run_id == run_id, table.c.name == name, table.c.protocol == protocol)
        with self.reading() as connection:
            row = connection.execute(sa.select(table).where(*same)).mappings().first()
        if row is None:
            return None
        return Samples(row["name"], row["values"], row["keys"], row["protocol"])

    def sample_names(self, run_id: str) -> list[tuple[str, str]]:
        """Return (name, protocol) of the raw values that a run has kept."""
        table = schema.samples
        query = sa.select(table.c.name, table.c.protocol).where(table.c.run_id == run_id)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(table.c.id))
            return [(row.name, row.protocol) for row in rows]

    def documents(self, run_id: str) -> dict[str, Json]:
        """Return all documents of a run; `document` reads one, since lists can be large."""
        table = schema.documents
        query = sa.select(table.c.name, table.c.body).where(table.c.run_id == run_id)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(table.c.id))
            return {row.name: row.body for row in rows}

    def document(self, run_id: str, name: str) -> Json:
        """Return one document of a run, `None` where it was not written."""
        table = schema.documents
        query = sa.select(table.c.body).where(table.c.run_id == run_id, table.c.name == name)
        with self.reading() as connection:
            return connection.execute(query).scalar()

    def add_document(self, run_id: str, name: str, body: object) -> None:
        """Put a document measured after the run into its record, in place of an earlier one.

        Raises:
            LedgerError: when the record is damaged; a new digest would hide that.
        """
        table = schema.documents
        with self.writing() as connection:
            self.require_intact(connection, run_id)
            connection.execute(
                sa.delete(table).where(table.c.run_id == run_id, table.c.name == name)
            )
            connection.execute(
                sa.insert(table).values(run_id=run_id, name=name, body=jsonable(body))
            )
            write_digest(connection, run_id)

    def curves(self, run_id: str) -> pd.DataFrame:
        """Return the curves of a run.

        Returns:
            Columns name, step, value; of a step that two attempts went through, the later one.
        """
        import pandas as pd

        table = schema.curves
        query = sa.select(table.c.name, table.c.step, table.c.value).where(table.c.run_id == run_id)
        with self.reading() as connection:
            points = connection.execute(query.order_by(table.c.attempt, table.c.id)).all()
        latest = {(point.name, point.step): point.value for point in points}
        rows = sorted((name, step, value) for (name, step), value in latest.items())
        return pd.DataFrame(rows, columns=["name", "step", "value"])

    def logs(self, run_id: str, last: int = 500) -> list[tuple[str, str]]:
        """Return (time, line) of the last lines of a run's log, oldest first."""
        table = schema.logs
        query = sa.select(table.c.time, table.c.line).where(table.c.run_id == run_id)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(table.c.id.desc()).limit(last)).all()
        return [(row.time, row.line) for row in reversed(rows)]
