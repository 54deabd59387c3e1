"""A local file on its way into an object: read once, in small pieces, and held to what it was at
first.

In flows a path, out flow bytes to a writer. It never stores a file that changed while it was read.
"""

from __future__ import annotations

import os
import stat

from ossmedia.errors import ObjectTooLarge, OssMediaError
from ossmedia.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Protocol, Self

    from ossmedia.model import Receipt

    class Target(Protocol):
        """A writer: one that sends, or one that keeps."""

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


__all__ = ["Snapshot", "copy_file"]

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

    def copy_to(self, writer: Target) -> None:
        """Writes exactly ``size`` bytes.

        Raises:
            OssMediaError: the file changed meanwhile.
        """
        done = self._copy_straight(writer) if isinstance(writer, Writer) else self._copy(writer)
        last = os.fstat(self._fd)
        if done != self.size or (last.st_size, last.st_mtime_ns) != self._first:
            raise OssMediaError(f"path: the file changed while it was read: {self._path!r}")

    def _copy(self, writer: Target) -> int:
        """Through a small buffer; stops behind the size. Returns the bytes seen."""
        room = memoryview(bytearray(_PIECE))
        done = 0
        while count := os.readv(self._fd, [room]):
            done += count
            if done > self.size:
                break
            writer.write(room[:count])
        return done

    def _copy_straight(self, writer: Writer) -> int:
        """The same from the file into the writer's blocks."""
        done = 0
        while done < self.size:
            count = writer.read_from(self._read, min(_PIECE, self.size - done))
            if count == 0:
                return done
            done += count
        return done + len(os.read(self._fd, 1))  # one byte more: the file has grown

    def _read(self, room: memoryview) -> int:
        return os.readv(self._fd, [room])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)


def copy_file(
    path: str | os.PathLike[str],
    open_writer: Callable[..., Target],
    least_block: int,
    progress: Callable[[int, int], object] | None,
) -> Receipt | None:
    """A file into an object.

    Args:
        open_writer: opens the object, given block_size, progress and total.
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
