"""People, the cameras they may see, their sessions, and sign-ins that were tried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the tables of people."""
    op.create_table(
        "people",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("password", sa.String(300), nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    op.create_table(
        "people_cameras",
        sa.Column("name", sa.String(64), sa.ForeignKey("people.name"), primary_key=True),
        sa.Column("camera", sa.String(63), sa.ForeignKey("devices.id"), primary_key=True),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), sa.ForeignKey("people.name"), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_table(
        "sign_ins",
        sa.Column("who", sa.String(64), primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    for table, column in (
        ("sessions", "name"),
        ("sessions", "expires_at"),
        ("sign_ins", "expires_at"),
    ):
        name = f"{table}_by_{'end' if column == 'expires_at' else column}"
        op.create_index(name, table, [column])
