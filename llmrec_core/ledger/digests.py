"""A digest a run: SHA-256 over everything in its record that a page shows.

One flipped bit in a database file can raise a figure without any error. The digest is written in
the transaction that ends the run, and compared when a record is shown or `ledger check` runs.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from llmrec_core.errors import LedgerError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.json_values import Json, digest_of

runs = schema.runs
_RECORD = (schema.measurements, schema.samples, schema.documents)


def digest_in(connection: sa.Connection, run_id: str) -> str:
    """Return the digest of a run's record as the database holds it now."""
    spec = connection.execute(sa.select(runs.c.spec).where(runs.c.id == run_id)).scalar()
    body: dict[str, Json] = {"spec": spec}
    for table in _RECORD:
        columns = [column for column in table.c if column.name not in ("id", "run_id")]
        rows = connection.execute(
            sa.select(*columns).where(table.c.run_id == run_id).order_by(table.c.id)
        )
        body[table.name] = [list(row) for row in rows]
    # A document added later stands last; its place must not matter.
    body["documents"].sort(key=lambda row: row[0])
    return digest_of(body)


def write_digest(connection: sa.Connection, run_id: str) -> None:
    """Store the digest of the record as it stands in this transaction."""
    digest = digest_in(connection, run_id)
    connection.execute(sa.update(runs).where(runs.c.id == run_id).values(digest=digest))


class Digests(Store):
    """The part of the ledger that compares records with their digests."""

    def damaged(self, run_ids: Iterable[str]) -> list[str]:
        """Return those of the runs whose record differs from its digest, or cannot be read.

        Records written before schema 0002 have no digest and are not judged.
        """
        return [run_id for run_id in run_ids if not self._intact(run_id)]

    def _intact(self, run_id: str) -> bool:
        try:
            with self.reading() as connection:
                expected = connection.execute(
                    sa.select(runs.c.digest).where(runs.c.id == run_id)
                ).scalar()
                return expected is None or digest_in(connection, run_id) == expected
        except (ValueError, TypeError):  # a damaged JSON text
            return False
        except LedgerError as error:
            if "decode" not in str(error):  # a damaged text, in the words of SQLite
                raise
            return False

    def require_intact(self, connection: sa.Connection, run_id: str) -> None:
        """Refuse to go on with a record that is not the one that was written.

        Raises:
            LedgerError: when its digest differs.
        """
        expected = connection.execute(sa.select(runs.c.digest).where(runs.c.id == run_id)).scalar()
        if expected is not None and digest_in(connection, run_id) != expected:
            raise LedgerError(damage(run_id))


def damage(run_id: str) -> str:
    """Return the sentence about a damaged record."""
    return t(
        "the record of run {run_id} is not the one that was written: the ledger's file was "
        "damaged or changed by another program. Do not use its figures; restore a backup with "
        "`ledger restore`, or queue the run again",
        run_id=run_id,
    )
