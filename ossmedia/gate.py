"""A gate on an upload's way: its owner holds the bytes back, lets them through, or ends it.

In flow turns from any thread, out flow waiting and ``Canceled``. It never touches the network.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.clock import Clock

__all__ = ["Canceled", "Gate"]


class Canceled(Exception):
    """The caller canceled the upload; nothing of it stays."""


class Gate:
    """Open at first; any thread may turn it."""

    def __init__(self) -> None:
        self._turned = threading.Condition()
        self._closed = False
        self.canceled = False

    def close(self) -> None:
        with self._turned:
            self._closed = True

    def open(self) -> None:
        with self._turned:
            self._closed = False
            self._turned.notify_all()

    def cancel(self) -> None:
        with self._turned:
            self.canceled = True
            self._turned.notify_all()

    def pass_through(self) -> None:
        """Waits while the gate is closed.

        Raises:
            Canceled: for good.
        """
        with self._turned:
            while self._closed and not self.canceled:
                self._turned.wait()
            if self.canceled:
                raise Canceled

    def wait(self, clock: Clock, seconds: float) -> None:
        """Waits so long, or until the upload is canceled."""
        end = clock.monotonic() + seconds
        with self._turned:
            while not self.canceled and (left := end - clock.monotonic()) > 0:
                clock.wait(self._turned, left)
