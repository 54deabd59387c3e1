"""Moves a writer's blocks to OSS: worker threads, renewal, retry, and what to do when an appended
object is not ours.

In flow full blocks of the C core's stream, out flow exchanges; the writer's thread only fills
memory. It never looks at the bytes, and never drops one unless told to abort.
"""

from __future__ import annotations

import threading

from ossmedia import errors
from ossmedia._native_stream import APPEND, DONE, IDLE, PARTS_MAX, SENT, Stream
from ossmedia.answer import StreamBusy, StreamForeign, StreamFull
from ossmedia.errors import OssMediaError, StreamBroken
from ossmedia.failures import Failures
from ossmedia.generations import Generations
from ossmedia.journal import tell, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from ossmedia.model import Receipt
    from ossmedia.session import Session

__all__ = ["Pump"]

# How long a worker goes on in C, and a writer waits there, before Python looks at credentials,
# errors and signals again. At the speed of a fast network both then need no lock of Python's.
STAY_MS = 20


class Pump:
    """One stream of bytes on its way into OSS.

    ``lock`` guards everything. The writer fills ``view`` at ``pos`` while it holds the lock.

    Args:
        parallel: blocks sent at the same time (appends: always one).
        on_full: appends that reach ``append_limit``: "roll" goes on in ``key~g2``, "raise" refuses.
        progress: called with (bytes stored, total or None) from a worker. file: see ``Stream``.
    """

    def __init__(
        self,
        session: Session,
        key: str,
        mode: int,
        *,
        block_size: int,
        blocks: int,
        parallel: int,
        headers: str = "",
        append_limit: int = 0,
        on_full: str = "roll",
        progress: Callable[[int, int | None], object] | None = None,
        total: int | None = None,
        file: tuple[int, int, int] | None = None,
    ) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.view: memoryview | None = None
        self.pos = 0
        self.written = 0  # bytes in blocks already given
        self.stored = 0
        self.error: Exception | None = None
        self.callback_error: errors.CallbackFailed | None = None
        self.clock = session.clock
        self._session = session
        self._stream = Stream(
            session.store,
            key=key,
            mode=mode,
            block_size=block_size,
            block_count=blocks,
            append_limit=append_limit,
            headers=headers,
            file=file,
        )
        self._key = key
        self._mode = mode
        self._block_size = block_size
        self._parallel = 1 if mode == APPEND else parallel
        self._limit = append_limit or 5 << 30
        self._on_full = on_full
        self._progress = progress
        self._stay_ms = STAY_MS if progress is None else 0  # whoever watches hears of each block
        self._total = total
        self._threads: list[threading.Thread] = []
        self._events = 0  # counts what may give a worker something to do
        self._given = 0
        self._failures = Failures()
        self._done = False
        self._stop = False
        self._ended = False
        self.on_break: Callable[[], object] | None = None
        self._generations = Generations(key)

    # -- the writer's side

    def put(self, data: Buffer) -> int:
        """Copies into the block at hand, if all of it fits; else 0, and nothing was done."""
        lock, count = self.lock, len(data)  # type: ignore[arg-type]
        lock.acquire()  # "with" would cost as much as the copy of a small frame
        try:
            end = self.pos + count
            if self.view is None or end > self._block_size:
                return 0
            self.view[self.pos : end] = data
            self.pos = end
        finally:
            lock.release()
        return count

    def fill(self, source: memoryview, timeout_s: float | None) -> int | None:
        """Copies bytes into blocks. Returns how many; None: no block came free in time for any.

        Raises:
            StreamBroken, ObjectTooLarge; ValueError: aborted meanwhile.
        """
        done, count = 0, len(source)
        with self.lock:
            while done < count and self._make_room(timeout_s):
                assert self.view is not None
                step = min(count - done, self._block_size - self.pos)
                self.view[self.pos : self.pos + step] = source[done : done + step]
                self.pos += step
                done += step
        return done if done or not count else None

    def count(self, most: int) -> int:
        """Counts bytes of the stream's file, at most ``most``, into the block at hand. Returns how
        many."""
        with self.lock:
            self._make_room(None)
            step = min(most, self._block_size - self.pos)
            self.pos += step
        return step

    def _make_room(self, timeout_s: float | None) -> bool:
        """Room for at least one byte: hands over the full block and takes a free one. False: none
        came in time."""
        end = None if timeout_s is None else self.clock.monotonic() + timeout_s
        if self.view is not None and self.pos == self._block_size:
            self._check_limits()
            self.give(last=False)
        while not self._take():
            self._await_free()
            if self._take():
                break
            left = None if end is None else end - self.clock.monotonic()
            if left is not None and left <= 0:
                return False
            self.clock.wait(self.changed, left)
        return True

    def _take(self) -> bool:
        if self.view is None:
            self.raise_if_broken()
            if self._stop:
                raise ValueError("the writer was aborted")
            self.view = self._stream.take()
        return self.view is not None

    def _await_free(self) -> None:
        """Waits without the lock, and without Python's."""
        self.lock.release()
        try:
            self._stream.await_free(STAY_MS)
        finally:
            self.lock.acquire()

    def _check_limits(self) -> None:
        if self._mode != APPEND:
            if self._given + 1 >= PARTS_MAX:
                raise errors.ObjectTooLarge(
                    f"{self._key}: more than {PARTS_MAX} parts of block_size="
                    f"{self._block_size} bytes; open it with a larger block_size"
                )
        elif self._on_full == "raise":
            stats = self._stream.stats()
            size = stats.object_base + self.written - stats.object_start + 2 * self._block_size
            if size > self._limit:
                raise errors.ObjectTooLarge(
                    f"{self._key}: an appended object ends at {self._limit} bytes"
                )

    def give(self, *, last: bool) -> None:
        """Hands the block over to the workers, which are started when there is more than this
        thread will do."""
        self._stream.give(self.pos, last=last)
        self.written += self.pos
        self._given += 1
        self.view, self.pos = None, 0
        self._events += 1
        if not last:
            self._start_workers()
        self.changed.notify_all()

    def raise_if_broken(self) -> None:
        if self.error is not None:
            raise StreamBroken(f"{self._key}: gave up: {self.error}") from self.error

    def _start_workers(self) -> None:
        while len(self._threads) < self._parallel:
            worker = threading.Thread(target=self._work, name=f"ossmedia {self._key}", daemon=True)
            self._threads.append(worker)
            worker.start()

    def give_partial(self) -> None:
        """Appends: sends what is in the block, however little it is."""
        with self.lock:
            if self.view is not None and self.pos and not self.over():
                self.give(last=False)

    def over(self) -> bool:
        """Nothing more will be given: ended, aborted or broken."""
        return self._ended or self._stop or self.error is not None

    # -- the workers' side

    def _work(self) -> None:
        """Pumps until the object is complete or given up. Any number of threads may run it; close()
        does, too."""
        while True:
            with self.lock:
                if not self._await_turn():
                    return
                # All that was given to an append is stored: asking the core would tell the same.
                if self._mode == APPEND and self.stored == self.written and not self._ended:
                    self.clock.wait(self.changed, None)
                    continue
                seen, number = self._events, self._generations.number
            try:
                self._session.prepare()
                state = self._stream.pump(self._stay_ms)
            except (StreamForeign, StreamFull) as why:
                self._next_generation(why, number)
            except Exception as error:
                self._failed(error)
            else:
                self._advance(state, seen)

    def _await_turn(self) -> bool:
        """Waits while all hold back; False: there is nothing to be done any more."""
        while not (self._stop or self._done or self.error is not None):
            until = self._failures.not_before
            left = until - self.clock.monotonic() if until else 0
            if left <= 0:
                return True
            self.clock.wait(self.changed, left)
        return False

    def _advance(self, state: int, seen: int) -> None:
        with self.lock:
            if state == IDLE:
                if seen == self._events and not self._stop:
                    self.clock.wait(self.changed, None)
                return
            self._events += 1
            self._done = self._done or state == DONE
            moved = self._look()
            # Asking OSS what it holds after a failed append is no progress yet.
            if self._done or self._mode != APPEND or moved:
                self._failures.clear()
            self.changed.notify_all()
            report = self._progress if moved else None
            stored = self.stored
        if report is not None:
            tell(report, stored, self._total)

    def _look(self) -> bool:
        """True: more is stored than at the last look."""
        before, self.stored = self.stored, self._stream.stored()
        return self.stored > before

    def _failed(self, error: Exception) -> None:
        if isinstance(error, errors.CallbackFailed):
            with self.lock:
                self.callback_error = error
                self._events += 1
            return
        with self.lock:
            if self._look():  # what went well before it
                self._failures.clear()
                self.changed.notify_all()
            attempt = self._failures.add(error, self.clock.monotonic())
        # Renewal may take its time: other workers go on meanwhile.
        delay = self._session.recover(error, attempt)
        with self.lock:
            now = self.clock.monotonic()
            if delay is None or now - self._failures.since > self._session.retry.give_up_after_s:
                self._break(error)
            else:
                self._failures.wait_until(now + delay)

    def _break(self, error: Exception) -> None:
        self.error = error
        if self.on_break is not None:
            self.on_break()
        self._events += 1
        self.changed.notify_all()

    def _next_generation(self, why: OssMediaError, number: int) -> None:
        """``number``: of the object written to when the pump that says why it must end began."""
        with self.lock:
            if number != self._generations.number:
                return  # another thread has gone on already
            if isinstance(why, StreamFull) and self._on_full == "raise":
                self._break(errors.ObjectTooLarge(f"{self._key}: {why}"))
                return
            try:
                self._generations.go_on(self._stream, why)
            except StreamBusy:
                return  # another thread's exchange is under way; it will be told the same
            except (OssMediaError, OverflowError, ValueError) as error:
                self._break(error)
                return
            self._events += 1
            self.changed.notify_all()

    # -- the end

    def sync(self, timeout_s: float | None) -> bool:
        """Sends what is there; True when OSS confirmed every byte written so far."""
        end = None if timeout_s is None else self.clock.monotonic() + timeout_s
        with self.lock:
            self.raise_if_broken()
            if self.view is not None and self.pos:
                self.give(last=False)
            goal = self.written
            while self.stored < goal:
                self.raise_if_broken()
                left = None if end is None else end - self.clock.monotonic()
                if left is not None and left <= 0:
                    return False
                self.clock.wait(self.changed, left)
        return True

    def finish(self) -> Receipt:
        """Sends the rest, waits until OSS has confirmed all, and frees everything."""
        with self.lock:
            self.raise_if_broken()
            self._ended = True
            if self.view is not None:
                self.give(last=True)
            else:
                self._stream.end()
                self._events += 1
                self.changed.notify_all()
        self._work()
        self._join()
        with self.lock:
            self.raise_if_broken()
            receipt = self._generations.receipt(self._stream.stats())
            self._stream.close()
        return receipt

    def abort(self) -> None:
        """Drops what was not sent and tells OSS to drop the parts; a failure of that is logged, a
        lifecycle rule is the second net."""
        self.forget()
        self._join()
        attempt = 0
        while True:
            try:
                self._session.prepare()
                if self._stream.pump() != SENT:
                    break
            except OssMediaError as error:
                attempt += 1
                last = attempt >= self._session.retry.attempts
                delay = None if last else self._session.recover(error, attempt)
                if delay is None:
                    warn("%s: the parts sent so far could not be dropped: %s", self._key, error)
                    break
                self.clock.sleep(delay)
        with self.lock:
            self._stream.close()

    def forget(self) -> None:
        """Drops what was not sent without a word to anybody; for finalisers."""
        self._stop = True
        # A collector may run this in a worker that holds the lock: then that worker sees _stop by
        # itself.
        if self.lock.acquire(timeout=0.2):
            self.view, self.pos = None, 0
            self._stream.abort()
            self.changed.notify_all()
            self.lock.release()

    def _join(self) -> None:
        for worker in self._threads:
            worker.join()
