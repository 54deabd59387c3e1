"""Word to the application of what it must not find out from a log: footage that was dropped, and a
spool that fills or has emptied again.

In flow tombstones and news of the room, from threads that hold locks, out flow calls of the
application's own functions, in order, from a thread of their own: they may raise or take their
time. Nothing waits for them.
"""

from __future__ import annotations

import threading
from collections import deque

from ossmedia.journal import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ossmedia.spool_values import Tombstone

__all__ = ["News"]

MOST = 1000  # words that wait for a function which blocks; ``tombstones()`` knows all of them


class News:
    """One spool's; its thread starts with the first word.

    Args:
        on_drop: called with each tombstone, once it is written down.
        on_pressure: called with True when room gets scarce, with False when there is enough again.
    """

    def __init__(
        self,
        on_drop: Callable[[Tombstone], object] | None,
        on_pressure: Callable[[bool], object] | None,
    ) -> None:
        self._on_drop = on_drop
        self._on_pressure = on_pressure
        self._changed = threading.Condition()
        self._words: deque[tuple[Callable[[Any], object], Any]] = deque(maxlen=MOST)
        self._thread: threading.Thread | None = None
        self._closing = False

    def dropped(self, stones: Iterable[Tombstone]) -> None:
        """Any thread, any lock held."""
        if self._on_drop is not None:
            for stone in stones:
                self._say(self._on_drop, stone)

    def pressed(self, high: bool) -> None:
        """Any thread, any lock held."""
        if self._on_pressure is not None:
            self._say(self._on_pressure, high)

    def close(self, timeout_s: float) -> None:
        """What is left is said, unless a function takes longer than that."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _say(self, function: Callable[[Any], object], value: object) -> None:
        with self._changed:
            self._words.append((function, value))
            if self._thread is None and not self._closing:
                self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="ossmedia spool news", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the next word tries again
            return
        self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._words or self._closing):
                    self._changed.wait()
                if not self._words:
                    return
                function, value = self._words.popleft()
            try:
                function(value)
            except Exception as error:
                log("warning", "a spool's callback raised %s", type(error).__name__)
