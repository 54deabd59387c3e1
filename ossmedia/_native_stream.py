"""The border's part for streams: bytes into one object by blocks, which the C core holds and sends.

Blocks are lent to one writer and come back filled; pumps send them. It never retries, renews or
logs, and waits only where the caller says for how long.
"""

from __future__ import annotations

from _thread import allocate_lock

from ossmedia import process
from ossmedia._core import ffi, lib
from ossmedia._native import Handle, c_text, call, raise_error, text_of
from ossmedia.answer import StreamStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ossmedia._native import Store

__all__ = [
    "APPEND",
    "CREATE",
    "DONE",
    "IDLE",
    "PARTS_MAX",
    "PART_MIN",
    "REPLACE",
    "SENT",
    "Stream",
]

REPLACE, CREATE, APPEND = 0, 1, 2
DONE, SENT, IDLE = 0, 1, 2
PART_MIN = 102_400  # bytes: OSS's smallest part, so our smallest block
PARTS_MAX = 10_000
_append = lib.om_stream_append


class Stream(Handle):
    """Bytes into one object by blocks. One writer (take, give, end) beside any number of pumps; see
    ossmedia.h.

    Args:
        file: (descriptor, size in bytes, time of the last change in ns) of a file whose bytes go
            instead of the blocks': those are only counted.

    Raises:
        ValueError: naming the field and its limit.
    """

    _what = "stream"
    _free = lib.om_stream_free

    def __init__(
        self,
        store: Store,
        *,
        key: str,
        mode: int,
        block_size: int,
        block_count: int,
        append_limit: int = 0,
        headers: str = "",
        file: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        for name, number in (("block_size", block_size), ("block_count", block_count)):
            if not 0 <= number < 1 << 31:
                raise ValueError(f"{name}: must be 0 to 2,147,483,647")
        held = ffi.new("char[]", c_text("key", key)), ffi.new("char[]", c_text("headers", headers))
        source = ffi.NULL if file is None else ffi.new("om_file *", file)
        values = (held[0], mode, block_size, block_count, append_limit, held[1], source)
        options = ffi.new("om_options *", values)
        out = ffi.new("om_stream **")
        call(lib.om_stream_open, out, store.handle(), options)
        self._handle = out[0]
        self._block_size, self._counters = block_size, ffi.new("om_stats *")
        self._taken, self._seen = ffi.new("void **"), ffi.new("void **")
        self._error = ffi.new("om_error *")  # of ``append``
        self._awaiting = allocate_lock()

    def take(self) -> memoryview | None:
        """The block to fill; None when all are busy. The view is valid until the block is given."""
        if not call(lib.om_stream_take, self.handle(), 0, self._taken):
            return None
        return memoryview(ffi.buffer(self._taken[0], self._block_size))

    def await_free(self, most_ms: int) -> None:
        """Waits until a block is free or the stream is aborted, at most so long; ``take`` tells.
        Any thread may wait, one at a time; ``close`` waits for it."""
        with self._awaiting:
            lib.om_stream_take(self.handle(), most_ms, self._seen, ffi.NULL)

    def close(self) -> None:
        if self._forks != process.forks:
            super().close()  # a thread that waits there did not come along
            return
        with self._awaiting:
            super().close()

    def give(self, length: int, *, last: bool = False) -> None:
        """Hands over the taken block with `length` bytes in it."""
        call(lib.om_stream_give, self.handle(), length, last)

    def end(self) -> None:
        """Nothing follows; a block taken and not given is dropped."""
        call(lib.om_stream_give, self.handle(), 0, True)

    def pump(self, stay_ms: int = 0) -> int:
        """One exchange, or for ``stay_ms`` as many as there are: DONE, SENT or IDLE. After an error
        the next one tries the same again."""
        return call(lib.om_stream_pump, self.handle(), stay_ms)

    def append(self, data: Buffer) -> None:
        """A stream with ``block_count`` 0: appends ``data`` in place, until OSS has confirmed it.
        After an error the same call goes on; other bytes are refused. One thread at a time."""
        handle = self._handle
        if handle is None or self._forks != process.forks:
            handle = self.handle()  # says what is wrong
        # cffi takes bytes as they are, at a third of the price of from_buffer.
        lent = data if type(data) is bytes else ffi.from_buffer(data)
        try:
            code = _append(handle, lent, len(lent), self._error)
            if code < 0:
                raise_error(code, self._error)
        finally:
            if lent is not data:
                ffi.release(lent)

    def restart(self, key: str) -> None:
        """Appends: what is not yet acknowledged goes into the new object `key`."""
        call(lib.om_stream_restart, self.handle(), c_text("key", key))

    def abort(self) -> None:
        """Drops what was not sent; one more pump drops the parts at OSS. Nothing, once closed."""
        if self._handle is not None:
            lib.om_stream_abort(self.handle())

    def stats(self) -> StreamStats:
        out = ffi.new("om_stats *")
        lib.om_stream_get_stats(self.handle(), out)
        return StreamStats(out, *map(text_of, (out.etag, out.request_id, out.upload_id)))

    def stored(self) -> int:
        """bytes_stored of ``stats`` alone. For one thread at a time."""
        lib.om_stream_get_stats(self._handle, self._counters)
        return int(self._counters.bytes_stored)
