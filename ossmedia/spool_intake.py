"""Taking bytes into the spool: room first, then the disk, then word to those who make it durable
and send it.

In flow a writer's bytes or whole objects in memory, out flow blocks in files. It never waits for
the network, and never says that a byte was taken before the kernel has it.
"""

from __future__ import annotations

import errno
import os

from ossmedia.errors import ObjectTooLarge, SpoolError, SpoolFull, StreamBroken
from ossmedia.spool_files import sync_folder, unlink
from ossmedia.spool_room import footprint
from ossmedia.spool_values import Tombstone
from ossmedia.spool_whole import MOST_PARTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.clock import Clock
    from ossmedia.spool_commit import Committer
    from ossmedia.spool_drain import Drain
    from ossmedia.spool_item import Item
    from ossmedia.spool_policy import Policy
    from ossmedia.spool_room import Room
    from ossmedia.spool_shelf import Shelf
    from ossmedia.spool_state import State

__all__ = ["Intake"]

_AT_ONCE = 8 << 20  # bytes of an object that are made durable without waiting for the interval
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Intake:
    """One spool's way in.

    Args:
        data: the folder of the data files. file_size: bytes after which the next file begins.
    """

    def __init__(
        self,
        data: str,
        file_size: int,
        *,
        room: Room,
        policy: Policy,
        state: State,
        shelf: Shelf,
        committer: Committer,
        drain: Drain,
        clock: Clock,
    ) -> None:
        self._data = data
        self._file_size = file_size
        self._room = room
        self._policy = policy
        self._state = state
        self._shelf = shelf
        self._committer = committer
        self._drain = drain
        self._clock = clock

    def begin(self, item: Item) -> None:
        """A new object, before its first byte. Raises SpoolError."""
        self._state.begin(item)
        self._shelf.add(item)

    def take(self, item: Item, data: memoryview, timeout_s: float | None) -> int:
        """Adds bytes to an object; returns how many, which is all.

        Raises:
            SpoolFull, SpoolError, StreamBroken, ObjectTooLarge.
        """
        self._check_size(item, len(data))
        began, done, refused = self._clock.monotonic(), 0, False
        try:
            while done < len(data):
                rest = data[done:]
                if not self._policy.admit(item, len(rest), began, timeout_s, refused=refused):
                    return done + self._refuse(item, len(rest))
                count = self._some(item, rest)
                done, refused = done + count, count < len(rest)
        except SpoolFull as full:
            full.characters_written = done
            raise
        return done

    def _check_size(self, item: Item, length: int) -> None:
        end = item.end + length
        if item.whole and end > MOST_PARTS * int(item.options["block_size"]):
            raise ObjectTooLarge(
                f"{item.key}: more than {MOST_PARTS} parts of block_size="
                f"{item.options['block_size']} bytes; open it with a larger block_size"
            )
        limit = item.options.get("append_limit")
        if limit and item.options.get("on_full") == "raise" and end > limit:
            raise ObjectTooLarge(f"{item.key}: an appended object ends at {limit} bytes")

    def _some(self, item: Item, data: memoryview) -> int:
        """Returns how many bytes the disk took, for which there is room: fewer when it is full all
        the same."""
        aside = footprint(len(data))
        with item.lock:
            if item.gone:
                self._room.give(aside)
                raise _gone(item)
            start, grown, first = item.end, item.grown, not item.dirty
            try:
                self._policy.settle(item)
                item.append(data, self._data, self._file_size)
            except OSError as error:
                if error.errno not in _FULL:
                    raise SpoolError(f"{item.key}: {error.strerror or error}") from error
                self._room.refused()
            finally:
                self._room.give(aside - (item.grown - grown))
                item.dirty = True
            taken = item.end - start
        self._tell(item, start, first)
        return taken

    def _tell(self, item: Item, start: int, first: bool) -> None:
        if first:
            self._committer.mark(item)
        if start // _AT_ONCE != item.end // _AT_ONCE:
            self._committer.hurry(item)
        block = int(item.options["block_size"])
        if item.waiting_since is None:
            item.waiting_since = self._clock.monotonic()
            self._drain.poke()
        elif start // block != item.end // block:
            self._drain.poke()

    def _refuse(self, item: Item, length: int) -> int:
        """Bytes that the policy drops: an appended object goes on without them, any other is worth
        nothing without them."""
        if item.whole:
            self._policy.drop_rest(item, self._policy.name)
            raise _gone(item)
        with item.lock:
            if item.gone:
                raise _gone(item)
            self._policy.drop_newest(item, length)
            first, item.dirty = not item.dirty, True
        if first:
            self._committer.mark(item)
        return length

    def end(self, item: Item) -> None:
        """Nothing follows. Returns when that is durable.

        Raises:
            SpoolError: the disk failed.
        """
        with item.lock:
            if item.gone:
                return
            item.ended = item.dirty = True
        self._committer.mark(item)
        self._drain.poke()
        self._committer.sync()

    def put(self, item: Item, data: memoryview, timeout_s: float | None) -> bool:
        """A whole object at once, durable when this returns; False: dropped by policy.

        Raises:
            SpoolFull, SpoolError.
        """
        began, refused = self._clock.monotonic(), False
        while self._policy.admit(item, len(data), began, timeout_s, refused=refused):
            if self._stored(item, data):
                self._shelf.add(item)
                self._drain.poke()
                return True
            refused = True
        item.end = item.dropped = len(data)
        lost = [Tombstone(item.id, item.key, 0, len(data), self._policy.name)]
        self._state.finish(item, None, lost, durable=True)
        self._shelf.count(item)
        return False

    def _stored(self, item: Item, data: memoryview) -> bool:
        """False: the disk is full, although there seemed to be room; nothing of it is left."""
        aside = footprint(len(data))
        try:
            self._store(item, data)
        except OSError as error:
            for extent in item.extents:
                unlink(extent.path)
            item.extents, item.end, item.grown = [], 0, 0
            item.ended = item.recorded = False
            self._room.give(aside)
            if error.errno not in _FULL:
                raise SpoolError(f"{item.key}: {error.strerror or error}") from error
            self._room.refused()
            return False
        self._room.give(aside - item.grown)
        return True

    def _store(self, item: Item, data: memoryview) -> None:
        try:
            item.append(data, self._data, self._file_size)
            files = [*item.rolled, *([item.tail] if item.tail else [])]
            for file in files:
                os.fdatasync(file.fd)
            if files:
                sync_folder(self._data)
        finally:
            item.close()
            item.tail, item.rolled = None, []
        item.ended = item.recorded = True
        item.durable = item.end
        for extent in item.extents:
            extent.sealed = True
        self._state.begin(item, item.extents)

    def assign(self, item: Item, bucket: str, key: str) -> None:
        """An object that nothing was sent of goes elsewhere. Raises SpoolError."""
        with item.lock:
            options = {**item.options, "place": [bucket, key]}
            self._state.place(item, options)
            item.options, item.bucket, item.key = options, bucket, key
            item.progress.clear()  # of an upload that had begun at the first place

    def supersede(self, item: Item) -> None:
        """Older objects of this key that were given as replaceable need not be sent any more."""
        for other in self._shelf.all():
            same = (other.bucket, other.key) == (item.bucket, item.key)
            if same and other.id < item.id and other.ended and other.options.get("replaceable"):
                self._policy.drop_rest(other, "superseded")


def _gone(item: Item) -> StreamBroken:
    broken = StreamBroken(f"{item.key}: was dropped; see the spool's tombstones")
    broken.__cause__ = SpoolFull(f"{item.key}: the spool was full")
    return broken
