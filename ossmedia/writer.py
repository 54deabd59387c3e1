"""A file object that writes one OSS object: ``wb`` and ``xb`` of any length in bounded memory,
``ab`` readable while it grows.

In flow the caller's buffers, out flow full blocks to the pump. ``write`` copies into memory that
was taken at open and returns; it never waits for the network unless every block is full, and never
crosses into C for a small write.
"""

from __future__ import annotations

import _warnings
import io
from _thread import allocate_lock
from _weakref import ref

from ossmedia import errors
from ossmedia._native_stream import APPEND, CREATE, REPLACE
from ossmedia.gather import BUFFER, Blocks, Lingering
from ossmedia.pump import Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Buffer

    from ossmedia.model import Receipt
    from ossmedia.session import Session

__all__ = ["Writer"]

_MODES = {"wb": REPLACE, "xb": CREATE, "ab": APPEND}


class Writer(io.BufferedIOBase):
    """One object being written; made by ``Bucket.open``.

    ``close`` finishes the object and sets ``result``. Leaving ``with`` by an exception aborts
    ``wb`` and ``xb`` (no object, no orphan parts) and keeps what arrived for ``ab``;
    ``on_error="keep"`` or ``"abort"`` says otherwise.

    Memory: block_size * blocks bytes, taken at open, whatever the object's size.

    Args:
        mode: "wb" replaces, "xb" never overwrites, "ab" appends.
        block_size: bytes, 102,400 to 1 GiB; one block is one request. ``wb`` ends at 10,000 blocks.
        blocks: 2-1,024.
        parallel: blocks on their way at the same time, 1-64; appends go one by one.
        linger_s: ``ab``: a part-filled block is sent after so many seconds.
        write_timeout_s: how long ``write`` may wait for a free block; None: as long as the upload
        is alive.
        on_full: ``ab`` at ``append_limit`` bytes (OSS: 5 GiB): "roll" goes on in ``key~g2``,
        "raise" raises
            ``ObjectTooLarge`` early.

    Raises:
        StreamBroken: from write, sync or close, once the upload was given up; ``__cause__`` says
        why.
    """

    def __init__(
        self,
        session: Session,
        key: str,
        mode: str,
        *,
        block_size: int = 1 << 20,
        blocks: int = 4,
        parallel: int = 2,
        headers: str = "",
        linger_s: float = 1.0,
        write_timeout_s: float | None = None,
        on_error: str | None = None,
        append_limit: int = 0,
        on_full: str = "roll",
        progress: Callable[[int, int | None], object] | None = None,
        total: int | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode: must be 'wb', 'xb' or 'ab', not {mode!r}")
        if on_error not in (None, "abort", "keep"):
            raise ValueError(f"on_error: must be 'abort' or 'keep', not {on_error!r}")
        if on_full not in ("roll", "raise"):
            raise ValueError(f"on_full: must be 'roll' or 'raise', not {on_full!r}")
        if not 1 <= parallel <= 64:
            raise ValueError(f"parallel: must be 1-64, not {parallel}")
        if not linger_s >= 0:
            raise ValueError(f"linger_s: must be 0 or more, not {linger_s}")
        self.name = key
        self.mode = mode
        self.result: Receipt | None = None
        self._abort_on_error = (on_error or ("keep" if mode == "ab" else "abort")) == "abort"
        self._closing = allocate_lock()
        self._closed = True
        self._pump = Pump(
            session,
            key,
            _MODES[mode],
            block_size=block_size,
            blocks=blocks,
            parallel=parallel,
            headers=headers,
            append_limit=append_limit,
            on_full=on_full,
            progress=progress,
            total=total,
        )
        self._raw = Blocks(self._pump, write_timeout_s)
        self._buffered = io.BufferedWriter(self._raw, BUFFER)
        self._closed = False
        self.__dict__["write"] = self._buffered.write
        mine = ref(self)
        self._pump.on_break = lambda: _slow_down(mine())
        self._lingering = Lingering(self._pump, self._buffered.flush, linger_s)
        if mode == "ab":
            self._lingering.start()

    # -- writing

    def write(self, data: Buffer, /) -> int:
        """Takes all of ``data`` (any contiguous buffer; it is copied). Returns its length in bytes.

        Raises:
            TypeError: not a buffer. ValueError: closed. BufferError: not contiguous.
            StreamBroken: the upload was given up.
            BlockingIOError: every block stayed full for ``write_timeout_s``;
                ``characters_written`` bytes were taken.
            ObjectTooLarge: the object would pass 10,000 blocks (or, with on_full="raise", the
                append limit); told when the bytes reach a block, at the latest by close.
        """
        # While all is well the instance's own ``write`` is the buffer's, at the cost of C. This one
        # stands behind it for a writer that was closed or given up.
        self._check_open()
        self._pump.raise_if_broken()
        return self._buffered.write(data)

    def flush(self) -> None:
        """Cheap, as picamera2 calls it after every frame: sends nothing. ``sync`` is the durable
        call."""
        self._check_open()
        self._pump.raise_if_broken()

    def sync(self, timeout_s: float | None = None) -> None:
        """``ab``: returns when OSS has confirmed every byte written so far, by position and CRC-64.

        Raises:
            RequestTimeout: not within ``timeout_s``; nothing is lost, the upload goes on.
            io.UnsupportedOperation: ``wb`` and ``xb`` become durable as a whole, at close.
        """
        self._check_open()
        if self.mode != "ab":
            raise io.UnsupportedOperation(
                f"sync: a {self.mode!r} object becomes durable as a whole, at close()"
            )
        try:
            self._buffered.flush()
            done = self._pump.sync(timeout_s)
        except BlockingIOError:
            done = False
        if not done:
            raise errors.RequestTimeout(f"{self.name}: not all confirmed within {timeout_s} s")

    # -- the end

    def close(self) -> None:
        """Sends the rest and finishes the object; idempotent. Sets ``result``.

        Raises:
            StreamBroken: the upload was given up. CallbackFailed: the object is stored, its
            callback failed.
        """
        with self._closing:
            if self._closed:
                return
            self._raw.timeout_s = None
            try:
                self._buffered.flush()
                self._lingering.stop()
                self._lingering.join()
                self.result = self._pump.finish()
            except errors.OssMediaError:
                self._give_up()
                raise
            self._end()
        if self._pump.callback_error is not None:
            raise self._pump.callback_error

    def abort(self) -> None:
        """Drops what was not sent: ``wb`` and ``xb`` leave neither object nor parts, ``ab`` keeps
        what arrived."""
        with self._closing:
            if not self._closed:
                self._give_up()

    def _give_up(self) -> None:
        self._lingering.stop()
        self._pump.forget()
        self._lingering.join()
        self._end()
        self._pump.abort()

    def _end(self) -> None:
        """From here on nothing is taken any more, and what is still buffered goes nowhere."""
        self._closed = True
        self.__dict__.pop("write", None)
        self._raw.pump = None
        self._buffered.close()

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
        # io's own finaliser calls close(), which would talk to the network from wherever the
        # collector runs.
        if getattr(self, "_closed", True):
            return
        self._closed = True
        self._lingering.stop()
        self._pump.forget()
        self._raw.pump = None
        _warnings.warn(
            f"unclosed {self!r}: its last bytes are lost",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )

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
        """False: what was sent cannot be taken back."""
        self._check_open()
        return False

    def tell(self) -> int:
        """Bytes written by this writer."""
        self._check_open()
        return self._buffered.tell()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed file")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<ossmedia.Writer {self.name!r} mode={self.mode!r} {state}>"


def _slow_down(writer: Writer | None) -> None:
    if writer is not None:
        writer.__dict__.pop("write", None)
