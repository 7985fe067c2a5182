"""Run by alembic with the connection that `migration.py` hands over."""

from alembic import context

from llmrec_core.ledger import schema

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    version_table=schema.VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
context.run_migrations()
