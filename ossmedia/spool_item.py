"""One object in the spool: what was written, where it stands on the disk, how far it has got.

In flow bytes from its writer and news from its delivery, out flow the numbers of the conservation
law. It never talks to OSS and never touches the state database.
"""

from __future__ import annotations

import json
import os
from _thread import allocate_lock

from ossmedia.spool_blocks import LARGEST_BLOCK
from ossmedia.spool_files import UNFINISHED, Extent, Tail, file_name
from ossmedia.spool_reading import Cursor, Damaged, Sheet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ossmedia.model import Receipt

__all__ = ["Item"]


class Item:
    """One object on its way through the spool. ``lock`` guards every number.

    Fields: ``id``: rises with every object of a spool; ``mode``: "wb", "xb" or "ab"; ``headers`` of
    the object; ``options``: what its delivery must remember; ``end``: bytes written, dropped ones
    included; ``position``: everything before this byte was confirmed or dropped; ``acked``,
    ``dropped``: how many were which; ``durable``: bytes before this one are on stable storage;
    ``busy_to``: bytes before this one may be on their way; ``progress``: what its delivery has to
    know after a restart; ``ended``: nothing more will be written; ``gone``: it is no longer in the
    spool.
    """

    def __init__(
        self,
        id: int,
        bucket: str,
        key: str,
        mode: str,
        headers: str = "",
        options: dict[str, Any] | None = None,
    ) -> None:
        self.id = id
        self.bucket = bucket
        self.key = key
        self.mode = mode
        self.headers = headers
        self.options = options or {}
        self.lock = allocate_lock()
        self.extents: list[Extent] = []
        self.tail: Tail | None = None
        self.rolled: list[Tail] = []  # full ones that are not durable yet
        self.end = self.position = self.acked = self.dropped = self.durable = self.busy_to = 0
        self.next_file = self.grown = self.served = 0
        self.progress: dict[str, Any] = {}
        self.ended = self.recorded = self.gone = self.dirty = False
        self._ending = ""  # of the names of new files
        self.waiting_since: float | None = None  # the first byte that was not looked at
        self.error = ""
        self.not_before = 0.0
        self.refused_since: float | None = None  # OSS answers, and refuses this very object
        self.probes = 0
        self.final = False  # no use in trying again
        self.lost: tuple[()] | tuple[int, int] = ()  # dropped, and not yet written down
        self.receipt: Receipt | None = None
        self.report: Callable[[int, int | None], object] | None = None

    @property
    def whole(self) -> bool:
        """Sent as one: OSS holds all of it or nothing."""
        return self.mode != "ab"

    # -- writing; the lock is held

    def append(self, data: memoryview, folder: str, file_size: int) -> None:
        """Takes bytes until all are the kernel's or the disk refuses; ``grown`` counts by how much
        the files grow.

        Raises:
            OSError: ``end`` tells how many were taken.
        """
        done = 0
        while done < len(data):
            if self.tail is None or self.tail.extent.size >= file_size or self.gap():
                self.roll(folder)
            tail = self.tail
            assert tail is not None
            piece = data[done : done + LARGEST_BLOCK]
            before = tail.extent.size
            tail.append(piece)
            self.grown += tail.extent.size - before
            done += len(piece)
            self.end += len(piece)

    def gap(self) -> bool:
        """Bytes were dropped since the last ones that were kept: these begin a file of their own,
        so that a file never has a gap."""
        return self.tail is not None and self.tail.extent.end != self.end

    def roll(self, folder: str) -> None:
        """Begins the next file. Raises OSError."""
        words = {"bucket": self.bucket, "key": self.key, "mode": self.mode}
        number = self.next_file
        tail = Tail(
            os.path.join(folder, file_name(self.id, number)) + self._ending,
            self.id,
            number,
            self.end,
            self.durable,
            json.dumps(words).encode(),
        )
        self.next_file += 1
        if self.tail is not None:
            self.rolled.append(self.tail)
        self.tail = tail
        self.extents.append(tail.extent)
        self.grown += tail.extent.size

    # -- becoming durable

    def unsynced(self) -> tuple[list[Tail], int, int]:
        """The files that hold bytes which are not durable, the end of the stream that will be once
        they are synced, and by how much this made the files grow. What is written meanwhile begins
        on a new page."""
        with self.lock:
            files, grown = list(self.rolled), 0
            if self.tail is not None and self.tail.extent.end > self.durable:
                files.append(self.tail)
                before = self.tail.extent.size
                self.tail.freeze(page=not self.ended)
                grown = self.tail.extent.size - before
            self.dirty = False
            return files, self.end, grown

    def synced(self, files: list[Tail], end: int) -> list[Extent]:
        """These files are durable up to there; returns the extents that are complete and durable,
        and not sealed yet."""
        with self.lock:
            self.durable = max(self.durable, end)
            if self.tail is not None:
                self.tail.synced = self.durable
            done = [file for file in files if file in self.rolled]
            self.rolled = [file for file in self.rolled if file not in done]
            if self.ended and self.tail is not None and self.durable == self.end:
                done.append(self.tail)
                self.tail = None
            growing = [file.extent for file in self._unsealed()]
            complete = [e for e in self.extents if not e.sealed and e not in growing]
        for file in done:
            file.close()
        return complete

    def rescue(self, folder: str, report: Callable[[list[Damaged]], object]) -> int:
        """Writes what is not durable into a new file, from what the kernel still holds of the old
        ones, which could not be synced: those pages must not be believed any more. Returns by how
        much the files have grown.

        Args:
            report: writes down what is lost already, before the old files go.

        Raises:
            OSError: nothing has changed.
        """
        with self.lock:
            if self.gone:
                return 0
            before_bytes = self.disk_bytes()
            if self.tail is not None:
                self.tail.freeze()
            files = self._unsealed()
            kept = [extent for extent in self.extents if extent.start < self.durable]
            self._rewrite(kept, folder, report)
            for extent in kept:
                extent.end = min(extent.end, self.durable)
            grown = self.disk_bytes() - before_bytes
        for file in files:
            if file.extent in kept:
                file.close()
            else:
                file.remove()
        return grown

    def _unsealed(self) -> list[Tail]:
        return [*self.rolled, *([self.tail] if self.tail else [])]

    def _rewrite(
        self, kept: list[Extent], folder: str, report: Callable[[list[Damaged]], object]
    ) -> None:
        """The extents that are kept, and new ones. Raises OSError: nothing has changed."""
        before = (self.tail, self.rolled, self.extents, self.end)
        self.tail, self.rolled, self.extents = None, [], list(kept)
        self.end = self.durable
        try:
            # Killed in the middle of it, the old files must count.
            self._ending = UNFINISHED
            lost = self._copy(before[2], before[3], folder)
            for file in self._unsealed():
                file.rename()
            if lost:
                report(lost)
        except BaseException:
            made = self._unsealed()
            self.tail, self.rolled, self.extents, self.end = before
            for file in made:
                file.remove()
            raise
        finally:
            self._ending = ""

    def _copy(self, old: list[Extent], end: int, folder: str) -> list[Damaged]:
        lost: list[Damaged] = []
        room = memoryview(bytearray(LARGEST_BLOCK))
        source = Cursor(lambda at: next((e for e in old if e.end > at), None), self.end)
        try:
            while self.end < end:
                try:
                    start, count = source.read(room, end)
                except Damaged as damage:
                    lost.append(damage)
                    self.end = damage.last
                    source.seek(damage.last)
                    continue
                self.end = start if count else end
                self.append(room[:count], folder, 1 << 62)
        finally:
            source.close()
        return lost

    # -- being delivered

    def readable(self, most: int) -> int:
        """How far a delivery may read now: the end of what was written, but no further than
        ``most`` bytes behind the next byte to send. Those count as on their way."""
        with self.lock:
            if self.tail is not None:
                self.tail.freeze()
            if self.gone:
                return self.position
            extent = self._extent_at(self.position)
            begin = max(self.position, extent.start) if extent else self.end
            self.busy_to = min(begin + most, self.end)
            if self.busy_to == self.end:
                self.waiting_since = None
            return self.busy_to

    def cursor(self, sheet: Sheet | None = None) -> Cursor:
        return Cursor(self.extent_at, self.position, sheet)

    def content(self) -> bytes:
        """All of an object that has ended.

        Raises:
            Damaged.
        """
        source, found = Cursor(self.extent_at), bytearray(self.end)
        room, done = memoryview(found), 0
        try:
            while done < self.end:
                start, count = source.read(room[done:], self.end)
                if start != done or not count:
                    raise Damaged(done, max(start, done + 1), "missing", "")
                done += count
        finally:
            source.close()
        return bytes(found)

    def extent_at(self, position: int) -> Extent | None:
        with self.lock:
            return self._extent_at(position)

    def _extent_at(self, position: int) -> Extent | None:
        return next((extent for extent in self.extents if extent.end > position), None)

    def held(self) -> int:
        """Bytes on the disk that were neither confirmed nor dropped. The lock is held."""
        return sum(max(e.end - max(e.start, self.position), 0) for e in self.extents)

    def disk_bytes(self) -> int:
        """Of its files. The lock is held."""
        return sum(extent.size for extent in self.extents)

    def finished(self) -> list[Extent]:
        """The extents that hold nothing any more that is needed. The lock is held."""
        if self.whole or self.gone:
            return []
        return [e for e in self.extents if e.sealed and e.end <= self.position]

    def close(self) -> None:
        """Gives the descriptors back. The lock is held."""
        for file in self._unsealed():
            file.close()
