"""An appended object without a buffer: each write is one AppendObject, and it is stored when the
write returns.

In flow the caller's buffers, read in place, out flow exchanges in the caller's own thread. It keeps
no memory and no thread, and never returns before OSS has confirmed position and CRC-64.

Source: OSS, AppendObject.
"""

from __future__ import annotations

import _warnings
import io
from _thread import allocate_lock

from ossmedia import errors
from ossmedia._native_stream import APPEND, DONE, Stream
from ossmedia.answer import StreamForeign, StreamFull
from ossmedia.errors import StreamBroken
from ossmedia.failures import Failures
from ossmedia.generations import Generations
from ossmedia.put import body_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Buffer

    from ossmedia.model import Credentials, Receipt
    from ossmedia.session import Session
    from ossmedia.spool import Spool

__all__ = ["Appender", "unbuffered"]

LARGEST = 5 << 30  # bytes: OSS's limit of an appended object


def unbuffered(
    session: Session, key: str, mode: str, spool: Spool | None, buffering: int, **options: Any
) -> Appender:
    """What ``Bucket.open`` returns when it is asked for a ``buffering``.

    Raises:
        ValueError, TypeError: naming the field.
    """
    if type(buffering) is not int or buffering != 0:
        raise ValueError(f"buffering: must be 0 where it is given, not {buffering!r}")
    if mode != "ab":
        raise ValueError(f'buffering: 0 is for mode "ab", not {mode!r}')
    if spool is not None:
        raise ValueError("buffering: 0 cannot be had with a spool, which stores to the disk first")
    return Appender(session, key, **options)


class Appender(io.RawIOBase):
    """One object being appended to; made by ``Bucket.open(key, "ab", buffering=0)``.

    ``close`` sets ``result``, and creates the object empty if nothing was written. Behind
    ``io.BufferedWriter`` it takes small writes, too, in the memory and at the moment of the
    caller's choice.

    Args:
        append_limit: bytes in one object; 0: OSS's 5 GiB.
        on_full: at that limit: "roll" goes on in ``key~g2``, as at bytes that are not ours;
            "raise" raises ``ObjectTooLarge``.

    Threads: writes of several go out one after the other.
    """

    def __init__(
        self,
        session: Session,
        key: str,
        *,
        headers: str = "",
        append_limit: int = 0,
        on_full: str = "roll",
    ) -> None:
        super().__init__()
        if on_full not in ("roll", "raise"):
            raise ValueError(f"on_full: must be 'roll' or 'raise', not {on_full!r}")
        self.name = key
        self.mode = "ab"
        self.result: Receipt | None = None
        self._session = session
        self._limit = append_limit or LARGEST
        self._on_full = on_full
        self._generations = Generations(key)
        self._lock = allocate_lock()
        self._written = 0
        self._broken: BaseException | None = None
        self._used: Credentials | None = None
        self._stream: Stream | None = Stream(
            session.store,
            key=key,
            mode=APPEND,
            block_size=0,
            block_count=0,
            append_limit=append_limit,
            headers=headers,
        )

    def write(self, data: Buffer, /) -> int:
        """Appends all of ``data`` (any contiguous buffer, read in place). Returns its length in
        bytes once OSS has confirmed them; failures are repeated as ``Retry`` says.

        Raises:
            TypeError: not a buffer. ValueError: closed. ObjectTooLarge: more than an object holds.
            StreamBroken: given up, now or before; what OSS had confirmed until then stays.
        """
        body = data if type(data) is bytes else body_of(data)
        size = len(body)
        with self._lock:
            stream = self._stream
            if stream is None or self._broken is not None:
                raise self._refusal()
            if size > self._limit:
                raise errors.ObjectTooLarge(
                    f"{self.name}: a write of {size} bytes, and an object ends at {self._limit}"
                )
            try:
                self._used = self._session.ready()
                stream.append(body)
            except BaseException as error:
                self._persist(error, stream, lambda: stream.append(body))
            finally:
                if isinstance(body, memoryview):
                    body.release()  # an error's traceback would keep it
            self._written += size
        return size

    def _refusal(self) -> Exception:
        if self._stream is None:
            return ValueError("I/O operation on closed file")
        why = str(self._broken) or type(self._broken).__name__
        refusal = StreamBroken(f"{self.name}: gave up: {why}")
        refusal.__cause__ = self._broken
        return refusal

    def _persist(
        self, error: BaseException | None, stream: Stream, step: Callable[[], object]
    ) -> None:
        """Repeats ``step`` after ``error`` until it is done or given up."""
        self._session.check_process()
        failures, stored = Failures(), stream.stored()
        try:
            while error is not None:
                if stored < stream.stored():
                    failures.clear()
                    stored = stream.stored()
                self._after(error, stream, failures)
                error = None
                try:
                    self._used = self._session.ready()
                    step()
                except Exception as again:
                    error = again
        except BaseException as final:
            # The core must forget the caller's memory, whatever ended this.
            self._broken = final.__cause__ or final
            stream.abort()
            raise

    def _after(self, error: BaseException, stream: Stream, failures: Failures) -> None:
        """Waits, renews or turns to another object, whatever makes the next try worth it; raises
        when nothing does."""
        if isinstance(error, StreamFull) and self._on_full == "raise":
            raise errors.ObjectTooLarge(f"{self.name}: {error}") from error
        if isinstance(error, StreamForeign | StreamFull):
            self._generations.go_on(stream, error)
            return
        if not isinstance(error, Exception):
            raise error
        clock = self._session.clock
        attempt = failures.add(error, clock.monotonic())
        delay = self._session.recover(error, attempt, self._used)
        since = clock.monotonic() - failures.since
        if delay is None or since > self._session.retry.give_up_after_s:
            raise StreamBroken(f"{self.name}: gave up: {error}") from error
        clock.sleep(delay)

    def close(self) -> None:
        """Ends the object; idempotent. Sets ``result``, unless a write gave up and said so.

        Raises:
            StreamBroken: nothing had been written, and the empty object could not be created.
        """
        self._session.check_process()
        with self._lock:
            stream, self._stream = self._stream, None
            super().close()
            if stream is None:
                return
            try:
                if self._broken is None:
                    stream.end()
                    self._complete(stream)
                    self.result = self._generations.receipt(stream.stats())
            finally:
                stream.close()

    def _complete(self, stream: Stream) -> None:
        def pump() -> None:
            while stream.pump() != DONE:
                pass

        try:
            self._used = self._session.ready()
            pump()
        except BaseException as error:
            self._persist(error, stream, pump)

    def __del__(self) -> None:
        # io's own finaliser calls close(), which would talk to the network from wherever the
        # collector runs.
        stream = getattr(self, "_stream", None)
        if stream is None:
            return
        # Not of ``warnings``, which the interpreter's end may have taken away.
        _warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        self._stream = None
        stream.close()

    # -- what io expects

    def writable(self) -> bool:
        self._check_open()
        return True

    def readinto(self, _buffer: Buffer, /) -> int:
        raise io.UnsupportedOperation("read")

    def tell(self) -> int:
        """Bytes written by this writer."""
        self._check_open()
        return self._written

    def _check_open(self) -> None:
        if self._stream is None:
            raise ValueError("I/O operation on closed file")

    def __repr__(self) -> str:
        state = "closed" if self._stream is None else "open"
        return f"<ossmedia.Appender {self.name!r} {state}>"
