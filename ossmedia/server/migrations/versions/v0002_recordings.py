"""The index of recordings, when a device was last heard, and who does which errand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables of the index."""
    # OSS lists keys by their bytes; so must the database compare them.
    by_bytes = sa.String(1023).with_variant(sa.String(1023, collation="C"), "postgresql")
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("bucket", sa.String(80), nullable=False),
        sa.Column("key", by_bytes, nullable=False),
        sa.Column("camera", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("etag", sa.String(100), nullable=False),
        sa.Column("crc64", sa.String(20), nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("modified_at", sa.Float, nullable=False),
        sa.Column("start_at", sa.Float, nullable=False),
        sa.Column("duration_s", sa.Float),
        sa.Column("stream", sa.String(1023), nullable=False),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("discontinuity", sa.Boolean, nullable=False),
        sa.Column("title", sa.String(1023)),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("keep", sa.Boolean, nullable=False),
        sa.Column("seen_by", sa.String(10), nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    for name, columns, unique in (
        ("recordings_by_key", ["bucket", "key"], True),
        ("recordings_by_camera", ["camera", "start_at"], False),
        ("recordings_by_stream", ["camera", "stream", "start_at"], False),
        ("recordings_by_start", ["start_at"], False),
        ("recordings_by_state", ["state", "keep", "start_at"], False),
    ):
        op.create_index(name, "recordings", columns, unique=unique)
    partial = (
        ("by_file", ["camera", "start_at", "id"], "kind <> 'segment'", "kind <> 'segment'"),
        ("by_segment", ["camera", "start_at"], "kind = 'segment'", "kind = 'segment'"),
        ("by_break", ["camera", "stream", "start_at"], "discontinuity = 1", "discontinuity"),
    )
    for name, columns, sqlite, postgresql in partial:
        op.create_index(
            f"recordings_{name}",
            "recordings",
            columns,
            sqlite_where=sa.text(sqlite),
            postgresql_where=sa.text(postgresql),
        )
    op.create_table(
        "sightings",
        sa.Column("device_id", sa.String(63), sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_table(
        "errands",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("done_at", sa.Float, nullable=False),
    )
