"""Making what was written durable: a thread that syncs files in rounds, seals them in the state,
and only then lets go of what is no longer needed.

In flow objects with new bytes and files to be thrown away, out flow rounds. It never throws a file
away before the state that does not need it is on stable storage, and never believes pages again
whose sync failed once.
"""

from __future__ import annotations

import os
import threading

from ossmedia.errors import RequestTimeout, SpoolError
from ossmedia.spool_files import sync_folder
from ossmedia.spool_values import Tombstone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ossmedia.clock import Clock
    from ossmedia.spool_files import Extent, Tail
    from ossmedia.spool_item import Item
    from ossmedia.spool_reading import Damaged
    from ossmedia.spool_state import State

__all__ = ["Committer"]

_PAUSE_S = 1.0  # a disk that fails is tried again so seldom, unless somebody asks


class _Made:
    """What a round has made durable of one object, and the state is to know: ``complete`` files;
    ``ended``: the object itself; ``damage``: what was lost on the way, "" if nothing."""

    __slots__ = ("complete", "damage", "ended", "item")

    def __init__(self, item: Item, complete: list[Extent], ended: bool, damage: str) -> None:
        self.item = item
        self.complete = complete
        self.ended = ended
        self.damage = damage


class Committer:
    """One thread for one spool, started at the first byte.

    Args:
        data: the folder of the data files.
        interval_s: bytes are durable at the latest so long after they were written.
        freed: told how many bytes on the disk are free again.
        settle: called in each round, before the state is synced; writes what it has pending.
    """

    def __init__(
        self,
        state: State,
        data: str,
        clock: Clock,
        interval_s: float,
        *,
        freed: Callable[[int], object],
        settle: Callable[[], object],
    ) -> None:
        self._state = state
        self._data = data
        self._clock = clock
        self._interval_s = interval_s
        self._freed = freed
        self._settle = settle
        self._changed = threading.Condition()
        self._dirty: dict[int, Item] = {}
        self._urgent: dict[int, Item] = {}
        self._garbage: list[Extent] = []
        self._stuck: list[Extent] = []  # could not be unlinked; tried again with the next ones
        self._asked = self._served = 0
        self._outcomes: dict[int, str | None] = {}  # of those who wait for a round
        self._closing = False
        self._thread: threading.Thread | None = None
        self.error = ""

    def mark(self, item: Item) -> None:
        """The object has bytes that are not durable."""
        with self._changed:
            self._dirty[item.id] = item
            self._start()
            self._changed.notify_all()

    def hurry(self, item: Item) -> None:
        """The object has many bytes that are not durable: it is not to wait for the interval's end,
        when the disk would have them all at once."""
        with self._changed:
            self._urgent[item.id] = item
            self._changed.notify_all()

    def discard(self, extents: Iterable[Extent], *, at_once: bool = False) -> None:
        """These files are not needed, once the state's last change is durable."""
        with self._changed:
            self._garbage += extents
            self._asked += at_once
            self._start()
            self._changed.notify_all()

    def sync(self, timeout_s: float | None = None) -> None:
        """Returns when everything written before this call is on stable storage.

        Raises:
            RequestTimeout: not within ``timeout_s``; it will be later. SpoolError: the disk failed.
        """
        end = None if timeout_s is None else self._clock.monotonic() + timeout_s
        with self._changed:
            self._start()
            self._asked += 1
            mine = self._asked
            self._outcomes[mine] = None
            self._changed.notify_all()
            try:
                while (failed := self._outcomes[mine]) is None:
                    left = None if end is None else end - self._clock.monotonic()
                    if left is not None and left <= 0:
                        raise RequestTimeout(f"spool: not on stable storage within {timeout_s} s")
                    self._clock.wait(self._changed, left)
            finally:
                del self._outcomes[mine]
            if failed:
                raise SpoolError(f"spool: not on stable storage: {failed}")

    def close(self) -> None:
        """A last round, then the thread ends."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._closing:
            raise ValueError("the spool is closed")
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="ossmedia spool commit", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        end: float | None = None  # when all that is dirty must be made durable
        while True:
            with self._changed:
                while not (self._dirty or self._garbage or self._due()):
                    self._clock.wait(self._changed, None)
                if end is None:
                    pause = max(self._interval_s, _PAUSE_S) if self.error else self._interval_s
                    end = self._clock.monotonic() + pause
                while not (self._due() or self._urgent) and (left := self._left(end)) > 0:
                    self._clock.wait(self._changed, left)
                every = self._due() or self._left(end) <= 0
                asked, last = self._asked, self._closing
                dirty, garbage = self._taken(every)
                end = end if self._dirty else None
            failed = self._round(dirty, garbage)
            with self._changed:
                self.error = failed if every else failed or self.error
                self._served = asked
                for waiting, outcome in self._outcomes.items():
                    if waiting <= asked and outcome is None:
                        self._outcomes[waiting] = failed
                self._changed.notify_all()
                if last:
                    return

    def _left(self, end: float) -> float:
        return end - self._clock.monotonic()

    def _taken(self, every: bool) -> tuple[list[Item], list[Extent]]:
        """What a round is to do; the lock is held."""
        urgent, self._urgent = self._urgent, {}
        chosen = self._dirty if every else {i: o for i, o in self._dirty.items() if i in urgent}
        self._dirty = {i: o for i, o in self._dirty.items() if i not in chosen}
        garbage, self._garbage = self._garbage, []
        return list(chosen.values()), garbage

    def _due(self) -> bool:
        return self._asked > self._served or self._closing

    def _round(self, dirty: list[Item], garbage: list[Extent]) -> str:
        """Returns what failed; "" when nothing did. What was not made durable stays dirty, so that
        every later round fails until it is."""
        failed, made = "", []
        for item in dirty:
            try:
                made.append(self._commit(item))
            except Exception as error:
                failed = failed or f"{item.key}: {error}"
                self._again([item])
        failed = failed or next((f"{one.item.key}: {one.damage}" for one in made if one.damage), "")
        news = [one for one in made if one.complete or one.ended]
        try:
            if news:
                self._seal(news)
            self._settle()
            if garbage:  # the seal alone syncs nothing if its objects have left meanwhile
                self._state.sync()
        except OSError as error:
            failed = failed or str(error)
            self._again(one.item for one in news)
            with self._changed:
                self._garbage += garbage
        else:
            self._throw_away([*self._stuck, *garbage])
        return failed

    def _again(self, items: Iterable[Item]) -> None:
        with self._changed:
            for item in items:
                self._dirty.setdefault(item.id, item)

    def _commit(self, item: Item) -> _Made:
        """Its bytes are on stable storage when this returns. Raises OSError."""
        files, end, grown = item.unsynced()
        self._freed(-grown)
        damages: list[Damaged] = []
        try:
            if any(file.poisoned for file in files):
                raise OSError("a sync failed before")
            self._sync_files(files)
        except OSError:
            self._freed(-item.rescue(self._data, lambda found: self._lost(item, found, damages)))
            files, end, grown = item.unsynced()
            self._freed(-grown)
            self._sync_files(files)
        complete = item.synced(files, end)
        ended = item.ended and item.durable == item.end and not item.recorded
        # Once: who asked was promised these bytes.
        damage = f"lost before they were durable: {damages[0]}" if damages else ""
        return _Made(item, complete, ended, damage)

    def _seal(self, made: list[_Made]) -> None:
        """One transaction, and one sync, for all objects of a round. Raises SpoolError."""
        self._state.seal((one.item, one.complete, one.ended) for one in made if not one.item.gone)
        for one in made:
            one.item.recorded = one.item.recorded or one.ended
            for extent in one.complete:
                extent.sealed = True

    def _lost(self, item: Item, found: list[Damaged], damages: list[Damaged]) -> None:
        """What even the kernel does not hold any more. The item's lock is held."""
        stones = []
        for damage in found:
            if damage.first < item.busy_to and damage.last > item.position:
                # Whether they arrive is not known yet; they are the delivery's to report.
                raise OSError(f"being sent, and lost on the disk: {damage}")
            if damage.first >= item.position:
                first, last = damage.first, damage.last
                stones.append(Tombstone(item.id, item.key, first, last, damage.reason))
                damages.append(damage)
        self._state.drop(item, stones)
        item.dropped += sum(stone.last - stone.first for stone in stones)

    def _sync_files(self, files: list[Tail]) -> None:
        for file in files:
            try:
                os.fdatasync(file.fd)
            except OSError:
                file.poisoned = True
                raise
        if any(not file.named for file in files):
            sync_folder(self._data)
            for file in files:
                file.named = True

    def _throw_away(self, garbage: list[Extent]) -> None:
        freed, self._stuck = 0, []
        for extent in garbage:
            try:
                os.unlink(extent.path)
            except FileNotFoundError:
                pass
            except OSError:
                self._stuck.append(extent)
                continue
            freed += extent.size
        if freed:
            self._state.keep_reserve()
            self._freed(freed)
