"""A file object that writes into the spool: the same words as a direct writer, but nothing waits
for the network, and nothing is lost with the process.

In flow the caller's buffers, out flow bytes that are the kernel's when ``write`` returns. It keeps
no byte in memory.
"""

from __future__ import annotations

import _warnings
import io
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol

    from typing_extensions import Buffer

    from ossmedia.model import Receipt
    from ossmedia.spool_item import Item

    class Keeper(Protocol):
        """The spool, as a writer sees it."""

        def take(self, item: Item, data: memoryview, timeout_s: float | None) -> int: ...
        def commit(self, timeout_s: float | None) -> None: ...
        def end(self, item: Item) -> None: ...
        def forget(self, item: Item) -> None: ...


__all__ = ["SpoolWriter"]


class SpoolWriter(io.BufferedIOBase):
    """One object being written into a spool; made by ``Bucket.open`` of a bucket with a spool.

    ``write`` survives kill -9 when it returns, ``sync`` and ``close`` a power cut. ``close`` ends
    the object; it is delivered whenever that is possible, ``result`` is None until then. Leaving
    ``with`` by an exception forgets ``wb`` and ``xb`` and keeps ``ab``; ``on_error`` turns it
    round. Any thread may write; a call's bytes stay together.
    """

    def __init__(
        self, spool: Keeper, item: Item, write_timeout_s: float | None, on_error: str | None
    ) -> None:
        self.name = item.key
        self.mode = item.mode
        self._spool = spool
        self._item = item
        self._timeout_s = write_timeout_s
        self._abort_on_error = (on_error or ("keep" if item.mode == "ab" else "abort")) == "abort"
        self._one = allocate_lock()
        self._closed = False

    @property
    def result(self) -> Receipt | None:
        """What OSS confirmed; None until the whole object is delivered."""
        return self._item.receipt

    def write(self, data: Buffer, /) -> int:
        """Takes all of ``data`` (any contiguous buffer). Returns its length in bytes: they are the
        kernel's now.

        Raises:
            TypeError: not a buffer. ValueError: closed. BufferError: not contiguous.
            SpoolFull: no room, by the policy; ``characters_written`` bytes were taken.
            SpoolError: the disk failed. StreamBroken: the object was dropped to make room.
            ObjectTooLarge: the object would pass 10,000 blocks (or, with on_full="raise", the
                append limit).
        """
        with memoryview(data) as source:
            if not source.c_contiguous:
                raise BufferError("data: must be contiguous")
            with source.cast("B") as view, self._one:
                self._check_open()
                return self._spool.take(self._item, view, self._timeout_s)

    def flush(self) -> None:
        """Nothing to do: ``write`` keeps nothing back. ``sync`` is the durable call."""
        self._check_open()

    def sync(self, timeout_s: float | None = None) -> None:
        """Returns when every byte written so far is on stable storage.

        Raises:
            RequestTimeout: not within ``timeout_s``; nothing is lost. SpoolError: the disk failed.
        """
        self._check_open()
        self._spool.commit(timeout_s)

    def close(self) -> None:
        """Ends the object, durably; idempotent.

        Raises:
            SpoolError: the disk failed; what was written is still delivered if it can be read.
        """
        with self._one:
            if self._closed:
                return
            self._closed = True
        self._spool.end(self._item)

    def abort(self) -> None:
        """Forgets the object: what OSS has not confirmed of it is dropped, with a tombstone."""
        with self._one:
            if self._closed:
                return
            self._closed = True
        self._spool.forget(self._item)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and self._abort_on_error:
            self.abort()
            return
        self.close()

    def __del__(self) -> None:
        # io's own finaliser calls close(), which waits for the disk wherever the collector runs.
        if getattr(self, "_closed", True):
            return
        self._closed = True
        text = f"unclosed {self!r}: its object ends when the spool is opened again"
        _warnings.warn(text, ResourceWarning, source=self, stacklevel=2)

    # -- what io expects

    @property
    def closed(self) -> bool:
        return self._closed

    def writable(self) -> bool:
        self._check_open()
        return True

    def readable(self) -> bool:
        self._check_open()
        return False

    def seekable(self) -> bool:
        """False: what was written may have been sent."""
        self._check_open()
        return False

    def tell(self) -> int:
        """Bytes written by this writer."""
        self._check_open()
        return self._item.end

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed file")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<ossmedia.SpoolWriter {self.name!r} mode={self.mode!r} {state}>"
