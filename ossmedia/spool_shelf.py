"""The objects that a spool holds, in order, and the sums of those it held before.

In flow objects that come and go, out flow who may be sent next and the numbers of the conservation
law, taken at one moment. It never touches the disk.
"""

from __future__ import annotations

from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.spool_item import Item
    from ossmedia.spool_values import Totals

__all__ = ["Shelf"]


class Shelf:
    """Every object of one spool; any thread.

    Args:
        order: "fifo" or "lifo": in which order objects that have ended are sent.
    """

    def __init__(self, items: dict[int, Item], totals: Totals, order: str) -> None:
        self._lock = allocate_lock()
        self._items = items
        self._order = order
        self._written = totals.written
        self._acked = totals.acked
        self._dropped = totals.dropped
        self._last_id = totals.last_id

    def next_id(self) -> int:
        """A number higher than any before, whatever the clock says."""
        with self._lock:
            self._last_id += 1
            return self._last_id

    def add(self, item: Item) -> None:
        with self._lock:
            self._items[item.id] = item
            # put() takes its number before others that may be added first.
            if next(reversed(self._items)) != max(self._items):
                self._items = dict(sorted(self._items.items()))

    def left(self, item: Item) -> None:
        """The object is stored or dropped; its bytes go into the sums. Only the first time."""
        with self._lock:
            if self._items.pop(item.id, None) is not None:
                self._count(item)

    def count(self, item: Item) -> None:
        """As ``left``, for an object that never was in the spool: there was no room."""
        with self._lock:
            self._count(item)

    def _count(self, item: Item) -> None:
        self._written += item.end
        self._acked += item.acked
        self._dropped += item.dropped

    def all(self) -> list[Item]:
        """Oldest first."""
        with self._lock:
            return list(self._items.values())

    def candidates(self) -> list[Item]:
        """Who may be sent, in the order of sending: of each key only the oldest, so that a newer
        object is never overwritten by an older one."""
        seen: set[tuple[str, str]] = set()
        found = []
        for item in self.all():
            name = (item.bucket, item.key)
            if name not in seen:
                found.append(item)
                if not item.final:
                    seen.add(name)
        return found if self._order == "fifo" else found[::-1]

    def error(self) -> str:
        """Why the oldest of those that were refused was; "" without one."""
        return next((item.error for item in self.all() if item.error), "")

    def numbers(self) -> dict[str, int]:
        """The law's numbers, and how many objects are how."""
        with self._lock:
            sums = {
                "written": self._written,
                "acked": self._acked,
                "spooled": 0,
                "dropped": self._dropped,
                "waiting": 0,
                "open": 0,
                "parked": 0,
            }
            for item in self._items.values():
                with item.lock:
                    sums["written"] += item.end
                    sums["acked"] += item.acked
                    sums["spooled"] += item.held()
                    sums["dropped"] += item.dropped
                    sums["waiting" if item.ended else "open"] += not item.gone
                    sums["parked"] += item.final or item.probes > 0
            return sums
