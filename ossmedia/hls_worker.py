"""The thread that carries a recording's segments to OSS, as long as it takes.

In flow segments from the queue, out flow the steps of their publisher, each repeated until it
succeeds; listeners hear of what went well and what did not. It never holds up the recording, and
never gives up a segment that it was not told to.
"""

from __future__ import annotations

import threading

from ossmedia.errors import OssMediaError, StreamBroken
from ossmedia.journal import warn
from ossmedia.retry import final
from ossmedia.segments import DroppedSegment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.hls_queue import SegmentQueue
    from ossmedia.publisher import Publisher
    from ossmedia.segments import RecordedSegment, Segment
    from ossmedia.session import Session

__all__ = ["Delivery", "Listeners"]


class Listeners:
    """Tells an application what happens to its recording; what its functions raise is logged."""

    def __init__(
        self,
        on_segment: Callable[[RecordedSegment], object] | None,
        on_drop: Callable[[DroppedSegment], object] | None,
        on_error: Callable[[Exception], object] | None,
    ) -> None:
        self._on_segment = on_segment
        self._on_drop = on_drop
        self._on_error = on_error
        self._lock = threading.Lock()
        self.counts = {"segments": 0, "bytes": 0, "dropped": 0, "errors": 0}

    def stored(self, segment: RecordedSegment) -> None:
        self._count(segments=1, bytes=segment.size)
        if self._on_segment is not None:
            self._call(self._on_segment, segment)

    def dropped(self, segment: Segment, reason: str) -> None:
        self._count(dropped=1)
        told = DroppedSegment(segment, reason)
        warn("a segment is lost: %s", told)
        if self._on_drop is not None:
            self._call(self._on_drop, told)

    def failed(self, error: Exception) -> None:
        self._count(errors=1)
        warn("recording: %s", error)
        if self._on_error is not None:
            self._call(self._on_error, error)

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                self.counts[name] += number

    def _call(self, listener: Callable[..., object], value: object) -> None:
        try:
            listener(value)
        except Exception as error:
            warn("a listener of the recording raised %s", type(error).__name__)


class Delivery:
    """One recording's worker.

    Args:
        patient: errors never end it while the recording goes on, but only once it is being closed;
            else what is final does, and no progress for ``Retry.give_up_after_s``.
    """

    def __init__(
        self,
        queue: SegmentQueue,
        publisher: Publisher,
        session: Session,
        listeners: Listeners,
        *,
        patient: bool,
    ) -> None:
        self._queue = queue
        self._publisher = publisher
        self._session = session
        self._listeners = listeners
        self._patient = patient
        self._ends = False
        self._closing_at: float | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="ossmedia hls", daemon=True)
        self._thread.start()

    def raise_if_broken(self) -> None:
        """Raises StreamBroken once the recording was given up; ``__cause__`` says why."""
        if self.error is not None:
            key = self._publisher.key
            raise StreamBroken(f"{key}: gave up: {self.error}") from self.error

    def finish(self, *, ends: bool) -> None:
        """Stores what waits, and waits for it.

        Args:
            ends: the playlist is told that nothing follows.

        Raises:
            StreamBroken: not everything is stored; on_drop heard of each segment that is not.
        """
        self._ends = ends
        self._closing_at = self._session.clock.monotonic()
        self._queue.close()
        self._thread.join()
        self.raise_if_broken()

    def _work(self) -> None:
        try:
            self._until_done(self._publisher.find)
            while (segment := self._queue.take()) is not None:
                for step in self._publisher.steps(segment):
                    self._until_done(step)
            if self._ends:
                self._until_done(self._publisher.end)
        except Exception as error:
            self.error = error
            for lost in (self._publisher.unstored, *self._queue.empty()):
                if lost is not None:
                    self._listeners.dropped(lost, "given up")

    def _until_done(self, step: Callable[[], object]) -> None:
        """Raises what ends the recording."""
        since, attempt = self._session.clock.monotonic(), 0
        while True:
            try:
                step()
                return
            except OssMediaError as error:
                attempt += 1
                self._listeners.failed(error)
                if self._gives_up(error, since):
                    raise
                delay = self._session.retry.delay(attempt, error, self._session.random)
            self._queue.pause(delay)

    def _gives_up(self, error: OssMediaError, since: float) -> bool:
        if self._patient:
            if self._closing_at is None:
                return False
            since = max(since, self._closing_at)
        waited = self._session.clock.monotonic() - since
        return final(error) or waited > self._session.retry.give_up_after_s
