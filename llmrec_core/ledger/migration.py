"""Schema of the ledger: made when it is new, brought up to date when older, refused when newer.

`move_to` also goes back to an older schema, for a return to an older version of the product.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock

from llmrec_core.errors import LedgerError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger import schema
from llmrec_core.ledger.database import Store

OTHERS = stat.S_IRWXG | stat.S_IRWXO
ADVISORY_LOCK = 5166732
"""Number of the PostgreSQL lock that several hosts take before they change one schema."""


def prepare(store: Store) -> None:
    """Make the tables, or bring older ones up to date.

    Raises:
        LedgerError: when the database is newer than this code, holds another program's tables, or
            cannot be read.
    """
    _make_folders(store)
    if version_of(store) != schema.REVISIONS[-1]:
        move_to(store, schema.REVISIONS[-1])


def move_to(store: Store, revision: str) -> None:
    """Move the schema up or down to `revision`, one of `schema.REVISIONS`.

    A SQLite file is copied aside first, `ledger.db.before-NEW-from-OLD`.

    Args:
        store: the database.
        revision: name of the schema.

    Raises:
        UsageError: for an unknown revision.
        LedgerError: when the database cannot be read or written.
    """
    if revision not in schema.REVISIONS:
        raise UsageError(
            t(
                "no schema {revision!r}; this code knows {known}",
                revision=revision,
                known=", ".join(schema.REVISIONS),
            )
        )
    with _only_here(store):
        _migrate(store, revision)


def version_of(store: Store) -> str | None:
    """Return the schema of the database, `None` for an empty one.

    Raises:
        LedgerError: for a newer schema, or another program's database.
    """
    with store.reading() as connection:
        tables = sa.inspect(connection).get_table_names()
        if schema.VERSION_TABLE not in tables:
            if tables and store.engine.dialect.name == "sqlite":
                raise LedgerError(
                    t(
                        "{where} is a database of another program (tables: {tables}); point "
                        "LLMREC_HOME or LLMREC_LEDGER elsewhere",
                        where=store.where,
                        tables=", ".join(sorted(tables)[:5]),
                    )
                )
            return None
        version = connection.execute(
            sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")
        ).scalar()
    if version is not None and version not in schema.REVISIONS:
        raise LedgerError(
            t(
                "the ledger {where} has schema {version}, newer than {newest}, the newest this "
                "code knows; update the code, or point LLMREC_HOME to another folder. Nothing was "
                "changed",
                where=store.where,
                version=version,
                newest=schema.REVISIONS[-1],
            )
        )
    return version


def _make_folders(store: Store) -> None:
    home = store.settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        if home.stat().st_uid == os.geteuid() and home.stat().st_mode & OTHERS:
            home.chmod(0o700)  # whose runs and data these are is nobody else's business
        if store.engine.dialect.name == "sqlite" and store.engine.url.database:
            Path(store.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            t(
                "the folder {home} cannot be made: {cause}; point LLMREC_HOME to a folder that "
                "may be written",
                home=home,
                cause=error.strerror,
            )
        ) from error


@contextmanager
def _only_here(store: Store) -> Iterator[None]:
    """Be the only process of this home that changes the schema."""
    try:
        with FileLock(store.settings.home / "migrate.lock"):
            yield
    except LedgerError:
        raise
    except OSError as error:
        raise LedgerError(
            t(
                "the ledger {where} cannot be made: {error}; free space or choose another "
                "LLMREC_HOME",
                where=store.where,
                error=error,
            )
        ) from error


def _migrate(store: Store, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    version = version_of(store)
    if version == revision:
        return
    if version is not None and store.engine.dialect.name == "sqlite":
        copy_to(store, _copy_path(store, version, revision))
    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    down = version is not None and schema.REVISIONS.index(revision) < schema.REVISIONS.index(
        version
    )
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)


def _copy_path(store: Store, version: str, revision: str) -> Path:
    return Path(f"{store.engine.url.database}.before-{revision}-from-{version}")


def copy_to(store: Store, target: Path) -> None:
    """Copy a SQLite ledger as it stands, while others may write; an existing copy is kept."""
    if target.exists():
        return
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    with store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None, "a connection from the pool has a driver connection"
        raw.execute("VACUUM INTO ?", (str(partial),)).close()
    partial.rename(target)
