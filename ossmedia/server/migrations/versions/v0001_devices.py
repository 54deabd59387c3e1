"""Devices, their keys, enrolment codes and used nonces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the first tables."""
    op.create_table(
        "devices",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("prefix", sa.String(1000), nullable=False, unique=True),
        sa.Column("modes", sa.String(100), nullable=False),
        sa.Column("ttl_s", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    op.create_table(
        "device_keys",
        sa.Column("device_id", sa.String(63), sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("key_id", sa.String(8), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "enrolments",
        sa.Column("device_id", sa.String(63), sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_table(
        "nonces",
        sa.Column("device_id", sa.String(63), primary_key=True),
        sa.Column("nonce", sa.String(32), primary_key=True),
        sa.Column("expires_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("nonces_by_end", "nonces", ["expires_at"])
