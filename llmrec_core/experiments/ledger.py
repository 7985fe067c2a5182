"""The ledger: studies, runs and their records. `Ledger.open(settings)` is where every part starts.

Three modules make one object: `store.py` opens the database, `queue.py` writes what workers do, this one holds
studies and everything that is read.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llmrec_core.errors import UsageError
from llmrec_core.experiments import schema
from llmrec_core.experiments.queue import Queue
from llmrec_core.experiments.records import OVER, Lease, LeaseLost, RequestRow, RunRow, StudyRow, WorkerRow
from llmrec_core.experiments.schema import now
from llmrec_core.experiments.sources import Source, chained_hash, study_hashes
from llmrec_core.experiments.spec import RunSpec, StudySpec, run_from_dict
from llmrec_core.experiments.store import jsonable, make_engine
from llmrec_core.settings import Settings
from llmrec_core.types import Samples

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Lease", "LeaseLost", "Ledger", "RequestRow", "RunRow", "StudyRow", "WorkerRow"]

FORMAT = "llmrec-study/1"
runs, studies = schema.runs, schema.studies
_MEASUREMENT = ("run_id", "name", "value", "unit", "low", "high", "n", "slice", "protocol", "reason")


class Ledger(Queue):
    """Studies and runs in one database."""

    @classmethod
    def open(cls, settings: Settings) -> Ledger:
        """The ledger of these settings, made or brought up to date when needed.

        Raises:
            LedgerError: when it cannot be read or written, or is newer than this code.
        """
        ledger = cls(make_engine(settings.ledger_url), settings)
        try:
            ledger.prepare()
        except BaseException:
            ledger.close()
            raise
        return ledger

    # ── writing studies ──────────────────────────────────────────────────────────────────────────

    def add_study(self, study: StudySpec) -> list[str]:
        """Queue the runs of a study that it does not have yet; returns the ids of all its runs, in order.

        A run with the same hash is kept as it is, whatever its state, except that a paused one goes on. A row whose
        spec has changed, or that of the row whose weights it uses, is queued anew; its earlier run moves to the
        study `NAME (earlier)`.
        """
        with self.writing() as connection:
            self._make_study(connection, study.name, study.title)
            known = {row.spec_hash: row for row in self._of_study(connection, study.name)}
            hashes = study_hashes(study)
            wanted = set(hashes.values())
            names = {spec.name for spec in study.runs}
            for row in known.values():
                if row.name in names and row.spec_hash not in wanted:
                    self._set_aside(connection, row, study)
            ids = []
            for position, spec in enumerate(study.runs):
                kept = known.get(hashes[spec.name])
                if kept is None:
                    ids.append(self._insert(connection, study.name, spec, hashes[spec.name], position))
                    continue
                values: dict[str, Any] = {"position": position, "name": spec.name, "minutes": spec.minutes}
                if kept.state == "paused":
                    values |= {"state": "queued", "error": None, "error_kind": None, "finished": None}
                connection.execute(sa.update(runs).where(runs.c.id == kept.id).values(**values))
                ids.append(kept.id)
        return ids

    def enqueue(self, spec: RunSpec, study: str, *, title: str = "", priority: int = 0) -> str:
        """Queue one run at the end of a study, which is made when it is new; returns the run's id.

        When the study has the same run already, that one is returned; if it had failed or was cancelled, it is
        queued again.
        """
        with self.writing() as connection:
            self._make_study(connection, study, title or study)
            rows = self._of_study(connection, study)
            there = [Source(row.name, row.family, row.weights_from, row.spec_hash) for row in rows]
            spec_hash = chained_hash(spec, there, study)
            for row in rows:
                if row.spec_hash == spec_hash:
                    if row.state in ("failed", "cancelled", "paused"):
                        values = {"state": "queued", "error": None, "error_kind": None, "finished": None}
                        reset = {"retries": 0, "losses": 0, "worker": None, "priority": priority}
                        connection.execute(sa.update(runs).where(runs.c.id == row.id).values(**values, **reset))
                    return str(row.id)
            position = 1 + max((row.position for row in rows), default=-1)
            return self._insert(connection, study, spec, spec_hash, position, priority)

    def _make_study(self, connection: sa.Connection, name: str, title: str) -> None:
        found = connection.execute(sa.select(studies.c.title).where(studies.c.name == name)).scalar()
        if found is None:
            connection.execute(sa.insert(studies).values(name=name, title=title, created=now()))
        elif found != title and title != name:
            connection.execute(sa.update(studies).where(studies.c.name == name).values(title=title))

    def _of_study(self, connection: sa.Connection, name: str) -> Sequence[sa.Row[Any]]:
        return connection.execute(sa.select(runs).where(runs.c.study == name).order_by(runs.c.position)).all()

    def _set_aside(self, connection: sa.Connection, row: sa.Row[Any], study: StudySpec) -> None:
        earlier = f"{study.name} (earlier)"
        self._make_study(connection, earlier, f"{study.title} (earlier rows)")
        same_age = sa.select(studies.c.created).where(studies.c.name == study.name).scalar_subquery()
        connection.execute(sa.update(studies).where(studies.c.name == earlier).values(created=same_age))
        connection.execute(sa.update(runs).where(runs.c.id == row.id).values(study=earlier))
        if row.state == "running":
            connection.execute(sa.update(runs).where(runs.c.id == row.id).values(cancel_requested=True))
        elif row.state not in OVER:
            self._end(connection, row.id, "cancelled", "its row in the study has changed", "cancelled")

    def _insert(
        self, connection: sa.Connection, study: str, spec: RunSpec, spec_hash: str, position: int, priority: int = 0
    ) -> str:
        run_id = secrets.token_hex(4)
        row = {
            "id": run_id,
            "study": study,
            "name": spec.name or spec.recommender.family,
            "position": position,
            "spec": spec.to_dict(),
            "spec_hash": spec_hash,
            "family": spec.recommender.family,
            "weights_from": spec.weights_from,
            "minutes": spec.minutes,
            "priority": priority,
            "state": "queued",
        }
        connection.execute(sa.insert(runs).values(**row, created=now()))
        return run_id

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def studies(self) -> list[StudyRow]:
        """Studies, oldest first; a study's earlier rows come before it."""
        with self.reading() as connection:
            found = connection.execute(sa.select(studies).order_by(studies.c.created, studies.c.name.desc())).mappings()
            return [StudyRow(**row) for row in found]

    def runs(self, study: str | None = None) -> list[RunRow]:
        """Runs in the order of their study; of all studies, oldest first, without `study`."""
        query = sa.select(runs).order_by(runs.c.study, runs.c.position, runs.c.created)
        if study is not None:
            query = query.where(runs.c.study == study)
        with self.reading() as connection:
            return [RunRow(**row) for row in connection.execute(query).mappings()]

    def run(self, run_id: str) -> RunRow:
        """One run.

        Raises:
            UsageError: when there is none, with the nearest ids.
        """
        with self.reading() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().first()
            if row is not None:
                return RunRow(**row)
            known = connection.execute(sa.select(runs.c.id)).scalars().all()
        near = get_close_matches(run_id, known, n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else "`python -m llmrec_core runs list` shows those it has"
        raise UsageError(f"no run {run_id!r} in the ledger {self.where}. {hint}")

    def measurements(self, run_ids: Sequence[str]) -> pd.DataFrame:
        """Columns run_id, name, value, unit, low, high, n, slice, protocol, reason; missing values are None or NaN."""
        import pandas as pd

        table = schema.measurements
        query = sa.select(*(table.c[name] for name in _MEASUREMENT)).order_by(table.c.id)
        rows: list[Any] = []
        with self.reading() as connection:
            for start in range(0, len(run_ids), 500):  # databases limit the number of parameters
                chosen = query.where(table.c.run_id.in_(run_ids[start : start + 500]))
                rows.extend(connection.execute(chosen).all())
        return pd.DataFrame(rows, columns=list(_MEASUREMENT))

    def samples(self, run_id: str, name: str, protocol: str) -> Samples | None:
        """Raw values kept by a run."""
        table = schema.samples
        same = (table.c.run_id == run_id, table.c.name == name, table.c.protocol == protocol)
        with self.reading() as connection:
            row = connection.execute(sa.select(table).where(*same)).mappings().first()
        return None if row is None else Samples(row["name"], row["values"], row["keys"], row["protocol"])

    def sample_names(self, run_id: str) -> list[tuple[str, str]]:
        """(name, protocol) of the raw values that a run has kept."""
        table = schema.samples
        query = sa.select(table.c.name, table.c.protocol).where(table.c.run_id == run_id).order_by(table.c.id)
        with self.reading() as connection:
            return [(row.name, row.protocol) for row in connection.execute(query)]

    def documents(self, run_id: str) -> dict[str, Any]:
        """All documents of a run; `document` reads one, since lists can be large."""
        table = schema.documents
        query = sa.select(table.c.name, table.c.body).where(table.c.run_id == run_id).order_by(table.c.id)
        with self.reading() as connection:
            return {row.name: row.body for row in connection.execute(query)}

    def document(self, run_id: str, name: str) -> Any:
        """One document of a run, `None` where it was not written."""
        table = schema.documents
        query = sa.select(table.c.body).where(table.c.run_id == run_id, table.c.name == name)
        with self.reading() as connection:
            return connection.execute(query).scalar()

    def add_document(self, run_id: str, name: str, body: Any) -> None:
        """Put a document measured after the run into its record, in place of an earlier one."""
        table = schema.documents
        with self.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.run_id == run_id, table.c.name == name))
            connection.execute(sa.insert(table).values(run_id=run_id, name=name, body=jsonable(body)))

    def curves(self, run_id: str) -> pd.DataFrame:
        """Columns name, step, value; of a step that two attempts went through, the later one."""
        import pandas as pd

        table = schema.curves
        query = sa.select(table.c.name, table.c.step, table.c.value).where(table.c.run_id == run_id)
        with self.reading() as connection:
            points = connection.execute(query.order_by(table.c.attempt, table.c.id)).all()
        latest = {(point.name, point.step): point.value for point in points}
        rows = sorted((name, step, value) for (name, step), value in latest.items())
        return pd.DataFrame(rows, columns=["name", "step", "value"])

    def logs(self, run_id: str, last: int = 500) -> list[tuple[str, str]]:
        """(time, line) of the last lines of a run's log, oldest first."""
        table = schema.logs
        query = sa.select(table.c.time, table.c.line).where(table.c.run_id == run_id)
        with self.reading() as connection:
            found = connection.execute(query.order_by(table.c.id.desc()).limit(last)).all()
        return [(row.time, row.line) for row in reversed(found)]

    # ── export and import ────────────────────────────────────────────────────────────────────────

    def export_study(self, name: str) -> dict[str, Any]:
        """A study with all its records as one JSON document.

        Raises:
            UsageError: for an unknown study.
        """
        study = next((row for row in self.studies() if row.name == name), None)
        if study is None:
            known = ", ".join(row.name for row in self.studies()) or "none yet"
            raise UsageError(f"no study {name!r} in the ledger {self.where}; it has: {known}")
        bodies = []
        with self.reading() as connection:
            for run in self._of_study(connection, name):
                body = dict(run._mapping)
                for table in schema.OF_RUN:
                    columns = [column for column in table.c if column.name not in ("id", "run_id")]
                    found = connection.execute(sa.select(*columns).where(table.c.run_id == run.id).order_by(table.c.id))
                    body[table.name] = [dict(row) for row in found.mappings()]
                bodies.append(body)
        return {"format": FORMAT, "study": dataclasses.asdict(study), "runs": bodies}

    def import_study(self, body: dict[str, Any]) -> str:
        """Store an exported study; returns its name. Runs that were not over arrive cancelled.

        Raises:
            UsageError: when `body` is no such export, or the ledger has a study or run of that name already.
        """
        try:
            return self._import(body)
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"this exported study is damaged, {error} is missing or wrong; export it again") from error

    def _import(self, body: dict[str, Any]) -> str:
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            found = body.get("format") if isinstance(body, dict) else type(body).__name__
            raise UsageError(f"this is no exported study: its format is {found!r}, expected {FORMAT!r}")
        study, bodies = body["study"], body["runs"]
        with self.writing() as connection:
            if connection.execute(sa.select(studies.c.name).where(studies.c.name == study["name"])).first():
                raise UsageError(
                    f"the ledger {self.where} has a study {study['name']!r} already; import into another home"
                )
            connection.execute(sa.insert(studies).values(**study))
            for exported in bodies:
                run_from_dict(exported["spec"], f"run {exported['id']}")
                row = {column.name: exported[column.name] for column in runs.c} | {
                    "study": study["name"],
                    "worker": None,
                }
                if row["state"] not in OVER:
                    row |= {"state": "cancelled", "error": "imported before it was over", "error_kind": "cancelled"}
                connection.execute(sa.insert(runs).values(**row))
                for table in schema.OF_RUN:
                    rows = [{**item, "run_id": row["id"]} for item in exported[table.name]]
                    if rows:
                        connection.execute(sa.insert(table), rows)
        return str(study["name"])
