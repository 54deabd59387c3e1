"""Reading one object by ranges, as a seekable binary file.

In flow positions and sizes, out flow exactly the bytes of the object that was there when it was
opened. It never takes more bytes than it asked for, and never joins bytes of two objects: every
range is asked for with the ETag, and an appended object that has grown proves by its CRC-64 that it
still begins with what it was.
"""

from __future__ import annotations

import io
from _thread import RLock

from ossmedia.clock import from_http_date
from ossmedia.errors import IntegrityError, PreconditionFailed, ProtocolError
from ossmedia.model import ObjectStat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ossmedia.answer import Answer
    from ossmedia.session import Session

__all__ = ["Reader", "stat_object"]

BLOCK_SIZE = 256 << 10
_TRIES = 10  # at an object that grows faster than it can be looked at
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

    Opening asks for size and ETag. An object that is replaced later gives PreconditionFailed. One
    that grows by append is read as it was at opening, until ``refresh`` takes its present size. A
    read from the first byte to the last is compared with OSS's CRC-64.

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
        self._known = self.stat  # the latest state that is proven to continue ``stat``
        self._lock = RLock()
        self._position = 0
        self._block_size = block_size
        self._block = bytearray(min(block_size, max(self.stat.size, 1)))
        self._block_start = 0
        self._block_end = 0
        self._crc = 0
        self._crc_end: int | None = 0 if verify_crc and self.stat.crc64 is not None else None

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return self.stat.size

    def refresh(self) -> int:
        """Takes the present size of an object that grows by append; returns it. The position stays.

        Raises:
            PreconditionFailed: by now it is another object, or one that does not grow.
        """
        with self._lock:
            self._check()
            for _ in range(_TRIES):
                known = self._known
                now = stat_object(self._session, self.name)
                same = (now.etag, now.size) == (known.etag, known.size)
                if not same and not self._grow(now):
                    continue
                self.stat = self._known
                room = min(self._block_size, max(self.stat.size, 1))
                if len(self._block) < room:
                    self._block = bytearray(room)
                    self._block_start = self._block_end = 0
                return self.stat.size
            raise _changed(self.name)

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
        """Asks for exactly these bytes, again if the object has grown meanwhile.

        Raises:
            PreconditionFailed: the object is another one by now. ProtocolError: the answer is of
                other bytes.
            IntegrityError: the whole was read, and its CRC-64 is not OSS's.
        """
        for tries in range(_TRIES):
            try:
                self._get(start, view, self._known)
                break
            except PreconditionFailed:
                if tries + 1 == _TRIES:
                    raise
            self._grow(stat_object(self._session, self.name))
        if self._crc_end == start:
            from ossmedia._native import crc64

            self._crc = crc64(view, self._crc)
            self._crc_end = start + len(view)
            if self._crc_end == self.stat.size and self._crc != self.stat.crc64:
                raise IntegrityError(
                    f"{self.name!r}: CRC-64 of the bytes read is {self._crc}, "
                    f"OSS says {self.stat.crc64}"
                )

    def _grow(self, now: ObjectStat) -> bool:
        """Proves that ``now`` begins with what is known, by the CRC-64 of the bytes added.
        False: it grew again meanwhile.

        Raises:
            PreconditionFailed: it does not.
        """
        known = self._known
        kinds = {known.type, now.type}
        if kinds != {"Appendable"} or known.crc64 is None or now.size < known.size:
            raise _changed(self.name)
        from ossmedia._native import crc64

        crc, room = known.crc64, memoryview(bytearray(self._block_size))
        for start in range(known.size, now.size, len(room)):
            piece = room[: now.size - start]
            try:
                self._get(start, piece, now)
            except PreconditionFailed:
                return False
            crc = crc64(piece, crc)
        if crc != now.crc64:
            raise _changed(self.name)
        self._known = now
        return True

    def _get(self, start: int, view: memoryview, state: ObjectStat) -> None:
        last = start + len(view) - 1
        answer = self._session.call(
            "GET",
            self.name,
            headers=f"Range: bytes={start}-{last}\nx-oss-range-behavior: standard\n"
            f'If-Match: "{state.etag}"\n',
            out=view,
        )
        told = answer.headers.get("content-range", "")
        if told.startswith(f"bytes {start}-{last}/") and not told.endswith(f"/{state.size}"):
            raise _changed(self.name)
        _check_range(answer, start, last, state.size)


def _changed(name: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"{name!r} is not the object that was opened", status=412, code="PreconditionFailed"
    )


def _check_range(answer: Answer, start: int, last: int, size: int) -> None:
    whole = answer.status == 200 and start == 0 and last == size - 1
    told = answer.headers.get("content-range", "")
    part = answer.status == 206 and told == f"bytes {start}-{last}/{size}"
    if not (whole or part) or answer.body_len != last - start + 1:
        raise ProtocolError(
            f"asked for bytes {start}-{last} of {size}, the answer is of "
            f"{told or answer.status!r} with {answer.body_len} bytes"
        )
