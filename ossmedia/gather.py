"""The small buffer in front of a writer's blocks: what gathers there, and for how long.

In flow what ``io.BufferedWriter`` hands on, out flow bytes into the pump's blocks. It never sends
anything itself.
"""

from __future__ import annotations

import io
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from ossmedia.pump import Pump

__all__ = ["BUFFER", "Blocks", "Lingering"]

# Bytes gathered before they go into a block; larger writes go past it. With less, a small write
# costs over 1.3 times io.BufferedWriter's own; with more, a key frame would be copied twice, too.
BUFFER = 48 * 1024


class Blocks(io.RawIOBase):
    """Where the buffer empties itself, and large writes go past it: the pump's blocks."""

    def __init__(self, pump: Pump, timeout_s: float | None) -> None:
        super().__init__()
        self.pump: Pump | None = pump  # None: what still comes goes nowhere
        self.timeout_s = timeout_s

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.pump.written + self.pump.pos if self.pump else 0

    def write(self, data: Buffer, /) -> int | None:
        """Copies into blocks; None when not one came free in time, as io wants it."""
        pump = self.pump
        if pump is not None:
            taken = pump.put(data)
            if taken:
                return taken
        with memoryview(data) as source:
            return pump.fill(source, self.timeout_s) if pump else source.nbytes


class Lingering:
    """Appends: a camera that writes little must not keep its last seconds in memory, so every
    ``linger_s`` what has gathered is sent.

    A thread of its own, because emptying the buffer may wait for a block that the pump's workers
    must free.
    """

    def __init__(self, pump: Pump, flush: Callable[[], object], linger_s: float) -> None:
        self._pump = pump
        self._flush = flush
        self._linger_s = linger_s
        self._wake = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ossmedia lingering", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns at once; ``join`` waits."""
        self._stopped = True
        if self._wake.acquire(timeout=0.2):  # a collector may run this in any thread
            self._wake.notify_all()
            self._wake.release()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._stopped:
                    self._pump.clock.wait(self._wake, self._linger_s)
            if self._stopped or self._pump.over():
                return
            try:
                self._flush()
            except BlockingIOError:
                continue
            except (OSError, ValueError):
                return  # the writer will be told the same
            self._pump.give_partial()
