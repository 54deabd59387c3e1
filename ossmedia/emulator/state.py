"""The memory of the local cloud: rows in SQLite, content in files beside it.

What flows in: records of buckets, objects, uploads and parts, inside a transaction. What flows out:
the same records, also after the process was killed at any instant: a committed row stays, and
content without a committed row is gone after the next start. It decides nothing about permissions
or HTTP. One thread, the event loop's, calls it; between two awaits every change is atomic.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .blobs import Blobs, Segment
from .records import (
    Attributes,
    Bucket,
    Listed,
    Part,
    StoredObject,
    Upload,
    segments_from_json,
    segments_to_json,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (
  name TEXT PRIMARY KEY, created REAL NOT NULL, acl TEXT NOT NULL, storage_class TEXT NOT NULL,
  redundancy TEXT NOT NULL, lifecycle BLOB, cors BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
  id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, kind TEXT NOT NULL,
  size INTEGER NOT NULL, crc TEXT NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
  storage_class TEXT NOT NULL, attributes TEXT NOT NULL, segments TEXT NOT NULL,
  md5 TEXT NOT NULL, symlink TEXT NOT NULL, sealed REAL NOT NULL, UNIQUE (bucket, key));
CREATE TABLE IF NOT EXISTS uploads (
  id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, initiated REAL NOT NULL,
  attributes TEXT NOT NULL, sequential INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id);
CREATE TABLE IF NOT EXISTS parts (
  upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, crc TEXT NOT NULL,
  etag TEXT NOT NULL, modified REAL NOT NULL, segments TEXT NOT NULL,
  PRIMARY KEY (upload, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (name TEXT PRIMARY KEY, uses INTEGER NOT NULL) WITHOUT ROWID;
"""
_SELECT_OBJECT = (
    "SELECT bucket, key, kind, size, crc, etag, modified, attributes, segments, md5, symlink, "
    "sealed, id FROM objects WHERE bucket = ? AND key = ?"
)
_INSERT_OBJECT = (
    "INSERT INTO objects (bucket, key, kind, size, crc, etag, modified, storage_class, attributes, "
    "segments, md5, symlink, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SELECT_UPLOAD = "SELECT id, bucket, key, initiated, attributes, sequential FROM uploads "
_SEGMENTS = "SELECT segments FROM objects UNION ALL SELECT segments FROM parts"
_END = b"\xff"
"""Above every key: UTF-8 holds no such byte."""
_EMPTY = "DELETE FROM objects; DELETE FROM parts; DELETE FROM uploads; DELETE FROM buckets"


class DirectoryInUse(Exception):
    """Another local cloud has this data directory open."""


class Store:
    """Buckets, objects and uploads of one data directory.

    Args:
        directory: made if missing; one process at a time.
        discard: keep no content bytes (ledger mode).

    Raises:
        DirectoryInUse: another process holds the directory.
    """

    def __init__(self, directory: Path, *, discard: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DirectoryInUse(
                f"data directory {directory} is in use by another process"
            ) from None
        os.close(os.open(directory / "cloud.db", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._db = sqlite3.connect(
            directory / "cloud.db", isolation_level=None, check_same_thread=False
        )
        # A killed process loses nothing without fsync: the pages are in the kernel.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)
        self.blobs = Blobs(directory / "content", discard=discard)
        self._released: Counter[str] = Counter()
        self.hidden_bucket = ""  # a service's own: no list shows it, no limit counts it
        self.on_put: Callable[[StoredObject], None] | None = None  # inside the transaction
        self._remove_strays()

    @property
    def database(self) -> sqlite3.Connection:
        """For the tables of a service beside OSS, which take part in :meth:`transaction`."""
        return self._db

    def close(self) -> None:
        """Give the directory free. Harmless when repeated."""
        if self._lock >= 0:
            self._db.close()
            os.close(self._lock)
            self._lock = -1

    def _remove_strays(self) -> None:
        known = {name for (name,) in self._db.execute("SELECT name FROM blobs")}
        for name in list(self.blobs.names()):
            if name not in known:
                self.blobs.remove(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes visible and durable together, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            dead = self._settle_released()
            self._db.execute("COMMIT")
        except BaseException:
            self._released.clear()
            self._db.execute("ROLLBACK")
            raise
        for blob in dead:
            self.blobs.remove(blob)

    # -- content files -----------------------------------------------------------------------------

    def use(self, segments: Iterable[Segment]) -> None:
        """Count one more user of the files of *segments*."""
        names = [(segment.blob,) for segment in segments if segment.blob]
        if not names:
            return
        self._db.executemany(
            "INSERT INTO blobs VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET uses = uses + 1",
            names,
        )

    def release(self, segments: Iterable[Segment]) -> None:
        """Count one user less; the last one takes the file along when the transaction commits."""
        self._released.update(segment.blob for segment in segments if segment.blob)

    def _settle_released(self) -> list[str]:
        dead = []
        for name, count in self._released.items():
            row = self._db.execute(
                "UPDATE blobs SET uses = uses - ? WHERE name = ? RETURNING uses", (count, name)
            )
            if row.fetchone()[0] <= 0:
                self._db.execute("DELETE FROM blobs WHERE name = ?", (name,))
                dead.append(name)
        self._released.clear()
        return dead

    # -- facts -------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """A single remembered text."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_fact(self, name: str, value: str) -> None:
        """Remember a single text."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # -- buckets -----------------------------------------------------------------------------------

    def bucket(self, name: str) -> Bucket | None:
        """The bucket *name*, or None."""
        row = self._db.execute("SELECT * FROM buckets WHERE name = ?", (name,)).fetchone()
        return None if row is None else Bucket(*row)

    def buckets(self, prefix: str, marker: str, limit: int) -> list[Bucket]:
        """Buckets after *marker* that begin with *prefix*, by name, at most *limit*, without the
        hidden one."""
        rows = self._db.execute(
            "SELECT * FROM buckets WHERE name > ? AND substr(name, 1, ?) = ? AND name != ? "
            "ORDER BY name LIMIT ?",
            (marker, len(prefix), prefix, self.hidden_bucket, limit),
        )
        return [Bucket(*row) for row in rows]

    def put_bucket(self, bucket: Bucket) -> None:
        """Insert or replace a bucket."""
        row = (
            bucket.name,
            bucket.created_s,
            bucket.acl,
            bucket.storage_class,
            bucket.redundancy,
            bucket.lifecycle,
            bucket.cors,
        )
        self._db.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def delete_bucket(self, name: str) -> None:
        """Remove an empty bucket."""
        self._db.execute("DELETE FROM buckets WHERE name = ?", (name,))

    def bucket_sums(self, name: str) -> tuple[int, int, int]:
        """Number of objects, their bytes, and number of uploads under way."""
        count, size = self._db.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE bucket = ?", (name,)
        ).fetchone()
        (uploads,) = self._db.execute(
            "SELECT count(*) FROM uploads WHERE bucket = ?", (name,)
        ).fetchone()
        return count, size, uploads

    def clear(self) -> None:
        """Remove every object, upload and bucket."""
        for (text,) in self._db.execute(_SEGMENTS).fetchall():
            self.release(segments_from_json(text))
        for statement in _EMPTY.split(";"):
            self._db.execute(statement)

    # -- objects -----------------------------------------------------------------------------------

    def object(self, bucket: str, key: str) -> StoredObject | None:
        """The object under *key*, or None."""
        row = self._db.execute(_SELECT_OBJECT, (bucket, key.encode())).fetchone()
        return None if row is None else _object(row)

    def put_object(
        self, new: StoredObject, old: StoredObject | None, *, keep_content: bool = False
    ) -> None:
        """Insert *new*, replacing *old*.

        Args:
            keep_content: only attributes changed; the content files of *old* stay with *new*.
        """
        if old is not None:
            if not keep_content:
                self.release(old.segments)
            self._db.execute("DELETE FROM objects WHERE id = ?", (old.row,))
        if not keep_content:
            self.use(new.segments)
        values = (
            *(
                new.bucket,
                new.key.encode(),
                new.kind,
                new.size,
                str(new.crc),
                new.etag,
                new.modified_s,
            ),
            *(
                new.attributes.storage_class,
                new.attributes.to_json(),
                segments_to_json(new.segments),
            ),
            *(new.md5, new.symlink_target, new.sealed_s),
        )
        self._db.execute(_INSERT_OBJECT, values)
        if self.on_put is not None and not keep_content:
            self.on_put(new)

    def grow_object(self, grown: StoredObject) -> None:
        """Store the new length, sums and segments of an appended object; its attributes stay."""
        self._db.execute(
            "UPDATE objects SET size = ?, crc = ?, etag = ?, modified = ?, segments = ?, "
            "sealed = ? WHERE id = ?",
            (
                *(grown.size, str(grown.crc), grown.etag, grown.modified_s),
                *(segments_to_json(grown.segments), grown.sealed_s, grown.row),
            ),
        )

    def delete_object(self, old: StoredObject) -> None:
        """Remove an object and, with its last user, its content."""
        self.release(old.segments)
        self._db.execute("DELETE FROM objects WHERE id = ?", (old.row,))

    def objects_from(
        self, bucket: str, first: bytes, end: bytes | None, limit: int
    ) -> list[Listed]:
        """Objects with *first* <= key < *end* in byte order, at most *limit*; None for no end."""
        rows = self._db.execute(
            "SELECT key, kind, size, etag, modified, storage_class FROM objects "
            "WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
            (bucket, first, end or _END, limit),
        )
        return [Listed(row[0].decode(), *row[1:]) for row in rows]

    # -- multipart ---------------------------------------------------------------------------------

    def upload(self, upload_id: str) -> Upload | None:
        """The upload under way with this id, or None."""
        row = self._db.execute(_SELECT_UPLOAD + "WHERE id = ?", (upload_id,)).fetchone()
        return None if row is None else _upload(row)

    def put_upload(self, upload: Upload) -> None:
        """Begin an upload."""
        values = (
            upload.id,
            upload.bucket,
            upload.key.encode(),
            upload.initiated_s,
            upload.attributes.to_json(),
        )
        self._db.execute(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)", (*values, int(upload.sequential))
        )

    def delete_upload(self, upload_id: str) -> None:
        """Forget an upload with its parts; content that nobody else uses goes along."""
        for part in self.parts(upload_id):
            self.release(part.segments)
        self._db.execute("DELETE FROM parts WHERE upload = ?", (upload_id,))
        self._db.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))

    def uploads_from(
        self, bucket: str, first: bytes, after_id: str, end: bytes | None, limit: int
    ) -> list[Upload]:
        """Uploads behind (*first*, *after_id*) by key and id, at most *limit*."""
        rows = self._db.execute(
            _SELECT_UPLOAD + "WHERE bucket = ? AND (key, id) > (?, ?) AND key < ? "
            "ORDER BY key, id LIMIT ?",
            (bucket, first, after_id, end or _END, limit),
        )
        return [_upload(row) for row in rows]

    def put_part(self, part: Part) -> None:
        """Store a part, replacing the one with its number."""
        old = self._db.execute(
            "SELECT segments FROM parts WHERE upload = ? AND number = ?", (part.upload, part.number)
        ).fetchone()
        if old is not None:
            self.release(segments_from_json(old[0]))
        self.use(part.segments)
        values = (part.upload, part.number, part.size, str(part.crc), part.etag, part.modified_s)
        self._db.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*values, segments_to_json(part.segments)),
        )

    def parts(self, upload_id: str, after: int = 0, limit: int = -1) -> list[Part]:
        """Parts of an upload with a number above *after*, ascending."""
        rows = self._db.execute(
            "SELECT * FROM parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
            (upload_id, after, limit),
        )
        return [
            Part(upload, number, size, int(crc), etag, modified, segments_from_json(segments))
            for upload, number, size, crc, etag, modified, segments in rows
        ]


def _object(row: Any) -> StoredObject:
    bucket, key, kind, size, crc, etag, modified, attributes, segments = row[:9]
    md5, symlink, sealed, number = row[9:]
    return StoredObject(
        bucket,
        key.decode(),
        kind,
        size,
        int(crc),
        etag,
        modified,
        Attributes.from_json(attributes),
        segments_from_json(segments),
        md5,
        symlink,
        sealed,
        number,
    )


def _upload(row: Any) -> Upload:
    upload_id, bucket, key, initiated, attributes, sequential = row
    return Upload(
        upload_id,
        bucket,
        key.decode(),
        initiated,
        Attributes.from_json(attributes),
        bool(sequential),
    )
