"""Where players get the key of an encrypted segment, and its initialization vector."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the columns; segments that were noted before are taken for clear ones."""
    op.add_column("recordings", sa.Column("key_uri", sa.String(2000)))
    op.add_column("recordings", sa.Column("key_iv", sa.String(32)))
