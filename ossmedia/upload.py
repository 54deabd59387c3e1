"""A local file on its way into an object, held to what it was at first.

In flows a path, out flow blocks of a file that the core reads while it sends them, or bytes to a
writer that keeps them. It never stores a file that changed while it was read.
"""

from __future__ import annotations

import os
import stat

from ossmedia._native_stream import CREATE, REPLACE
from ossmedia.answer import FileLost
from ossmedia.errors import ObjectTooLarge, OssMediaError, StreamBroken
from ossmedia.pump import Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Protocol, Self

    from ossmedia.model import Receipt
    from ossmedia.session import Session

    class Target(Protocol):
        """A writer that keeps what it is given."""

        @property
        def result(self) -> Receipt | None: ...
        def write(self, data: memoryview, /) -> int: ...
        def __enter__(self) -> Self: ...
        def __exit__(
            self,
            kind: type[BaseException] | None,
            value: BaseException | None,
            trace: TracebackType | None,
        ) -> None: ...


__all__ = ["Snapshot", "copy_file", "store_file"]

MOST_PARTS = 10_000
LARGEST_BLOCK = 1 << 30
_MIB = 1 << 20
_PIECE = 256 << 10


class Snapshot:
    """A regular file, open for reading; ``size`` is its size at that moment.

    Raises:
        OSError: it cannot be opened. ValueError: it is no regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        # Not blocking: opening a pipe must give an error, not wait for its other end.
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        first = os.fstat(self._fd)
        if not stat.S_ISREG(first.st_mode):
            os.close(self._fd)
            raise ValueError(f"path: must be a regular file: {self._path!r}")
        self._first = (first.st_size, first.st_mtime_ns)
        self.size = first.st_size

    def block_size(self, least: int) -> int:
        """Bytes of a block, at least ``least``, so that 10,000 of them suffice.

        Raises:
            ObjectTooLarge: the blocks would be larger than 1 GiB.
        """
        needed = -(-self.size // MOST_PARTS)
        if needed <= least:
            return least
        block = -(-needed // _MIB) * _MIB
        if block > LARGEST_BLOCK:
            most = MOST_PARTS * LARGEST_BLOCK
            raise ObjectTooLarge(f"path: at most {most} bytes, not {self.size}")
        return block

    def report(self, progress: Callable[[int, int], object]) -> Callable[[int, object], None]:
        """The callback for a writer: "done" only rises, and reaches the size once."""
        told = -1

        def report(stored: int, _total: object) -> None:
            nonlocal told
            if told < stored <= self.size:
                told = stored
                progress(stored, self.size)

        return report

    @property
    def source(self) -> tuple[int, int, int]:
        """For ``Pump``: the file, and what it must still be at the end."""
        return self._fd, *self._first

    def check(self) -> None:
        """Raises OssMediaError: the file is not what it was when it was opened."""
        last = os.fstat(self._fd)
        if (last.st_size, last.st_mtime_ns) != self._first:
            raise self.lost("the file changed while it was read")

    def lost(self, why: object) -> OssMediaError:
        return OssMediaError(f"path: {why}: {self._path!r}")

    def copy_to(self, writer: Target) -> None:
        """Writes exactly ``size`` bytes through a small buffer.

        Raises:
            OssMediaError: the file changed meanwhile.
        """
        room = memoryview(bytearray(_PIECE))
        done = 0
        while count := os.readv(self._fd, [room]):
            done += count
            if done > self.size:
                break
            writer.write(room[:count])
        if done != self.size:
            raise self.lost("the file changed while it was read")
        self.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)


def store_file(
    session: Session,
    path: str | os.PathLike[str],
    key: str,
    progress: Callable[[int, int], object] | None,
    overwrite: bool,
    headers: str,
    *,
    block_size: int,
    blocks: int,
    parallel: int,
) -> Receipt:
    """A file into an object. Each worker reads a part while it sends it, piece by piece, and again
    for each repetition: 256 KiB of memory for each of ``blocks``, whatever their size.

    Args:
        progress: see ``Bucket.upload``. block_size: at least; see ``Snapshot.block_size``. The
            others: see ``Pump``.

    Raises:
        OSError: the file cannot be read, or changed. ObjectTooLarge. Others as ``Writer.close``.
    """
    with Snapshot(path) as file:
        report = None if progress is None else file.report(progress)
        pump = Pump(
            session,
            key,
            REPLACE if overwrite else CREATE,
            block_size=file.block_size(block_size),
            blocks=blocks,
            parallel=parallel,
            headers=headers,
            progress=report,
            total=file.size,
            file=file.source,
        )
        try:
            receipt = _sent(pump, file)
        except BaseException:
            pump.abort()
            raise
    if pump.callback_error is not None:
        raise pump.callback_error
    if report is not None:
        report(receipt.size, receipt.size)
    return receipt


def _sent(pump: Pump, file: Snapshot) -> Receipt:
    try:
        left = file.size
        while left:
            left -= pump.count(left)
        file.check()  # a file of no bytes has no part whose end would tell
        return pump.finish()
    except StreamBroken as broken:
        if isinstance(broken.__cause__, FileLost):
            raise file.lost(broken.__cause__) from None
        raise


def copy_file(
    path: str | os.PathLike[str],
    open_writer: Callable[..., Target],
    least_block: int,
    progress: Callable[[int, int], object] | None,
) -> Receipt | None:
    """A file into a writer that keeps it.

    Args:
        open_writer: opens it, given block_size, progress and total.
        least_block: bytes of a block; more for a file that would need over 10,000 of them.
        progress: called with bytes done and bytes in all; see ``Bucket.upload``.

    Returns:
        What OSS confirmed; None when a spool has it.

    Raises:
        OSError: the file cannot be read, or changed. ObjectTooLarge.
    """
    with Snapshot(path) as source:
        report = None if progress is None else source.report(progress)
        block_size = source.block_size(least_block)
        with open_writer(block_size=block_size, progress=report, total=source.size) as writer:
            source.copy_to(writer)
    if report is not None and writer.result is not None:
        report(source.size, source.size)
    return writer.result
