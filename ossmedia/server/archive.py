"""The recordings and the bucket they lie in, together: what is told is looked at, what is marked is
deleted.

In flow keys that somebody named and recordings that are to go, out flow rows of the index. Nobody's
word is taken for what an object is: each is looked at with the server's own access before it is
noted, and is gone only when OSS says so. A deletion is marked first, then done, then confirmed, and
repeated until it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.catalogue import Catalogue
from ossmedia.server.database import Database
from ossmedia.server.oss_access import OssAccess
from ossmedia.server.recording_facts import ObjectFacts, found_of
from ossmedia.server.recordings import DELETING, GONE, Index, Recording, recording_id
from ossmedia.server.schema import devices, recordings
from ossmedia.server.segments import Segments
from ossmedia.server.settings import Settings

__all__ = ["KEPT", "Archive", "MediaHost", "Owner"]

_log = logging.getLogger("ossmedia.server")
KEPT = {"ossmedia-keep": "1"}  # the tag that a lifecycle rule passes by
_FEW = 3  # keys in one folder; more are confirmed by a listing
_AT_ONCE = 1000
_THREADS, _CALLS = 2, 4


class MediaHost(Protocol):
    """Where recordings that do not lie in the bucket are played and deleted: VOD."""

    def play_url(self, media_id: str, life_s: int) -> str:
        """A URL that plays a medium for so many seconds."""

    def delete(self, media_id: str) -> None:
        """Deletes a medium; that it is not there is no error."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an object is: the device's id and the prefix of its keys."""

    camera: str
    prefix: str


class Archive:
    """The recordings of one application; its calls may wait for OSS, and may come from any thread.

    Args:
        database: with the index.
        oss: the server's access to the bucket.

    Attributes:
        threads: where an event loop runs what waits for the database only.
        calls: where it runs what waits for OSS, too.
        vod: plays and deletes VOD's media, once somebody who can is set here.
    """

    def __init__(
        self, database: Database, oss: OssAccess, settings: Settings, clock: Clock = SYSTEM
    ) -> None:
        self.database, self.oss, self.clock = database, oss, clock
        self.settings = settings.recordings
        self.index = Index(database, clock)
        self.catalogue = Catalogue(database, clock)
        self.segments = Segments(database)
        self.threads = ThreadPoolExecutor(_THREADS, "ossmedia-index")
        self.calls = ThreadPoolExecutor(_CALLS, "ossmedia-oss")
        self.vod: MediaHost | None = None

    def owner(self, key: str) -> Owner | None:
        """The device below whose prefix a key lies."""
        parts = key.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        query = select(devices.c.id, devices.c.prefix).where(devices.c.prefix.in_(above[:100]))
        with self.database.reading() as connection:
            row = connection.execute(query).first()  # prefixes do not overlap
        return None if row is None else Owner(row.id, row.prefix)

    def prefix(self, camera: str) -> str | None:
        """The prefix of a device's keys; None: there is no such device."""
        query = select(devices.c.prefix).where(devices.c.id == camera)
        with self.database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def look(
        self,
        key: str,
        owner: Owner,
        seen_by: str,
        said: tuple[float | None, float | None] = (None, None),
    ) -> Recording | None:
        """Asks OSS for one object and notes what it says.

        Args:
            said: start and duration as the camera tells them; see ``found_of``.

        Returns:
            The row; None: there is no such object, or it is no recording.

        Raises:
            OssUnavailable, CredentialsError: nothing is known; nothing was noted.
            StoreUnavailable: the database does not answer.
        """
        asked_at = self.clock.now()
        facts = self.oss.head(key)
        if facts is None:
            self.index.mark(recording_id(self.oss.name, key), GONE, unchanged_since=asked_at)
            return None
        return self.note(facts, owner, seen_by, said)

    def note(
        self,
        facts: ObjectFacts,
        owner: Owner,
        seen_by: str,
        said: tuple[float | None, float | None] = (None, None),
    ) -> Recording | None:
        """Notes what OSS said of one object; None: it is no recording."""
        found = found_of(
            facts, self.oss.name, owner.camera, owner.prefix, seen_by=seen_by, said=said
        )
        if found is not None:
            return self.index.record(found)
        # What was a recording and is replaced by, say, a symbolic link, is none any more.
        known = recording_id(self.oss.name, facts.key)
        self.index.mark(known, GONE, unchanged_since=facts.asked_at)
        return None

    def keep(self, ids: Sequence[str], keep: bool) -> bool:
        """Says whether recordings are kept, to the bucket's lifecycle rule, too, if there is one.

        Returns:
            False: one of them is being deleted, or gone.

        Raises:
            OssUnavailable, CredentialsError: the bucket could not be told.
        """
        tagged = [row.key for row in self.index.get_all(ids) if row.bucket == self.oss.name]
        if not self.settings.lifecycle_days:
            tagged = []
        if keep:  # in this order a rule never passes what is not tagged yet
            for key in tagged:
                self.oss.tag(key, KEPT)
        changed = self.index.keep(ids, keep)
        if changed and not keep:
            for key in tagged:
                self.oss.tag(key, {})
        return changed

    def delete(self, ids: Sequence[str]) -> bool | None:
        """Deletes recordings: marks them, deletes their objects, and looks whether they are gone.

        Returns:
            True: all are gone. None: they are marked and will be, OSS did not answer or did not do
            it yet. False: one of them is kept; nothing was changed.
        """
        if not self.index.doom(ids):
            return False
        rows = [row for row in self.index.get_all(ids) if row.state == DELETING]
        try:
            return True if self.carry_out(rows) == len(rows) else None
        except Exception as error:
            _log.warning("a deletion waits: %s", type(error).__name__)
            return None

    def carry_out(self, rows: Sequence[Recording]) -> int:
        """Deletes the objects of marked rows. Returns how many are confirmed to be gone.

        Raises:
            OssUnavailable, CredentialsError: some may be deleted; all stay marked.
        """
        gone = self._delete_media([row for row in rows if row.bucket != self.oss.name])
        mine = {row.key: row.id for row in rows if row.bucket == self.oss.name}
        keys = sorted(mine)
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            self.oss.delete(some)
            left = self._still_there(some)
            done = [mine[key] for key in some if key not in left]
            self.index.mark(done, GONE)
            self.index.postpone([mine[key] for key in some if key in left])
            gone += len(done)
        return gone

    def _delete_media(self, rows: Sequence[Recording]) -> int:
        done = []
        for row in rows:
            if self.vod is not None:
                self.vod.delete(row.key)
                done.append(row.id)
        self.index.mark(done, GONE)
        return len(done)

    def _still_there(self, keys: Sequence[str]) -> set[str]:
        """Those of some keys that OSS still has."""
        folders: dict[str, list[str]] = {}
        for key in keys:
            folders.setdefault(key.rpartition("/")[0] + "/", []).append(key)
        left: set[str] = set()
        for folder, inside in folders.items():
            if len(inside) <= _FEW:
                left.update(key for key in inside if self.oss.head(key) is not None)
                continue
            wanted, last = set(inside), max(key.encode() for key in inside)
            before = min(inside, key=str.encode)[:-1]  # sorts before it
            for page in self.oss.pages(folder, after=before if before.startswith(folder) else ""):
                left.update(facts.key for facts in page if facts.key in wanted)
                if page and page[-1].key.encode() >= last:
                    break
        return left

    def doomed(self, limit: int) -> list[Recording]:
        """Rows that are marked and not yet gone, oldest mark first."""
        query = select(recordings).where(recordings.c.state == DELETING)
        query = query.order_by(recordings.c.changed_at, recordings.c.id).limit(limit)
        with self.database.reading() as connection:
            return [Recording.from_row(row) for row in connection.execute(query)]

    def close(self) -> None:
        """Ends the threads; calls in flight end first."""
        self.threads.shutdown()
        self.calls.shutdown()
        self.oss.close()
