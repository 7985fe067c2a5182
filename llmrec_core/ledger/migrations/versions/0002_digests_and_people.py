"""Digests of records, halved batches, who asked for what, and whose a data set is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what version 0.2 records."""
    op.add_column("runs", sa.Column("halvings", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("digest", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("asked_by", sa.Text(), nullable=True))
    op.add_column("requests", sa.Column("asked_by", sa.Text(), nullable=True))
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("time", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_audit_person"), "audit", ["person"], unique=False)
    op.create_table(
        "data_owners",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    """Remove it again; runs and their records stay."""
    op.drop_table("data_owners")
    op.drop_index(op.f("ix_audit_person"), table_name="audit")
    op.drop_table("audit")
    op.drop_column("requests", "asked_by")
    op.drop_column("runs", "asked_by")
    op.drop_column("runs", "digest")
    op.drop_column("runs", "halvings")
