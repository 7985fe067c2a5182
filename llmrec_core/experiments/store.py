"""Opening the ledger's database: SQLite with WAL and full synchronisation, or PostgreSQL by URL.

A new database is made and an older one brought up to date by the migrations in this package; a newer one is
refused. Errors of the database become sentences.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from llmrec_core.errors import LedgerError, LlmrecError, RunFailed, UsageError
from llmrec_core.experiments import schema
from llmrec_core.settings import Settings

BUSY_S = 30.0


def jsonable(body: Any) -> Any:
    """`body` with NumPy values as Python's, paths as text and NaN or infinity as null."""
    if isinstance(body, dict):
        return {str(key): jsonable(value) for key, value in body.items()}
    if isinstance(body, (list, tuple, set)):
        return [jsonable(value) for value in body]
    if isinstance(body, float):
        return body if math.isfinite(body) else None
    if body is None or isinstance(body, (str, int, bool)):
        return body
    if hasattr(body, "tolist"):  # NumPy scalars and arrays
        return jsonable(body.tolist())
    if isinstance(body, Path):
        return str(body)
    raise TypeError(f"a document holds a {type(body).__name__}, which JSON cannot; pass dicts, lists, text and numbers")


@contextlib.contextmanager
def sentences(where: str) -> Iterator[None]:
    """Turn the database's errors into ours."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        cause = str(error.orig).strip()
        low = cause.lower()
        if "disk is full" in low or "no space left" in low or "disk i/o error" in low:
            raise RunFailed(
                f"the ledger {where} could not be written: {cause}. Free some space; nothing stored is lost, "
                "and paused runs go on with `runs resume ID`",
                kind="disk",
            ) from error
        if "locked" in low:
            hint = f"another program held it for over {BUSY_S:.0f} s; close it and try again"
        elif "not a database" in low or "malformed" in low or "file is encrypted" in low:
            hint = "it is damaged or not a ledger; move the file away, or point LLMREC_HOME to another folder"
        elif "unable to open" in low or "readonly" in low or "permission" in low:
            hint = "check that the folder exists and may be written, or point LLMREC_HOME to another one"
        elif "could not connect" in low or "connection" in low:
            hint = "check that the server runs and that LLMREC_LEDGER is right"
        else:
            hint = "see the cause above"
        raise LedgerError(f"the ledger {where} could not be used: {cause}; {hint}") from error


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Wait for the lock on `path` and hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def make_engine(url: str) -> sa.Engine:
    """An engine whose transactions on SQLite are ours to begin: `BEGIN IMMEDIATE` for writers.

    Raises:
        UsageError: for an address that is neither SQLite nor PostgreSQL, or a driver that is not installed.
    """
    try:
        parsed = sa.make_url(url)
        options: dict[str, Any] = {"json_serializer": lambda body: json.dumps(body, allow_nan=False)}
        if parsed.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": BUSY_S}
        elif parsed.get_backend_name() != "postgresql":
            raise UsageError(
                f"LLMREC_LEDGER is a {parsed.get_backend_name()} address; expected sqlite:/// or postgresql://"
            )
        else:
            options["pool_pre_ping"] = True
        engine = sa.create_engine(parsed, **options)
    except sa.exc.ArgumentError as error:
        raise UsageError("LLMREC_LEDGER is not a database address; expected e.g. sqlite:////path/ledger.db") from error
    except ModuleNotFoundError as error:
        raise UsageError(f"LLMREC_LEDGER needs the Python package {error.name!r}: pip install {error.name}") from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _on_connect)
        sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver would begin late and deferred: two readers could both try to write
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
        with sentences(self.where), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end, or not at all."""
        with sentences(self.where), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def prepare(self) -> None:
        """Make the tables, or bring older ones up to date.

        Raises:
            LedgerError: when the database is newer than this code, holds another program's tables, or cannot be read.
        """
        try:
            self.settings.home.mkdir(parents=True, exist_ok=True)
            if self.engine.dialect.name == "sqlite" and self.engine.url.database:
                Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"the folder {self.settings.home} cannot be made: {error.strerror}; point LLMREC_HOME to a folder "
                "that may be written"
            ) from error
        if self._version() == schema.REVISIONS[-1]:
            return
        try:
            with file_lock(self.settings.home / "migrate.lock"):
                self._migrate()
        except LlmrecError:
            raise
        except OSError as error:
            raise LedgerError(
                f"the ledger {self.where} cannot be made: {error}; free space or choose another LLMREC_HOME"
            ) from error

    def _version(self) -> str | None:
        with self.reading() as connection:
            tables = sa.inspect(connection).get_table_names()
            if schema.VERSION_TABLE not in tables:
                if tables and self.engine.dialect.name == "sqlite":
                    raise LedgerError(
                        f"{self.where} is a database of another program (tables: {', '.join(sorted(tables)[:5])}); "
                        "point LLMREC_HOME or LLMREC_LEDGER elsewhere"
                    )
                return None
            found = connection.execute(sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalar()
        if found is not None and found not in schema.REVISIONS:
            raise LedgerError(
                f"the ledger {self.where} has schema {found}, newer than {schema.REVISIONS[-1]}, the newest this code "
                "knows; update the code, or point LLMREC_HOME to another folder. Nothing was changed"
            )
        return found

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config

        version = self._version()
        if version == schema.REVISIONS[-1]:
            return
        if version is not None and self.engine.dialect.name == "sqlite":
            self._copy_aside(version)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":  # several hosts may open a new database at once
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(5166732)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _copy_aside(self, version: str) -> None:
        """Keep the older database beside the migrated one."""
        target = Path(str(self.engine.url.database) + f".before-{schema.REVISIONS[-1]}-from-{version}")
        if not target.exists():
            with self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert raw is not None, "a connection from the pool has a driver connection"
                raw.execute("VACUUM INTO ?", (str(target),)).close()
