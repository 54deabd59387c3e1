"""What happens when the spool is full: waiting, refusing, or dropping what the policy names, with a
tombstone for every byte.

In flow bytes that need room, out flows leave, or the news that they were dropped. Appended objects
lose ranges; all others are kept or dropped as a whole. It never drops what is on its way, and never
a byte without a durable tombstone.
"""

from __future__ import annotations

import contextlib

from ossmedia.errors import SpoolError, SpoolFull
from ossmedia.spool_room import footprint
from ossmedia.spool_values import Tombstone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ossmedia.clock import Clock
    from ossmedia.spool_commit import Committer
    from ossmedia.spool_files import Extent
    from ossmedia.spool_item import Item
    from ossmedia.spool_room import Room
    from ossmedia.spool_state import State

__all__ = ["POLICIES", "Policy"]

POLICIES = ("block", "reject", "drop_oldest", "drop_newest")


class Policy:
    """One spool's way of being full.

    Args:
        items: the objects in the spool, oldest first.
        left: told that an object has left the spool.
    """

    def __init__(
        self,
        name: str,
        room: Room,
        state: State,
        committer: Committer,
        clock: Clock,
        *,
        items: Callable[[], list[Item]],
        left: Callable[[Item], object],
    ) -> None:
        self.name = name
        self._room = room
        self._state = state
        self._committer = committer
        self._clock = clock
        self._items = items
        self._left = left
        self._soft = False  # tombstones that survive kill -9, and not yet a power cut

    def admit(
        self,
        item: Item,
        length: int,
        began: float,
        timeout_s: float | None,
        *,
        refused: bool = False,
    ) -> bool:
        """Room for so many bytes of the object's stream, set aside; False: they are to be dropped.

        Args:
            began: when the caller's call did, on the monotonic clock.
            refused: the disk has just refused them, whatever room there seems to be.

        Raises:
            SpoolFull: by "block" ``timeout_s`` after ``began``, or when no waiting can help; by
                "reject".
        """
        size = footprint(length)
        if not refused and self._room.take(size):
            return True
        if self.name == "drop_oldest":
            freed = self._drop_oldest(size)
            return (freed > 0 or not refused) and self._room.take(size)
        if self.name == "drop_newest":
            return False
        if self.name == "reject":
            raise SpoolFull(f"{item.key}: the spool is full ({self._room.used} bytes)")
        self._check_hope(item, size)
        end = None if timeout_s is None else began + timeout_s
        late = refused and end is not None and self._clock.monotonic() >= end
        if not late and self._room.wait(size, end):
            return True
        raise SpoolFull(f"{item.key}: the spool was full for {timeout_s} s")

    def _check_hope(self, item: Item, size: int) -> None:
        """An object that is sent as a whole must fit as a whole: nothing of it can make room, and
        nothing of others like it before they are closed."""
        most = self._room.max_bytes
        with item.lock:
            own = item.disk_bytes() if item.whole else 0
        if own + size > most:
            raise SpoolFull(
                f"{item.key}: mode {item.mode!r} keeps all of an object until it is stored: more "
                f"than max_bytes, {most}"
            )
        stuck = 0
        for other in self._items():
            with other.lock:
                stuck += other.disk_bytes() if other.whole and not other.ended else 0
        if stuck + size > most:
            raise SpoolFull(f"{item.key}: the spool is full of objects that are not closed")

    # -- dropping

    def drop_rest(self, item: Item, reason: str, *, keep: bool = False) -> bool:
        """Everything of an object that is not confirmed, and the object leaves the spool. False: it
        has left already.

        Args:
            keep: its files are somebody else's from now on.
        """
        with item.lock:
            if item.gone:
                return False
            lost, before = _unheld(item, reason), item.dropped
            extents = [] if keep else item.extents
            # What a writer was told is dropped counts already, but is not written down.
            told = item.lost[1] - item.lost[0] if item.lost else 0
            item.dropped += sum(stone.last - stone.first for stone in lost) - told
            try:
                self._state.finish(item, None, lost, durable=True)
            except BaseException:
                item.dropped = before
                raise
            item.close()
            item.gone = item.ended = True
            item.lost = ()
            item.tail, item.rolled, item.extents = None, [], []
        self._committer.discard(extents, at_once=True)
        self._left(item)
        return True

    def drop_newest(self, item: Item, length: int) -> None:
        """Bytes of an appended object that do not even come to the disk: their tombstone survives
        kill -9 when this returns, or, on a disk that is full or fails, waits for the next commit.
        The lock is held."""
        item.end += length
        item.dropped += length
        first = item.lost[0] if item.lost else item.end - length
        item.lost = (first, item.end)
        with contextlib.suppress(SpoolError):
            self.settle(item, reserve=False)

    def settle(self, item: Item, *, reserve: bool = True) -> None:
        """Writes down what ``drop_newest`` dropped, before other bytes follow. The lock is held.

        Args:
            reserve: a full disk is no reason to fail.

        Raises:
            SpoolError: the disk failed; it counts as dropped all the same.
        """
        if item.lost and not item.gone:
            stone = Tombstone(item.id, item.key, *item.lost, "drop_newest")
            self._state.drop(item, [stone], durable=False, reserve=reserve)
            item.lost, self._soft = (), True

    def settle_all(self) -> None:
        """Makes those tombstones durable. Raises SpoolError."""
        for item in self._items():
            if item.lost:
                with item.lock:
                    self.settle(item)
        if self._soft:
            self._soft = False
            try:
                self._state.sync()
            except BaseException:
                self._soft = True
                raise

    def _drop_oldest(self, size: int) -> int:
        """Frees so many bytes, if it can: whole objects that have ended, ranges of others. Files
        that are complete and not durable yet can be dropped after a commit. Returns how many."""
        freed = 0
        for _ in range(2):
            for item in self._items():
                if freed >= size:
                    break
                if not item.whole:
                    freed += self._drop_ranges(item, size - freed)
                elif item.ended and item.end:  # an empty one takes no room
                    freed += self._drop_whole(item)
            try:
                self._committer.sync()
            except SpoolError:
                break  # whether there is room now, the room knows
            if freed >= size:
                break
        return freed

    def _drop_whole(self, item: Item) -> int:
        with item.lock:
            size = item.disk_bytes()
        return size if self.drop_rest(item, "drop_oldest") else 0

    def _drop_ranges(self, item: Item, size: int) -> int:
        with item.lock:
            if item.gone:
                return 0
            chosen: list[Extent] = []
            freed = 0
            for extent in item.extents:
                if freed < size and extent.sealed and extent.start >= item.busy_to:
                    chosen.append(extent)
                    freed += extent.size
            if not chosen:
                return 0
            lost = [Tombstone(item.id, item.key, e.start, e.end, "drop_oldest") for e in chosen]
            self._state.drop(item, lost, chosen)
            item.dropped += sum(stone.last - stone.first for stone in lost)
            item.extents = [extent for extent in item.extents if extent not in chosen]
        self._committer.discard(chosen)
        return freed


def _unheld(item: Item, reason: str) -> Iterable[Tombstone]:
    """What of the object is on the disk and not confirmed, and what was dropped and not written
    down; the lock is held."""
    lost = []
    if item.lost:
        lost.append(Tombstone(item.id, item.key, *item.lost, "drop_newest"))
    for extent in item.extents:
        first = max(extent.start, item.position)
        if extent.end > first:
            lost.append(Tombstone(item.id, item.key, first, extent.end, reason))
    return lost
