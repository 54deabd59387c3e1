"""Where an object of the spool goes: one bucket's conversation with OSS, one request at a time.

In flow requests, out flow answers or errors. Nothing is repeated here: whoever drains decides when
to try again, so that in an outage one request at a time knocks, not one for each object.
"""

from __future__ import annotations

from ossmedia.errors import (
    AccessDenied,
    ClockSkew,
    CredentialsExpired,
    IntegrityError,
    NetworkError,
    NotFound,
    OssMediaError,
    ProtocolError,
    Unavailable,
)
from ossmedia.gate import Gate
from ossmedia.multipart import Multipart, NoSuchUpload, Part
from ossmedia.put import callback_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.answer import Answer
    from ossmedia.session import Session

__all__ = ["FORBID", "Link", "Parts", "absent", "denied", "unclear"]

FORBID = "x-oss-forbid-overwrite: true\n"
_ROOM = 1 << 16


class Link:
    """A bucket that the spool may send to.

    Args:
        parallel: parts of one object sent at the same time.
        verify_crc: an answer without CRC-64 counts as not stored.
    """

    __slots__ = ("parallel", "session", "verify_crc")

    def __init__(self, session: Session, parallel: int, verify_crc: bool) -> None:
        self.session = session
        self.parallel = parallel
        self.verify_crc = verify_crc

    def send(
        self,
        method: str,
        key: str,
        query: str = "",
        headers: str = "",
        body: bytes | memoryview = b"",
    ) -> Answer:
        """One request.

        Raises:
            OssMediaError.
        """
        self.session.prepare()
        room = callback_room(headers)
        return self.session.store.exchange(method, key, query, headers, body, room)

    def check(self, key: str, found: int | None, wanted: int) -> None:
        """Compares OSS's CRC-64 with ours.

        Raises:
            IntegrityError: they differ, or OSS said none.
        """
        if found != wanted and (self.verify_crc or found is not None):
            raise IntegrityError(f"{key}: OSS holds other bytes than were sent")


class Parts(Multipart):
    """A multipart upload whose requests are made once each, from any thread."""

    def __init__(self, link: Link, key: str, upload_id: str) -> None:
        super().__init__(link.session, key, Gate())
        self.upload_id = upload_id

    def begin_new(self, headers: str, *, overwrite: bool) -> None:
        """InitiateMultipartUpload.

        Raises:
            ObjectExists: with ``overwrite`` False.
        """
        begin, _ = _shared_out(headers)
        self.upload_id = self._begun(begin if overwrite else begin + FORBID)

    def make(self, parts: dict[int, Part], headers: str, *, overwrite: bool) -> Answer:
        """CompleteMultipartUpload.

        Args:
            headers: the same that the upload was begun with.

        Raises:
            NoSuchUpload: it was completed or aborted before. ObjectExists.
        """
        items = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{part.etag}"</ETag></Part>'
            for number, part in sorted(parts.items())
        )
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        _, end = _shared_out(headers)
        headers, room = end if overwrite else end + FORBID, bytearray(_ROOM)
        exchange = self._session.store.exchange
        query = self._named()
        return self._settled(lambda: exchange("POST", self._key, query, headers, body, room))

    def _settled(self, request: Callable[[], Answer]) -> Answer:
        try:
            self._session.prepare()
            self.requests += 1
            return request()
        except NotFound as error:
            if error.code == "NoSuchUpload":
                raise NoSuchUpload from error
            raise


def _shared_out(headers: str) -> tuple[str, str]:
    """The lines that an upload begins with, and those that it ends with: OSS calls back when the
    object is complete, and may be told at both not to overwrite."""
    begin = end = ""
    for line in headers.splitlines(keepends=True):
        name = line.partition(":")[0].lower()
        last = name in ("x-oss-callback", "x-oss-callback-var")
        if not last:
            begin += line
        if last or name == "x-oss-forbid-overwrite":
            end += line
    return begin, end


def unclear(error: OssMediaError) -> bool:
    """Whether the request may have taken effect although its answer is none."""
    kinds = (NetworkError, ProtocolError, Unavailable, IntegrityError)
    return error.maybe_done or isinstance(error, kinds)


def absent(error: OssMediaError) -> bool:
    """There is no such object; but there is the bucket."""
    return isinstance(error, NotFound) and error.code != "NoSuchBucket"


def denied(error: OssMediaError) -> bool:
    """The right is missing; other refusals (a wrong signature, an old token) are errors like any
    other."""
    if not isinstance(error, AccessDenied) or isinstance(error, CredentialsExpired | ClockSkew):
        return False
    return error.code in ("", "AccessDenied", "BadErrorResponse")
