"""Studies as JSON documents: exported from one ledger, imported into another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import sqlalchemy as sa

from llmrec_core.contract.parsing import parse
from llmrec_core.contract.spec import RunSpec
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t
from llmrec_core.ledger import schema
from llmrec_core.ledger.json_values import Json
from llmrec_core.ledger.records import Records
from llmrec_core.ledger.rows import OVER

FORMAT = "llmrec-study/1"
_LATER = ("halvings", "digest", "asked_by")
"""Columns that exports of version 0.1 lack."""

runs, studies = schema.runs, schema.studies


class Exchange(Records):
    """The part of the ledger that exports and imports studies."""

    def export_study(self, name: str) -> dict[str, Json]:
        """Return a study with all its records as one JSON document.

        Raises:
            UsageError: for an unknown study.
        """
        every = self.studies()
        study = next((row for row in every if row.name == name), None)
        if study is None:
            raise UsageError(
                t(
                    "no study {name!r} in the ledger {where}; it has: {names}",
                    name=name,
                    where=self.where,
                    names=", ".join(row.name for row in every) or t("none yet"),
                )
            )
        bodies = []
        with self.reading() as connection:
            rows = connection.execute(
                sa.select(runs).where(runs.c.study == name).order_by(runs.c.position)
            )
            for run in rows.mappings().all():
                body = dict(run)
                for table in schema.OF_RUN:
                    columns = [column for column in table.c if column.name not in ("id", "run_id")]
                    rows = connection.execute(
                        sa.select(*columns).where(table.c.run_id == run["id"]).order_by(table.c.id)
                    )
                    body[table.name] = [dict(row) for row in rows.mappings()]
                bodies.append(body)
        return {"format": FORMAT, "study": dataclasses.asdict(study), "runs": bodies}

    def import_study(self, body: Mapping[str, Json]) -> str:
        """Store an exported study; returns its name. Runs that were not over arrive cancelled.

        Raises:
            UsageError: when `body` is no such export, or the ledger has a study or run of that name
                already.
        """
        try:
            return self._import(body)
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                t(
                    "this exported study is damaged, {error} is missing or wrong; export it again",
                    error=error,
                )
            ) from error

    def _import(self, body: Mapping[str, Json]) -> str:
        if not isinstance(body, Mapping) or body.get("format") != FORMAT:
            got = body.get("format") if isinstance(body, Mapping) else type(body).__name__
            raise UsageError(
                t(
                    "this is no exported study: its format is {got!r}, expected {expected!r}",
                    got=got,
                    expected=FORMAT,
                )
            )
        study, bodies = body["study"], body["runs"]
        name = str(study["name"])
        with self.writing() as connection:
            same = sa.select(studies.c.name).where(studies.c.name == name)
            if connection.execute(same).first():
                raise UsageError(
                    t(
                        "the ledger {where} has a study {name!r} already; import into another home",
                        where=self.where,
                        name=name,
                    )
                )
            connection.execute(sa.insert(studies).values(**study))
            for exported in bodies:
                # What its family ignores may stand in the record of an older version.
                parse(RunSpec, exported["spec"], f"run {exported['id']}")
                row = _imported_row(exported) | {"study": name}
                connection.execute(sa.insert(runs).values(**row))
                for table in schema.OF_RUN:
                    rows = [{**item, "run_id": row["id"]} for item in exported[table.name]]
                    if rows:
                        connection.execute(sa.insert(table), rows)
        return name


def _imported_row(exported: Mapping[str, Json]) -> dict[str, Json]:
    row = {column.name: exported[column.name] for column in runs.c if column.name not in _LATER}
    row |= {"halvings": exported.get("halvings", 0), "digest": exported.get("digest")}
    row["worker"] = None
    if row["state"] not in OVER:
        sentence = marked("imported before it was over")
        row |= {"state": "cancelled", "error": sentence, "error_kind": "cancelled"}
    return row
