"""Reading one object by ranges, as a seekable binary file.

In flow positions and sizes, out flow exactly the bytes of the object that was there when it was
opened. It never takes more bytes than it asked for, and never joins bytes of two objects: every
range is asked for with the first ETag.
"""

from __future__ import annotations

import io
from _thread import RLock

from ossmedia.clock import from_http_date
from ossmedia.errors import IntegrityError, ProtocolError
from ossmedia.model import ObjectStat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ossmedia._native import Answer
    from ossmedia.session import Session

__all__ = ["Reader", "stat_object"]

BLOCK_SIZE = 256 << 10
LARGEST_RANGE = 8 << 20  # bytes of one request: what has to be read again after a failure


def stat_object(session: Session, key: str) -> ObjectStat:
    """What OSS says of an object (HEAD; needs oss:GetObject).

    Raises:
        NotFound, AccessDenied and other OssMediaError; ProtocolError: an answer without size, time
        or ETag.
    """
    answer = session.call("HEAD", key)
    headers = answer.headers
    try:
        modified_at = from_http_date(headers["last-modified"])
        etag = headers["etag"].strip('"')
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"HEAD without a usable {error}") from None
    if answer.content_length is None:
        raise ProtocolError("HEAD without a Content-Length")
    meta = sorted((k[11:], v) for k, v in headers.items() if k.startswith("x-oss-meta-"))
    return ObjectStat(
        key,
        answer.content_length,
        etag,
        modified_at,
        headers.get("x-oss-object-type", "Normal"),
        headers.get("x-oss-storage-class", "Standard"),
        answer.crc64,
        answer.next_position,
        headers.get("content-type", ""),
        tuple(meta),
    )


class Reader(io.BufferedIOBase):
    """A readable, seekable binary file over one object; ``mode`` is "rb", ``name`` the key,
    ``stat`` what HEAD said.

    Opening asks for size and ETag. An object that changes later gives PreconditionFailed, also one
    that grows by append: open it again and ``seek``. A read from the first byte to the last is
    compared with OSS's CRC-64.

    Args:
        session: the bucket's.
        key: of the object.
        block_size: bytes fetched at once for small reads, 1 to 8 MiB; larger reads go straight to
            the caller.
        verify_crc: compare the CRC-64 of a whole sequential read.

    Raises:
        NotFound, AccessDenied and other OssMediaError; ValueError: block_size.
    """

    mode = "rb"

    def __init__(
        self,
        session: Session,
        key: str,
        *,
        block_size: int = BLOCK_SIZE,
        verify_crc: bool = True,
    ) -> None:
        super().__init__()
        if not 1 <= block_size <= LARGEST_RANGE:
            raise ValueError(f"block_size: must be 1-{LARGEST_RANGE} bytes, not {block_size}")
        self._session = session
        self.name = key
        self.stat = stat_object(session, key)
        self._lock = RLock()
        self._position = 0
        self._block = bytearray(min(block_size, max(self.stat.size, 1)))
        self._block_start = 0
        self._block_end = 0
        self._crc = 0
        self._crc_end: int | None = 0 if verify_crc and self.stat.crc64 is not None else None

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return self.stat.size

    def readable(self) -> bool:
        self._check()
        return True

    def seekable(self) -> bool:
        self._check()
        return True

    def tell(self) -> int:
        self._check()
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves to a position, which may lie behind the end; the next read asks for it.

        Raises:
            ValueError: before the start, or an unknown ``whence``.
        """
        with self._lock:
            self._check()
            if whence not in (0, 1, 2):
                raise ValueError(f"whence: must be 0, 1 or 2, not {whence!r}")
            position = (0, self._position, self.stat.size)[whence] + offset
            if position < 0:
                raise ValueError(f"seek: position {position} lies before the start")
            self._position = position
            return position

    def readinto(self, buffer: Buffer, /) -> int:
        """Fills the buffer; fewer bytes only at the end."""
        view = memoryview(buffer).cast("B")
        with self._lock:
            self._check()
            wanted = min(len(view), max(self.stat.size - self._position, 0))
            done = 0
            while done < wanted:
                done += self._some(view[done:wanted])
            return wanted

    def readinto1(self, buffer: Buffer, /) -> int:
        """Fills the buffer with what one request gives at most."""
        view = memoryview(buffer).cast("B")
        with self._lock:
            self._check()
            wanted = min(len(view), max(self.stat.size - self._position, 0))
            return self._some(view[:wanted]) if wanted else 0

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes, all that are left for None and -1; fewer only at the end."""
        with self._lock:
            self._check()
            left = max(self.stat.size - self._position, 0)
            data = bytearray(left if size is None or size < 0 else min(size, left))
            self.readinto(data)
            return bytes(data)

    def read1(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, with one request at most; one block for -1."""
        with self._lock:
            self._check()
            left = max(self.stat.size - self._position, 0)
            data = bytearray(min(len(self._block) if size < 0 else size, left))
            count = self.readinto1(data)
            return bytes(data[:count])

    def peek(self, _size: int = 0, /) -> bytes:
        """What is at hand at the present position, at least one byte but at the end; the position
        stays."""
        with self._lock:
            self._check()
            if self._position >= self.stat.size:
                return b""
            self._load()
            return bytes(
                self._block[
                    self._position - self._block_start : self._block_end - self._block_start
                ]
            )

    def __repr__(self) -> str:
        return f"<ossmedia.Reader {self.name!r} {'closed' if self.closed else 'open'}>"

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on a closed file")

    def _some(self, view: memoryview) -> int:
        """Some bytes at the position, from the block or by one request; the view is not longer than
        what is left."""
        start = self._position
        inside = self._block_start <= start < self._block_end
        if not inside and len(view) >= len(self._block):
            count = min(len(view), LARGEST_RANGE)
            self._fetch(start, view[:count])
        else:
            self._load()
            at = start - self._block_start
            count = min(len(view), self._block_end - start)
            view[:count] = memoryview(self._block)[at : at + count]
        self._position = start + count
        return count

    def _load(self) -> None:
        """Makes the block hold the byte at the position, which is not the end."""
        if self._block_start <= self._position < self._block_end:
            return
        start = self._position
        count = min(len(self._block), self.stat.size - start)
        self._block_end = 0
        self._block_start = 0
        self._fetch(start, memoryview(self._block)[:count])
        self._block_start = start
        self._block_end = start + count

    def _fetch(self, start: int, view: memoryview) -> None:
        """Asks for exactly these bytes.

        Raises:
            PreconditionFailed: the object is another one by now. ProtocolError: the answer is of
                other bytes.
            IntegrityError: the whole was read, and its CRC-64 is not OSS's.
        """
        last = start + len(view) - 1
        answer = self._session.call(
            "GET",
            self.name,
            headers=f"Range: bytes={start}-{last}\nx-oss-range-behavior: standard\n"
            f'If-Match: "{self.stat.etag}"\n',
            out=view,
        )
        self._check_range(answer, start, last)
        if self._crc_end == start:
            from ossmedia._native import crc64

            self._crc = crc64(view, self._crc)
            self._crc_end = start + len(view)
            if self._crc_end == self.stat.size and self._crc != self.stat.crc64:
                raise IntegrityError(
                    f"{self.name!r}: CRC-64 of the bytes read is {self._crc}, "
                    f"OSS says {self.stat.crc64}"
                )

    def _check_range(self, answer: Answer, start: int, last: int) -> None:
        size = self.stat.size
        whole = answer.status == 200 and start == 0 and last == size - 1
        told = answer.headers.get("content-range", "")
        part = answer.status == 206 and told == f"bytes {start}-{last}/{size}"
        if not (whole or part) or answer.body_len != last - start + 1:
            raise ProtocolError(
                f"asked for bytes {start}-{last} of {size}, the answer is of "
                f"{told or answer.status!r} with {answer.body_len} bytes"
            )
