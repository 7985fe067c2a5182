"""The ledger's database: SQLite with WAL and full synchronisation, or PostgreSQL by URL.

Transactions are ours to begin and end, and errors of the database become sentences.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from llmrec_core.errors import LedgerError, RunError, UsageError
from llmrec_core.language import t
from llmrec_core.settings import Settings

BUSY_S = 30.0
CONNECT_S = 10
"""Seconds after which an unreachable PostgreSQL server is given up for the moment."""


@contextlib.contextmanager
def sentences(where: str) -> Iterator[None]:
    """Turn the database's errors into ours.

    Args:
        where: the ledger's address without a password.

    Raises:
        RunError: (disk) when there is no space left.
        LedgerError: for every other error of the database.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        cause = str(error.orig).strip()
        low = cause.lower()
        if any(words in low for words in ("disk is full", "no space left", "disk i/o error")):
            raise RunError(
                t(
                    "the ledger {where} could not be written: {cause}. Free some space; nothing "
                    "stored is lost, and paused runs go on with `runs resume ID`",
                    where=where,
                    cause=cause,
                ),
                kind="disk",
            ) from error
        raise LedgerError(
            t(
                "the ledger {where} could not be used: {cause}; {hint}",
                where=where,
                cause=cause,
                hint=_hint(low),
            )
        ) from error


def _hint(cause: str) -> str:
    """What to do about an error of the database, by its lower-case text."""
    if "locked" in cause:
        return t(
            "another program held it for over {BUSY_S:.0f} s; close it and try again", BUSY_S=BUSY_S
        )
    if any(words in cause for words in ("not a database", "malformed", "file is encrypted")):
        return t(
            "it is damaged or not a ledger; move the file away, or point LLMREC_HOME to another "
            "folder"
        )
    if any(words in cause for words in ("unable to open", "readonly", "permission")):
        return t(
            "check that the folder exists and may be written, or point LLMREC_HOME to another one"
        )
    if "connection" in cause or "could not connect" in cause:
        return t("check that the server runs and that LLMREC_LEDGER is right")
    return t("see the cause above")


def make_engine(url: str) -> sa.Engine:
    """Return an engine; on SQLite its transactions are ours to begin, `BEGIN IMMEDIATE` to write.

    Raises:
        UsageError: for an address that is neither SQLite nor PostgreSQL, or a driver that is not
            installed.
    """
    try:
        parsed = sa.make_url(_printable(url))
    except (sa.exc.ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise _no_address() from error
    backend = parsed.get_backend_name()
    options: dict[str, dict[str, object]] = {
        "sqlite": {"connect_args": {"timeout": BUSY_S}},
        "postgresql": {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_S}},
    }
    if backend not in options:
        raise UsageError(
            t(
                "LLMREC_LEDGER is a {backend} address; expected sqlite:/// or postgresql://",
                backend=backend,
            )
        )
    try:
        engine = sa.create_engine(parsed, json_serializer=_serialise, **options[backend])
    except (sa.exc.ArgumentError, ValueError) as error:  # an unknown driver, an odd option
        raise _no_address() from error
    except ModuleNotFoundError as error:
        raise UsageError(
            t(
                "LLMREC_LEDGER needs the Python package {name!r}: pip install {name}",
                name=error.name,
            )
        ) from error
    if engine.dialect.is_async:
        raise UsageError(
            t(
                "LLMREC_LEDGER names the driver {driver!r}, which works asynchronously; leave it "
                "out: sqlite:/// or postgresql://",
                driver=engine.dialect.driver,
            )
        )
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _on_connect)
        sa.event.listen(engine, "begin", _on_begin)
    return engine


def _printable(url: str) -> str:
    """The address itself, unless it holds characters that no file or host name has.

    Raises:
        ValueError: for those.
    """
    if not url.isprintable():  # control characters, and halves of characters
        raise ValueError(url)
    return url


def _no_address() -> UsageError:
    return UsageError(
        t("LLMREC_LEDGER is not a database address; expected e.g. sqlite:////path/ledger.db")
    )


def _serialise(body: object) -> str:
    return json.dumps(body, allow_nan=False)


def _on_connect(connection: sqlite3.Connection, record: object) -> None:
    # The driver would begin late and deferred: two readers could both try to write.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("without_transaction"):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")


class Store:
    """The database and its transactions."""

    def __init__(self, engine: sa.Engine, settings: Settings) -> None:
        self.settings = settings
        self.engine = engine
        self._writer = engine.execution_options(writes=True)

    @property
    def where(self) -> str:
        """The address without a password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection for reading."""
        with sentences(self.where), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a transaction that is committed at the end, or not at all."""
        with sentences(self.where), self._writer.begin() as connection:
            yield connection

    def rewrite(self, tables: Sequence[sa.Table]) -> None:
        """Write tables anew, so that what was removed from them is not left in free pages.

        Args:
            tables: those that lost something; SQLite writes its whole file anew.
        """
        engine = self.engine.execution_options(
            isolation_level="AUTOCOMMIT", without_transaction=True
        )
        with sentences(self.where), engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                for table in tables:
                    connection.exec_driver_sql(f"VACUUM FULL {table.name}")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
