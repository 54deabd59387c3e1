"""The tables: devices, their keys, enrolment codes, nonces that were used.

What flows in and out is SQL; the newest migration and this file say the same. No column holds a
secret in clear: keys are sealed under the server's key, codes are hashed.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

__all__ = ["device_keys", "devices", "enrolments", "metadata", "nonces"]

metadata = MetaData()

devices = Table(
    "devices",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("prefix", String(1000), nullable=False, unique=True),
    Column("modes", String(100), nullable=False),
    Column("ttl_s", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)

device_keys = Table(
    "device_keys",
    metadata,
    Column("device_id", String(63), ForeignKey("devices.id"), primary_key=True),
    Column("key_id", String(8), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("device_id", String(63), ForeignKey("devices.id"), primary_key=True),
    Column("code_hash", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
)

nonces = Table(
    "nonces",
    metadata,
    Column("device_id", String(63), primary_key=True),
    Column("nonce", String(32), primary_key=True),
    Column("expires_at", Float, nullable=False),
    Index("nonces_by_end", "expires_at"),
    sqlite_with_rowid=False,
)
