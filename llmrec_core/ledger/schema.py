"""Tables of the ledger, and time as the database tells it.

Times are UTC text (`2026-11-24T10:15:30.250Z`). The database writes them, so that workers' clocks
do not matter; they sort, and they survive JSON. Leases do not use time at all: see claims.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

REVISIONS = ("0001", "0002")
"""Migrations in order; the last one is what this code reads and writes."""
VERSION_TABLE = "llmrec_version"
"""Not `alembic_version`, which other programs keep in the same PostgreSQL."""

metadata = sa.MetaData()


class Now(FunctionElement[str]):
    """The database's clock as UTC text with milliseconds."""

    type = sa.Text()
    inherit_cache = True


Options: TypeAlias = object
"""Options that SQLAlchemy hands to a compile function; ours use none."""


@compiles(Now, "sqlite")
def _now_sqlite(element: Now, compiler: SQLCompiler, **options: Options) -> str:
    return "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


@compiles(Now, "postgresql")
def _now_postgresql(element: Now, compiler: SQLCompiler, **options: Options) -> str:
    return "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


studies = sa.Table(
    "studies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("study", sa.Text, sa.ForeignKey("studies.name"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("spec_hash", sa.Text, nullable=False),
    # Copies out of the spec, so that choosing the next run parses no JSON.
    sa.Column("family", sa.Text, nullable=False),
    sa.Column("weights_from", sa.Text, nullable=False),
    sa.Column("minutes", sa.Float, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, default=0),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("worker", sa.Text),
    sa.Column("heartbeat", sa.Integer, nullable=False, default=0),
    sa.Column("retries", sa.Integer, nullable=False, default=0),
    sa.Column("losses", sa.Integer, nullable=False, default=0),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("started", sa.Text),
    sa.Column("finished", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("error_kind", sa.Text),
    sa.Column("progress_phase", sa.Text),
    sa.Column("progress_done", sa.Float),
    sa.Column("progress_total", sa.Float),
    # How often the batch was halved because memory was short.
    sa.Column("halvings", sa.Integer, nullable=False, default=0, server_default="0"),
    # SHA-256 of the record, see digests.py; none for records written before schema 0002.
    sa.Column("digest", sa.Text),
    # Who queued it; none where nobody logs in.
    sa.Column("asked_by", sa.Text),
)


def _of_run(name: str, *columns: sa.Column[object]) -> sa.Table:
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)
    run_id = sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id"), nullable=False, index=True)
    return sa.Table(name, metadata, key, run_id, *columns)


measurements = _of_run(
    "measurements",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("n", sa.Integer),
    sa.Column("slice", sa.Text, nullable=False),
    sa.Column("protocol", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
)
samples = _of_run(
    "samples",
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("protocol", sa.Text, nullable=False),
    sa.Column("keys", sa.JSON, nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
)
documents = _of_run(
    "documents", sa.Column("name", sa.Text, nullable=False), sa.Column("body", sa.JSON)
)
curves = _of_run(
    "curves",
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
)
logs = _of_run(
    "logs",
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
)
OF_RUN = (measurements, samples, documents, curves, logs)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("worker", sa.Text),
    sa.Column("answer", sa.JSON),
    sa.Column("error", sa.Text),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("finished", sa.Text),
    sa.Column("asked_by", sa.Text),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("heartbeat", sa.Text, nullable=False),
    sa.Column("beats", sa.Integer, nullable=False, default=0),
    sa.Column("doc", sa.JSON, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False, index=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("allowed", sa.Boolean, nullable=False),
)

data_owners = sa.Table(
    "data_owners",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False, default=False),
    sa.Column("created", sa.Text, nullable=False),
)


def earlier(time: str, seconds: float) -> str:
    """Return the time text `seconds` before another one.

    >>> earlier("2026-11-24T10:15:30.250Z", 60)
    '2026-11-24T10:14:30.250Z'
    """
    moment = datetime.fromisoformat(time) - timedelta(seconds=seconds)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
