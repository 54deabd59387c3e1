"""The spool's data files on the writing side: blocks added at the end, made durable, thrown away.

In flow a caller's bytes, out flow a file that another process can read after this one was killed:
bytes are the kernel's when ``append`` returns. A block that a commit made durable is never written
again; the last one, not yet committed, grows in place.
"""

from __future__ import annotations

import os

from ossmedia._native import crc64
from ossmedia.spool_blocks import (
    BLOCK_HEADER,
    LARGEST_BLOCK,
    PAGE,
    FileHeader,
    aligned,
    block_header,
)

__all__ = [
    "GATHERED",
    "UNFINISHED",
    "Extent",
    "Tail",
    "file_name",
    "parse_file_name",
    "sync_folder",
    "unlink",
]

GATHERED = 64 << 10  # bytes: small writes share a block up to this; its header is 0.05 % of them
UNFINISHED = ".new"  # behind the name of a file that does not count yet
_SUFFIX = ".oms"


def file_name(item: int, number: int) -> str:
    """The name of an object's data file: numbers alone, whatever the object's key."""
    return f"{item:016x}-{number:06x}{_SUFFIX}"


def parse_file_name(name: str) -> tuple[int, int] | None:
    """Object and number of a data file; None for any other file."""
    item, dash, number = name.removesuffix(_SUFFIX).partition("-")
    if not (dash and name.endswith(_SUFFIX) and len(item) == 16 and len(number) >= 6):
        return None
    try:
        return int(item, 16), int(number, 16)
    except ValueError:
        return None


def sync_folder(path: str) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Extent:
    """Bytes [start, end) of a stream that stand in one file.

    Fields: ``size`` of the file in bytes; ``salt`` and ``first`` block's place, as its header says;
    ``sealed``: it is complete, durable and known to the state.
    """

    __slots__ = ("end", "first", "number", "path", "salt", "sealed", "size", "start")

    def __init__(
        self,
        path: str,
        number: int,
        start: int,
        end: int,
        *,
        size: int,
        salt: int,
        first: int,
        sealed: bool = False,
    ) -> None:
        self.path = path
        self.number = number
        self.start = start
        self.end = end
        self.size = size
        self.salt = salt
        self.first = first
        self.sealed = sealed


class Tail:
    """The file that an object's writer adds to. Not safe for threads: the object's lock guards it.

    Attributes: ``extent``: what it holds, grown with every append; ``synced``: the stream's bytes
    before this one are on stable storage.

    Args:
        words: what the file says of its object.

    Raises:
        OSError: the file cannot be made; then there is none.
    """

    def __init__(
        self, path: str, item: int, number: int, start: int, synced: int, words: bytes
    ) -> None:
        salt = int.from_bytes(os.urandom(8), "little")
        header = FileHeader(item, number, start, salt, words)
        raw = header.pack()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(path, flags, 0o600)
        try:
            _write(self.fd, raw, b"", 0)
        except OSError:
            os.close(self.fd)
            unlink(path)
            raise
        self.extent = Extent(path, number, start, start, size=len(raw), salt=salt, first=len(raw))
        self.synced = synced
        self.named = False  # its name is durable
        self.poisoned = False  # a sync failed: what it holds behind the last good one may be lost
        self._at = len(raw)  # of the last block's header
        self._length = 0  # of its payload; 0: there is none that may grow
        self._before = self._after = 0  # CRC-64 of the file's payload without it, and with it
        self._block_synced = synced
        self._new_page = False

    def append(self, data: memoryview) -> None:
        """Adds at most LARGEST_BLOCK bytes, or, when it fails, none.

        Raises:
            OSError.
        """
        assert len(data) <= LARGEST_BLOCK
        if self._length and self._length + len(data) <= GATHERED:
            self._extend(data)
        else:
            self._begin(data)
        self.extent.end += len(data)

    def _begin(self, data: memoryview) -> None:
        extent = self.extent
        at = aligned(extent.size, PAGE if self._new_page else BLOCK_HEADER)
        before, after = self._after, crc64(data, self._after)
        self._put(self._header(len(data), extent.end, before, after, self.synced), data, at)
        self._at, self._length, self._before, self._after = at, len(data), before, after
        self._block_synced, self._new_page = self.synced, False
        extent.size = at + BLOCK_HEADER + len(data)

    def _extend(self, data: memoryview) -> None:
        """The payload first, then the header that makes it count: killed in between, the block is
        as it was. A header lies within one page, which is written as a whole."""
        extent = self.extent
        after, length = crc64(data, self._after), self._length + len(data)
        offset = extent.end - self._length
        header = self._header(length, offset, self._before, after, self._block_synced)
        self._put(b"", data, extent.size)
        self._put(header, b"", self._at)
        self._length, self._after = length, after
        extent.size += len(data)

    def _header(self, length: int, offset: int, before: int, after: int, synced: int) -> bytes:
        extent = self.extent
        return block_header(extent.salt, extent.start, length, offset, before, after, synced)

    def _put(self, header: bytes, data: memoryview | bytes, at: int) -> None:
        try:
            _write(self.fd, header, data, at)
        except OSError:
            if at >= self.extent.size:
                _cut(self.fd, self.extent.size)
            raise

    def freeze(self, *, page: bool = False) -> None:
        """The last block will not grow any more: somebody is about to read it, or, with ``page``,
        to make it durable; what follows that begins on a new page."""
        self._length = 0
        if page and not self._new_page:
            self._new_page = True
            self._fill_page()

    def _fill_page(self) -> None:
        """Zeros to the page's end. A file that grows from the middle of a page makes newer kernels
        write that page a second time: half a percent of a camera's video, on flash."""
        extent = self.extent
        rest = aligned(extent.size, PAGE) - extent.size
        try:
            _write(self.fd, b"", bytes(rest), extent.size)
        except OSError:
            return  # it only costs that page
        extent.size += rest

    def rename(self) -> None:
        """From now on it counts. Raises OSError."""
        path = self.extent.path.removesuffix(UNFINISHED)
        os.rename(self.extent.path, path)
        self.extent.path = path

    def remove(self) -> None:
        """The file goes; see ``unlink``."""
        self.close()
        unlink(self.extent.path)

    def close(self) -> None:
        """Gives the descriptor back; the file stays."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _write(fd: int, header: bytes, data: memoryview | bytes, at: int) -> None:
    """All of both; a signal or a short write in between does not matter.

    Raises:
        OSError: also when nothing was taken, which is a full disk.
    """
    size = len(header) + len(data)
    done = os.pwritev(fd, [header, data], at)
    rest = memoryview(data)
    while done < size:
        if done < len(header):
            count = os.pwritev(fd, [header[done:], data], at + done)
        else:
            count = os.pwrite(fd, rest[done - len(header) :], at + done)
        if count <= 0:
            import errno

            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += count


def unlink(path: str) -> None:
    """If the disk refuses even that, the next opening finds the file."""
    try:
        os.unlink(path)
    except OSError:
        return


def _cut(fd: int, size: int) -> None:
    """What a failed write left behind its end; leaving it there would do no harm."""
    try:
        os.ftruncate(fd, size)
    except OSError:
        return
