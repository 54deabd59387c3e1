"""Content on disk: files with random names, written before the row that makes them visible.

What flows in: bytes of one request body, piece by piece. What flows out: segments (file, offset,
length) with their size, CRC-64 and MD5. No object key ever becomes part of a path, no file is
changed below a committed length, and no body is held in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from . import crc64

MEMORY_SIZE = 256 * 1024
"""Bytes of a body that stay in memory before a file is made for them."""

READ_SIZE = 256 * 1024


class Segment(NamedTuple):
    """A run of stored bytes; *blob* is empty when the content was discarded (ledger mode)."""

    blob: str
    offset: int
    length: int


class Content(NamedTuple):
    """A finished body: where its bytes are, and what they add up to."""

    segments: tuple[Segment, ...]
    size: int
    crc: int
    md5: bytes

    @property
    def etag(self) -> str:
        """MD5 in upper-case hex, the ETag of a plain object or part."""
        return self.md5.hex().upper()


class Blobs:
    """The directory of content files.

    Args:
        directory: made if missing.
        discard: keep lengths and sums, but no bytes.
    """

    def __init__(self, directory: Path, *, discard: bool = False) -> None:
        self.discard = discard
        self._directory = directory
        self._pins: Counter[str] = Counter()
        self._doomed: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)

    def _path(self, blob: str) -> str:
        return f"{self._directory}/{blob[:2]}/{blob}"

    def create(self) -> tuple[str, int]:
        """A new empty file: its name and an open descriptor."""
        blob = secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return blob, os.open(self._path(blob), flags, 0o600)
        except FileNotFoundError:
            (self._directory / blob[:2]).mkdir(exist_ok=True)
            return blob, os.open(self._path(blob), flags, 0o600)

    def write_at(self, blob: str, offset: int, data: bytes) -> None:
        """Write *data* behind the committed bytes of a file that grows."""
        descriptor = os.open(self._path(blob), os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(descriptor, data, offset)
        finally:
            os.close(descriptor)

    def pin(self, segments: Iterable[Segment]) -> None:
        """Keep the files of *segments* until :meth:`unpin`, whatever happens to their object."""
        self._pins.update(segment.blob for segment in segments)

    def unpin(self, segments: Iterable[Segment]) -> None:
        """Undo one :meth:`pin`; removes files whose last object went away meanwhile."""
        for segment in segments:
            self._pins[segment.blob] -= 1
            if self._pins[segment.blob] <= 0:
                del self._pins[segment.blob]
                if segment.blob in self._doomed:
                    self.remove(segment.blob)

    def remove(self, blob: str) -> None:
        """Delete a file now, or when its last reader is done."""
        if self._pins[blob] > 0:
            self._doomed.add(blob)
            return
        self._pins.pop(blob, None)
        self._doomed.discard(blob)
        if blob:
            Path(self._path(blob)).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Every file in the directory."""
        for shard in self._directory.iterdir():
            if shard.is_dir():
                yield from (path.name for path in shard.iterdir())

    def read(self, segments: Iterable[Segment], start: int, length: int) -> Iterator[bytes]:
        """The bytes from *start* of what *segments* make up, in pieces of at most 256 KiB."""
        for segment in cut(segments, start, length):
            descriptor = os.open(self._path(segment.blob), os.O_RDONLY | os.O_CLOEXEC)
            try:
                offset, end = segment.offset, segment.offset + segment.length
                while offset < end:
                    piece = os.pread(descriptor, min(READ_SIZE, end - offset), offset)
                    if not piece:
                        raise OSError(f"content file {segment.blob} is shorter than recorded")
                    offset += len(piece)
                    yield piece
            finally:
                os.close(descriptor)


def cut(segments: Iterable[Segment], start: int, length: int) -> list[Segment]:
    """The segments that cover *length* bytes from *start*."""
    found: list[Segment] = []
    for blob, offset, size in segments:
        if length <= 0:
            break
        if start >= size:
            start -= size
            continue
        taken = min(size - start, length)
        found.append(Segment(blob, offset + start, taken))
        start, length = 0, length - taken
    return found


def _write_all(descriptor: int, data: bytes | bytearray, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


class Spool:
    """One body on its way in. Use :meth:`finish` or :meth:`drop` exactly once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._memory = bytearray()
        self._blob = ""
        self._descriptor = -1
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        self.crc = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._md5.update(data)
        self.crc = crc64.update(self.crc, data)
        if not self._blobs.discard:
            if self._descriptor < 0 and self.size + len(data) <= MEMORY_SIZE:
                self._memory += data
            else:
                self._spill()
                _write_all(self._descriptor, data, self.size)
        self.size += len(data)

    def _spill(self) -> None:
        if self._descriptor < 0:
            self._blob, self._descriptor = self._blobs.create()
            _write_all(self._descriptor, self._memory, 0)
            self._memory = bytearray()

    @property
    def memory(self) -> bytes | None:
        """The whole body while it is still in memory, else None."""
        return bytes(self._memory) if self._descriptor < 0 else None

    @property
    def md5(self) -> bytes:
        """The MD5 of what came so far."""
        return self._md5.digest()

    def finish(self) -> Content:
        """Put the last byte on disk and describe the content, which is the caller's from here."""
        segments: tuple[Segment, ...] = ()
        if self.size and self._blobs.discard:
            segments = (Segment("", 0, self.size),)
        elif self.size:
            self._spill()
            os.close(self._descriptor)
            self._descriptor = -1
            segments = (Segment(self._blob, 0, self.size),)
        return Content(segments, self.size, self.crc, self.md5)

    def drop(self) -> None:
        """Forget the body; nothing of it stays on disk. Harmless after :meth:`finish`."""
        self._memory = bytearray()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._blobs.remove(self._blob)
