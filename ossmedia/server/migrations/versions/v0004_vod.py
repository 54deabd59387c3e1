"""Media of VOD that devices were given uploads for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "vod_uploads",
        sa.Column("reference", sa.String(64), primary_key=True),
        sa.Column("device_id", sa.String(63), sa.ForeignKey("devices.id"), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("media_id", sa.String(128), unique=True),
        sa.Column("title", sa.String(128), nullable=False),
        sa.Column("file_name", sa.String(1024), nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("start_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
