"""A local file into one object, in parts, so that a later process can go on where this one was
killed.

In flow a file and the session of a bucket, out flows a receipt. Which parts are stored OSS tells
itself; each is compared with the file before it counts. A file that changed is never mixed with
what was sent of the old one. A process that is killed between the beginning of the upload in OSS
and its checkpoint leaves an upload without parts there, which only a lifecycle rule of the bucket
removes: to find it would need oss:ListMultipartUploads, a right over the whole bucket.
"""

from __future__ import annotations

import os
import threading

from ossmedia._native import crc64, crc64_combine
from ossmedia.checkpoint import Checkpoint, read_checkpoint
from ossmedia.errors import IntegrityError, OssMediaError, StreamBroken
from ossmedia.journal import tell
from ossmedia.model import Generation, Receipt
from ossmedia.multipart import InDoubt, Multipart, NoSuchUpload, Part
from ossmedia.upload import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.answer import Answer
    from ossmedia.gate import Gate
    from ossmedia.session import Session

__all__ = ["Destination", "store", "unfinished"]

_WHY = {
    NoSuchUpload: "the parts sent so far are gone from OSS",
    InDoubt: "the object may be complete: CompleteMultipartUpload got no answer, and the "
    "credentials may not look (oss:GetObject is missing)",
}


class Destination:
    """Where a file goes. ``name``: the caller's own name of the upload, kept in the checkpoint."""

    __slots__ = ("bucket", "endpoint", "key", "name")

    def __init__(self, name: str, endpoint: str, bucket: str, key: str) -> None:
        self.name = name
        self.endpoint = endpoint
        self.bucket = bucket
        self.key = key


class _Source(Snapshot):
    """The file, block by block, from any thread."""

    def names(self) -> dict[str, str | int]:
        """What the checkpoint remembers of it."""
        return {
            "path": os.path.abspath(self._path),
            "size": self.size,
            "mtime_ns": self._first[1],
        }

    def block(self, number: int, room: memoryview) -> memoryview:
        """Block ``number`` from 0 on, all of it.

        Raises:
            OssMediaError: the file changed.
        """
        start = number * room.nbytes
        wanted = min(room.nbytes, self.size - start)
        done = 0
        while done < wanted:
            count = os.preadv(self._fd, [room[done:wanted]], start + done)
            if not count:
                break
            done += count
        last = os.fstat(self._fd)
        if done < wanted or (last.st_size, last.st_mtime_ns) != self._first:
            raise OssMediaError(f"path: the file changed while it was read: {self._path!r}")
        return room[:wanted]


def unfinished(checkpoint: str | os.PathLike[str], path: str | os.PathLike[str]) -> str:
    """The ``name`` of the upload that a checkpoint remembers for this very file; "" when there is
    none, or the file has changed since.

    Raises:
        OSError: the checkpoint or the file cannot be read.
    """
    found = read_checkpoint(checkpoint)
    if found is None:
        return ""
    with _Source(path) as source:
        return found.name if _same(found, source.names()) else ""


def _same(found: Checkpoint, names: dict[str, str | int]) -> bool:
    return all(getattr(found, name) == value for name, value in names.items())


def store(
    session: Session,
    path: str | os.PathLike[str],
    where: Destination,
    *,
    gate: Gate,
    block_size: int,
    parallel: int,
    headers: str = "",
    progress: Callable[[int, int], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Receipt:
    """Stores a file. With a checkpoint, what was sent stays when it fails, for the next try.

    Args:
        block_size: bytes of a part, at least; larger if 10,000 would not suffice.
        parallel: parts sent at once, each with memory of its own.
        progress: called with bytes stored and bytes in all; the first only rises.

    Raises:
        Canceled: through the gate; nothing stays. StreamBroken: given up, ``__cause__`` says why.
        OSError: the file cannot be read, or changed; then nothing stays.
    """
    with _Source(path) as source:
        block_size = source.block_size(block_size)
        upload = _Upload(session, source, where, gate, parallel, progress)
        if source.size <= block_size:
            return upload.at_once(headers)
        return upload.in_parts(headers, block_size, checkpoint)


class _Upload:
    """One file on its way."""

    def __init__(
        self,
        session: Session,
        source: _Source,
        where: Destination,
        gate: Gate,
        parallel: int,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self._session = session
        self._source = source
        self._where = where
        self._gate = gate
        self._parallel = parallel
        self._report = None if progress is None else source.report(progress)
        self._multipart = Multipart(session, where.key, gate)
        self._checkpoint: Checkpoint | None = None
        self._block_size = 0
        self._lock = threading.Lock()
        self._missing: list[int] = []
        self._parts: dict[int, Part] = {}
        self._stored = 0
        self._error: BaseException | None = None

    def at_once(self, headers: str) -> Receipt:
        """A file of one block."""
        body = self._source.block(0, memoryview(bytearray(self._source.size)))
        self._gate.pass_through()
        answer = self._multipart.put(body, None, headers)
        return self._receipt(answer.sent_crc64, answer)

    def in_parts(
        self, headers: str, block_size: int, checkpoint: str | os.PathLike[str] | None
    ) -> Receipt:
        """A longer file, from its beginning or from where the checkpoint left it."""
        try:
            receipt = self._begin(headers, block_size, checkpoint)
            if receipt is None:
                self._send_all()
                receipt = self._complete()
            return receipt
        except (NoSuchUpload, InDoubt) as gone:
            self._forget()
            raise StreamBroken(
                f"{self._where.key}: gave up: {_WHY[type(gone)]}"
            ) from gone.__cause__
        except BaseException as error:
            kept = self._checkpoint is not None and _worth_keeping(error)
            if not kept:
                self._multipart.abort()
                self._forget()
            raise

    def _forget(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint.forget()

    def _begin(
        self, headers: str, block_size: int, file: str | os.PathLike[str] | None
    ) -> Receipt | None:
        """The receipt, if an earlier process has completed the object already."""
        where, names = self._where, self._source.names()
        self._block_size = block_size
        found = None if file is None else read_checkpoint(file)
        places = {name: getattr(where, name) for name in Destination.__slots__}
        if found is not None and _same(found, {**names, **places}):
            self._checkpoint, self._block_size = found, found.block_size
            self._multipart.upload_id, self._multipart.fresh = found.upload_id, found.fresh
            try:
                self._take_over(self._multipart.listed())
                return None
            except NoSuchUpload:
                if found.completing and (receipt := self._proved()) is not None:
                    return receipt
            self._block_size = block_size
        self._multipart.begin(headers)
        if file is not None:
            self._checkpoint = Checkpoint(
                file,
                **places,
                **names,
                upload_id=self._multipart.upload_id,
                block_size=self._block_size,
                fresh=self._multipart.fresh,
            )
            self._checkpoint.save()
        self._take_over({})
        return None

    def _proved(self) -> Receipt | None:
        """The receipt, if it is sure that the object is the file. Else all is sent again: that
        makes it sure."""
        crc = self._crc_of_file()
        try:
            answer = self._multipart.proved(self._source.size, crc)
        except (NoSuchUpload, InDoubt):
            return None
        self._forget()
        return self._receipt(crc, answer)

    def _take_over(self, listed: dict[int, Part]) -> None:
        """Counts the parts that OSS holds and that are the file's, the others are missing."""
        room = memoryview(bytearray(self._block_size)) if listed else memoryview(b"")
        for number in range(-(-self._source.size // self._block_size)):
            part = listed.get(number + 1)
            if part is not None:
                self._gate.pass_through()
                body = self._source.block(number, room)
                if (part.size, part.crc64) == (body.nbytes, crc64(body)):
                    self._parts[number + 1] = part
                    self._stored += body.nbytes
                    continue
            self._missing.append(number)
        self._missing.reverse()
        if self._stored:
            self._tell()

    # -- sending

    def _send_all(self) -> None:
        count = min(self._parallel, len(self._missing))
        helpers = [
            threading.Thread(target=self._work, name=f"ossmedia {self._where.key}", daemon=True)
            for _ in range(count - 1)
        ]
        for helper in helpers:
            helper.start()
        try:
            self._work()
            for helper in helpers:
                helper.join()
        except BaseException as error:  # Ctrl-C, here in the caller's own thread
            self._fail(error)
            for helper in helpers:
                helper.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        room = memoryview(bytearray(self._block_size))
        while True:
            with self._lock:
                if self._error is not None or not self._missing:
                    return
                number = self._missing.pop()
            try:
                self._gate.pass_through()
                body = self._source.block(number, room)
                part = self._multipart.part(number + 1, body)
            except Exception as error:
                self._fail(error)
                return
            with self._lock:
                self._parts[number + 1] = part
                self._stored += body.nbytes
            self._tell()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error

    def _tell(self) -> None:
        """Everything but the end, which only the receipt tells."""
        if self._report is not None and self._stored < self._source.size:
            tell(self._report, self._stored, self._source.size)

    # -- the end

    def _complete(self) -> Receipt:
        crc, total = 0, 0
        for _, part in sorted(self._parts.items()):
            crc, total = crc64_combine(crc, part.crc64, part.size), total + part.size
        assert total == self._source.size
        before = self._checkpoint is not None and self._checkpoint.completing
        if self._checkpoint is not None and not before:
            self._checkpoint.completing = True
            self._checkpoint.save()
        answer = self._multipart.complete(self._parts, crc, asked_before=before)
        if answer is not None and answer.crc64 not in (None, crc):
            raise IntegrityError(f"{self._where.key}: OSS holds other bytes than were sent")
        self._forget()
        return self._receipt(crc, answer)

    def _crc_of_file(self) -> int:
        crc, room = 0, memoryview(bytearray(self._block_size))
        for number in range(-(-self._source.size // self._block_size)):
            crc = crc64(self._source.block(number, room), crc)
        return crc

    def _receipt(self, crc: int, answer: Answer | None) -> Receipt:
        if self._report is not None:
            tell(self._report, self._source.size, self._source.size)
        headers = {} if answer is None else answer.headers
        size = self._source.size
        return Receipt(
            key=self._where.key,
            size=size,
            crc64=crc,
            etag=headers.get("etag", "").strip('"'),
            request_id=headers.get("x-oss-request-id", ""),
            requests=self._multipart.requests,
            generations=(Generation(self._where.key, 0, size),),
        )


def _worth_keeping(error: BaseException) -> bool:
    """Whether a later try can go on: not when it was canceled, or the file changed."""
    return isinstance(error, StreamBroken) or not isinstance(error, Exception)
