"""The index of recordings: one row for each object that holds a recording, whoever told of it.

In flows what is known of an object (``Found``: from a HEAD, a listing, or VOD's word), out flow
``Recording`` values. The same news may come any number of times, in any order and from several
processes at once: an older version of an object never replaces a newer one, and an object that is
being deleted does not come back by old news. Nothing here asks OSS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database
from ossmedia.server.schema import recordings

__all__ = [
    "DELETING",
    "FILE",
    "GONE",
    "GROWING",
    "QUIET_S",
    "READY",
    "SEGMENT",
    "VOD",
    "Found",
    "Index",
    "Recording",
    "recording_id",
]

FILE, SEGMENT, VOD = "file", "segment", "vod"
GROWING, READY, DELETING, GONE = "growing", "ready", "deleting", "gone"
QUIET_S = 120.0  # an appended object that did not change for so long is complete
_ONCE_TOLD = ("start_at", "duration_s", "sequence", "crc64", "content_type", "key_uri", "key_iv")
_BATCH = 400  # ids in one statement; SQLite takes 999 parameters in its oldest versions


def recording_id(bucket: str, key: str) -> str:
    """The id of the recording that stands under a key: 24 hex digits, the same in every
    database."""
    return hashlib.sha256(f"{bucket}\0{key}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one object.

    Attributes:
        camera: the device's id, or "".
        kind: "file", "segment" (of HLS) or "vod".
        size: in bytes.
        crc64: decimal, or "".
        modified_at: OSS's Last-Modified, or the time of VOD's event; seconds since 1970, as all.
        position: where the next append goes; None for an object that cannot be appended to.
        start_at: of the first frame; None: not known, then ``modified_at`` stands for it.
        duration_s: None: not known.
        stream: of a segment: the recorder's prefix below the camera's.
        key_uri, key_iv: of an encrypted segment: where players get its key of AES-128, and the
            initialization vector as 32 hex digits; None: it is in the clear.
        state: "growing" or "ready".
        seen_by: who told of it: "callback", "report" or "reconcile".
        seen_at: the server's time before the bucket was asked; None: ``modified_at``.
    """

    bucket: str
    key: str
    camera: str
    kind: str
    size: int
    etag: str
    modified_at: float
    crc64: str = ""
    position: int | None = None
    content_type: str = ""
    start_at: float | None = None
    duration_s: float | None = None
    stream: str = ""
    sequence: int | None = None
    discontinuity: bool = False
    key_uri: str | None = None
    key_iv: str | None = None
    title: str | None = None
    state: str = READY
    seen_by: str = "reconcile"
    seen_at: float | None = None

    @property
    def id(self) -> str:
        """The recording's id."""
        return recording_id(self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class Recording:
    """One row; the fields are those of ``Found`` and of the table."""

    id: str
    bucket: str
    key: str
    camera: str
    kind: str
    size: int
    etag: str
    crc64: str
    position: int | None
    content_type: str
    modified_at: float
    start_at: float
    duration_s: float | None
    stream: str
    sequence: int | None
    discontinuity: bool
    key_uri: str | None
    key_iv: str | None
    title: str | None
    state: str
    keep: bool
    seen_by: str
    seen_at: float
    created_at: float
    changed_at: float

    @classmethod
    def from_row(cls, row: Any) -> Recording:
        """From a row of the table: its columns are the fields, in their order."""
        return cls(*row)

    @property
    def end_at(self) -> float:
        """When it ends; its start, while the duration is not known."""
        return self.start_at + (self.duration_s or 0.0)

    def state_at(self, now: float) -> str:
        """The state, with what grew lately and does no more counted as ready."""
        quiet = self.state == GROWING and self.kind != VOD and now - self.modified_at > QUIET_S
        return READY if quiet else self.state


class Index:
    """The recordings of one database."""

    def __init__(self, database: Database, clock: Clock = SYSTEM) -> None:
        self.database = database
        self.clock = clock
        self._insert = postgresql.insert if database.postgresql else sqlite.insert

    def record(self, found: Found) -> Recording:
        """Notes one object; harmless when repeated.

        Returns:
            The row as it stands now, which an older version of the object does not change.
        """
        return self.record_all([found])[0]

    def record_all(self, objects: Sequence[Found]) -> list[Recording]:
        """Notes several objects in one transaction, each as ``record`` does."""
        with self.database.writing() as connection:
            # In one order, so that two processes never wait for each other's rows.
            for found in sorted(objects, key=lambda found: found.id):
                self._note(connection, found)
            rows = {row.id: row for row in self._rows(connection, {f.id for f in objects})}
        return [rows[found.id] for found in objects]

    def _note(self, connection: Connection, found: Found) -> None:
        now = self.clock.now()
        values = _values(found)
        fresh = {"id": found.id, **values, "keep": False, "created_at": now, "changed_at": now}
        new = self._insert(recordings).values(fresh).on_conflict_do_nothing()
        if connection.execute(new).rowcount == 1:
            return
        row = connection.execute(
            select(recordings).where(recordings.c.id == found.id).with_for_update()
        ).one()
        changed = merged(Recording.from_row(row), found, values)
        if changed:
            self._update(connection, [found.id], {**changed, "changed_at": now})

    @staticmethod
    def _update(connection: Connection, ids: Sequence[str], values: dict[str, Any]) -> int:
        count = 0
        for start in range(0, len(ids), _BATCH):
            some = recordings.c.id.in_(ids[start : start + _BATCH])
            count += connection.execute(update(recordings).where(some).values(values)).rowcount
        return count

    @staticmethod
    def _rows(connection: Connection, ids: Iterable[str]) -> list[Recording]:
        wanted = list(ids)
        rows: list[Any] = []
        for start in range(0, len(wanted), _BATCH):
            some = recordings.c.id.in_(wanted[start : start + _BATCH])
            rows += connection.execute(select(recordings).where(some)).all()
        return [Recording.from_row(row) for row in rows]

    def get(self, recording: str) -> Recording | None:
        """One recording by its id; None for one that is unknown."""
        with self.database.reading() as connection:
            return next(iter(self._rows(connection, [recording])), None)

    def get_all(self, ids: Iterable[str]) -> list[Recording]:
        """Those of the recordings that are known, in no order."""
        with self.database.reading() as connection:
            return self._rows(connection, ids)

    def keep(self, recording: str | Sequence[str], keep: bool) -> bool:
        """Says whether recordings are kept: then neither age nor a person deletes them.

        Returns:
            False, and nothing is changed, where one of them is unknown, gone or being deleted.
        """
        ids = [recording] if isinstance(recording, str) else list(recording)
        with self.database.writing() as connection:
            rows = self._lock(connection, ids)
            if len(rows) != len(set(ids)) or any(row.state in (DELETING, GONE) for row in rows):
                return False
            self._update(connection, ids, {"keep": keep, "changed_at": self.clock.now()})
        return True

    def doom(self, ids: Sequence[str]) -> bool:
        """Marks recordings as being deleted.

        Returns:
            False, and nothing is changed, where one of them is kept.
        """
        with self.database.writing() as connection:
            rows = self._lock(connection, ids)
            if any(row.keep for row in rows):
                return False
            living = [row.id for row in rows if row.state not in (DELETING, GONE)]
            self._update(connection, living, {"state": DELETING, "changed_at": self.clock.now()})
        return True

    def _lock(self, connection: Connection, ids: Sequence[str]) -> list[Recording]:
        """The rows, which nobody else changes before the transaction's end."""
        wanted = sorted(set(ids))
        rows: list[Any] = []
        for start in range(0, len(wanted), _BATCH):
            some = recordings.c.id.in_(wanted[start : start + _BATCH])
            query = select(recordings).where(some).order_by(recordings.c.id).with_for_update()
            rows += connection.execute(query).all()
        return [Recording.from_row(row) for row in rows]

    def postpone(self, ids: Sequence[str]) -> None:
        """Puts marked recordings behind the others that are being deleted."""
        with self.database.writing() as connection:
            self._update(connection, ids, {"changed_at": self.clock.now()})

    def mark(
        self, recording: str | Sequence[str], state: str, *, unchanged_since: float | None = None
    ) -> int:
        """Sets the state of recordings.

        Args:
            unchanged_since: only of those that were not changed after this time, so that news
                which came meanwhile is not undone.

        Returns:
            How many were changed.
        """
        if state not in (GROWING, READY, DELETING, GONE):
            raise ValueError(f"state: must be growing, ready, deleting or gone, not {state!r}")
        ids = [recording] if isinstance(recording, str) else list(recording)
        changed = 0
        with self.database.writing() as connection:
            for start in range(0, len(ids), _BATCH):
                query = update(recordings).where(
                    recordings.c.id.in_(ids[start : start + _BATCH]), recordings.c.state != state
                )
                if unchanged_since is not None:
                    query = query.where(recordings.c.changed_at <= unchanged_since)
                values = {"state": state, "changed_at": self.clock.now()}
                changed += connection.execute(query.values(values)).rowcount
        return changed


def _values(found: Found) -> dict[str, Any]:
    values = asdict(found)
    for name in ("start_at", "seen_at"):
        if values[name] is None:
            values[name] = found.modified_at
    return values


def merged(row: Recording, found: Found, values: dict[str, Any]) -> dict[str, Any]:
    """What a row takes over from news of its object: nothing from an older version; of the same
    version what was not known yet; of a newer one everything.

    Args:
        values: of ``found``, with its start and time of looking filled in.
    """
    looked_at: float = values["seen_at"]
    if (found.modified_at, found.position or 0) < (row.modified_at, row.position or 0):
        return {}
    if row.state == GONE and looked_at <= row.changed_at:
        return {}  # looked before it was found to be gone
    same = (found.etag, found.size) == (row.etag, row.size)
    same = same and found.modified_at == row.modified_at
    taken = dict(values)
    grown = found.position is not None and row.position is not None
    if grown and not same:
        taken["start_at"] = min(row.start_at, values["start_at"])
    if same:
        if row.state == DELETING or (row.state == READY and found.state == GROWING):
            taken["state"] = row.state
        for name in _ONCE_TOLD:
            if getattr(found, name) in (None, ""):
                taken[name] = getattr(row, name)
        taken["discontinuity"] = found.discontinuity or row.discontinuity
        taken["seen_by"] = row.seen_by
    if found.title is None:
        taken["title"] = row.title
    changed = {name: value for name, value in taken.items() if value != getattr(row, name)}
    # A look that found nothing new is not worth a write: a reconcile looks at every object.
    return changed if changed.keys() - {"seen_at"} else {}
