"""How much the spool may hold: its own bound, the file system's, and waiting for either.

In flow bytes about to be written and bytes that are free again, out flows leave to write. It never
deletes anything: what makes room is the policy's business.
"""

from __future__ import annotations

import os
import threading

from ossmedia.spool_blocks import BLOCK_HEADER, FILE_HEADER, LARGEST_BLOCK, PAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.clock import Clock

__all__ = ["Room", "footprint"]

_GRANT = 4 << 20  # bytes written between two looks at the file system
_LOOK_S = 1.0  # who waits for a disk that others fill looks so often


def footprint(length: int) -> int:
    """The most bytes by which files grow for so many of the stream: headers, a new page, and
    perhaps a new file."""
    blocks = -(-length // LARGEST_BLOCK) + 1
    return length + blocks * 2 * BLOCK_HEADER + PAGE + FILE_HEADER + 2 * PAGE


class Room:
    """The bytes that a spool's data files take.

    Args:
        used: taken already. max_bytes: the bound. min_free: what must stay free in the file system,
            and ``owed``: what more now.
        pressed: told True when three quarters are taken or there was no room, False when at most
            half is taken again.
    """

    def __init__(
        self,
        folder: str,
        used: int,
        max_bytes: int,
        min_free: int,
        clock: Clock,
        pressed: Callable[[bool], object],
        owed: Callable[[], int],
    ) -> None:
        self.used = used
        self.max_bytes = max_bytes
        self.changed = threading.Condition()
        self._folder = folder
        self._min_free = min_free
        self._clock = clock
        self._waiting = 0
        self._grant = 0  # of the file system's free bytes, how many may go before the next look
        self._pressed = pressed
        self._owed = owed
        self._high = False
        self._closed_until = 0.0  # the disk itself said that it is full

    def take(self, size: int) -> bool:
        """Sets so many bytes aside; False: there is no room."""
        with self.changed:
            taken = self._take(size)
            self._mark(full=not taken)
            return taken

    def _mark(self, *, full: bool = False) -> None:
        """Tells when room gets scarce, and when there is enough again. The lock is held."""
        most = self.max_bytes
        high = full or self.used * (2 if self._high else 4) > most * (1 if self._high else 3)
        if high != self._high:
            self._high = high
            self._pressed(high)

    def _take(self, size: int) -> bool:
        if self.used + size > self.max_bytes:
            return False
        if self._closed_until and self._clock.monotonic() < self._closed_until:
            return False
        if self._grant < size and not self._look(size):
            return False
        self._grant -= size
        self.used += size
        return True

    def _look(self, size: int) -> bool:
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return False
        free = found.f_bavail * found.f_frsize - self._min_free - self._owed()
        self._grant = min(free, max(_GRANT, size))
        return self._grant >= size

    def refused(self) -> None:
        """The disk is full although there seemed to be room (a quota, a limit on file sizes): for
        a second, or until something is freed, there is none."""
        with self.changed:
            self._closed_until, self._grant = self._clock.monotonic() + _LOOK_S, 0

    def give(self, size: int) -> None:
        """So many of the bytes set aside were not needed."""
        with self.changed:
            self.used -= size
            if self._high:
                self._mark()
            if self._waiting:
                self.changed.notify_all()

    def freed(self, size: int) -> None:
        """Files were unlinked; negative: they grew without having asked."""
        if size > 0:
            self._closed_until = 0.0
        self.give(size)

    def wait(self, size: int, end: float | None) -> bool:
        """Waits until there is room, and sets it aside. False: not before ``end``."""
        while not self.take(size):
            with self.changed:
                left = None if end is None else end - self._clock.monotonic()
                if left is not None and left <= 0:
                    return False
                self._waiting += 1
                self._clock.wait(self.changed, _LOOK_S if left is None else min(left, _LOOK_S))
                self._waiting -= 1
        return True
