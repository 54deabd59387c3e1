"""The tables: devices, their keys, enrolment codes, nonces that were used, recordings, errands,
people and their sessions, uploads into VOD.

What flows in and out is SQL; the newest migration and this file say the same. No column holds a
secret in clear: keys are sealed under the server's key; codes, passwords and the tokens of sessions
are hashed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

__all__ = [
    "device_keys",
    "devices",
    "enrolments",
    "errands",
    "metadata",
    "nonces",
    "people",
    "people_cameras",
    "recordings",
    "sessions",
    "sightings",
    "sign_ins",
    "vod_uploads",
]

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

# OSS lists keys by their bytes; so must the database compare them.
_BY_BYTES = String(1023).with_variant(String(1023, collation="C"), "postgresql")

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("bucket", String(80), nullable=False),
    Column("key", _BY_BYTES, nullable=False),
    Column("camera", String(63), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(100), nullable=False),
    Column("crc64", String(20), nullable=False),
    Column("position", BigInteger),
    Column("content_type", String(255), nullable=False),
    Column("modified_at", Float, nullable=False),
    Column("start_at", Float, nullable=False),
    Column("duration_s", Float),
    Column("stream", String(1023), nullable=False),
    Column("sequence", BigInteger),
    Column("discontinuity", Boolean, nullable=False),
    Column("key_uri", String(2000)),
    Column("key_iv", String(32)),
    Column("title", String(1023)),
    Column("state", String(10), nullable=False),
    Column("keep", Boolean, nullable=False),
    Column("seen_by", String(10), nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("recordings_by_key", "bucket", "key", unique=True),
    Index("recordings_by_camera", "camera", "start_at"),
    Index("recordings_by_stream", "camera", "stream", "start_at"),
    Index("recordings_by_start", "start_at"),
    Index("recordings_by_state", "state", "keep", "start_at"),
    # Lists ask for files and for segments apart, and either may be few among many of the other.
    Index(
        "recordings_by_file",
        *("camera", "start_at", "id"),
        sqlite_where=text("kind <> 'segment'"),
        postgresql_where=text("kind <> 'segment'"),
    ),
    Index(
        "recordings_by_segment",
        *("camera", "start_at"),
        sqlite_where=text("kind = 'segment'"),
        postgresql_where=text("kind = 'segment'"),
    ),
    # Few rows are breaks, and a live playlist counts those before it.
    Index(
        "recordings_by_break",
        *("camera", "stream", "start_at"),
        sqlite_where=text("discontinuity = 1"),
        postgresql_where=text("discontinuity"),
    ),
)

sightings = Table(
    "sightings",
    metadata,
    Column("device_id", String(63), ForeignKey("devices.id"), primary_key=True),
    Column("seen_at", Float, nullable=False),
)

errands = Table(
    "errands",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until", Float, nullable=False),
    Column("done_at", Float, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password", String(300), nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)

people_cameras = Table(
    "people_cameras",
    metadata,
    Column("name", String(64), ForeignKey("people.name"), primary_key=True),
    Column("camera", String(63), ForeignKey("devices.id"), primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("name", String(64), ForeignKey("people.name"), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("sessions_by_name", "name"),
    Index("sessions_by_end", "expires_at"),
)

# Sign-ins that were tried, counted by the hash of who tried what.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("who", String(64), primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("sign_ins_by_end", "expires_at"),
)

vod_uploads = Table(
    "vod_uploads",
    metadata,
    Column("reference", String(64), primary_key=True),
    Column("device_id", String(63), ForeignKey("devices.id"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("media_id", String(128), unique=True),
    Column("title", String(128), nullable=False),
    Column("file_name", String(1024), nullable=False),
    Column("size", BigInteger),
    Column("status", String(40), nullable=False),
    Column("start_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
)
