"""A ledger as one file: copied out while it is in use, and back into an empty one.

The file is a SQLite ledger, whatever the database it comes from, so that a backup also moves a
ledger from SQLite to PostgreSQL or back. It holds records and questions; models and data sets stand
in the home's folders.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from llmrec_core.errors import LedgerError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store
from llmrec_core.ledger.ledger import Ledger

ROWS = 500
"""Rows read and written at a time."""
# Workers are processes of the moment; a restored ledger has none.
_TABLES = (
    schema.studies,
    schema.runs,
    *schema.OF_RUN,
    schema.requests,
    schema.audit,
    schema.data_owners,
)


def backup(ledger: Ledger, target: Path) -> int:
    """Copy a ledger into a new file, as it stands at one moment; returns the number of runs.

    Args:
        ledger: may be in use.
        target: a file that does not exist yet.

    Raises:
        UsageError: when there is a file of that name.
        LedgerError: when the ledger cannot be read or the file not be written.
    """
    if target.exists():
        raise UsageError(t("{target} exists already; choose another name", target=target))
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with _opened(ledger, partial) as copy:
            _copy(ledger, copy)
            count = len(copy.runs())
        partial.chmod(0o600)
        partial.rename(target)
    finally:
        for left in partial.parent.glob(f"{partial.name}*"):
            left.unlink()
    return count


def restore(ledger: Ledger, source: Path) -> int:
    """Copy the runs of a backup into an empty ledger; returns their number.

    Runs that were queued or running then arrive queued: they go on from what their folders hold.

    Raises:
        UsageError: when there is no such file, or the ledger is not empty.
        LedgerError: when the file is no ledger or damaged; the ledger stays empty.
    """
    if not source.is_file():
        raise UsageError(t("there is no file {source}", source=source))
    if ledger.studies():
        raise UsageError(
            t(
                "the ledger {where} holds studies already; restore into an empty home: set "
                "LLMREC_HOME (and LLMREC_LEDGER) to another place",
                where=ledger.where,
            )
        )
    with _opened(ledger, source) as stored:
        damaged = stored.damaged([run.id for run in stored.runs()])
        if damaged:
            raise LedgerError(
                t(
                    "{source} is damaged: the record of run {runs} is not the one that was "
                    "written; restore another backup",
                    source=source,
                    runs=", ".join(damaged[:5]),
                )
            )
        _copy(stored, ledger)
    running = schema.runs.c.state == "running"
    with ledger.writing() as connection:
        connection.execute(
            sa.update(schema.runs).where(running).values(state="queued", worker=None)
        )
    return len(ledger.runs())


@contextlib.contextmanager
def _opened(ledger: Ledger, path: Path) -> Iterator[Ledger]:
    """The ledger in a SQLite file."""
    settings = dataclasses.replace(ledger.settings, ledger_url=f"sqlite:///{path.resolve()}")
    opened = Ledger.open(settings)
    try:
        yield opened
        with opened.reading() as connection:  # all into the one file, nothing beside it
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        opened.close()


def _copy(source: Store, target: Store) -> None:
    """Copy all rows, in the order in which they were written."""
    one_moment = source.engine.execution_options(
        **({} if source.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"})
    )
    with one_moment.connect() as reading, target.writing() as writing:
        for table in _TABLES:
            own_number = table.c.id.autoincrement is True if "id" in table.c else False
            columns = [column for column in table.c if not (own_number and column.name == "id")]
            order = [table.c.id] if own_number else list(table.primary_key)
            rows = reading.execute(sa.select(*columns).order_by(*order)).mappings()
            for part in rows.partitions(ROWS):
                writing.execute(sa.insert(table), [dict(row) for row in part])
