"""A multipart upload, one request at a time: begin, send a part, list, complete, abort.

In flow bytes and OSS's XML, out flow part lists and answers. Every request is repeated until it
succeeds, is final, or made no progress for too long; a part counts only when OSS's CRC-64 of it is
ours. A completion whose answer was lost counts only when it can be proved.

Source: OSS, "Multipart upload": InitiateMultipartUpload, UploadPart, ListParts,
CompleteMultipartUpload, AbortMultipartUpload.
"""

from __future__ import annotations

from ossmedia.errors import (
    AccessDenied,
    IntegrityError,
    NetworkError,
    NotFound,
    ObjectExists,
    OssMediaError,
    ProtocolError,
    StreamBroken,
    Unavailable,
)
from ossmedia.journal import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from ossmedia.answer import Answer
    from ossmedia.gate import Gate
    from ossmedia.session import Session

__all__ = ["InDoubt", "Multipart", "NoSuchUpload", "Part"]

_FORBID = "x-oss-forbid-overwrite: true\n"
_ROOM = 1 << 20  # bytes: 1,000 listed parts need a third of it
_PAGE = 1000


class NoSuchUpload(Exception):
    """OSS does not know the upload (any more): completed, or aborted."""


class InDoubt(Exception):
    """OSS may have completed the upload; whoever may not read the object cannot know."""


class Part:
    """A part that OSS holds: its ETag, CRC-64 and length in bytes."""

    __slots__ = ("crc64", "etag", "size")

    def __init__(self, etag: str, crc64: int, size: int) -> None:
        self.etag = etag
        self.crc64 = crc64
        self.size = size


class Multipart:
    """The requests of one key; any number of threads.

    Attributes:
        requests: made so far, repeats included.
        upload_id: "" before there is one.
        fresh: whether nothing stood at the key when the upload was begun.
    """

    def __init__(self, session: Session, key: str, gate: Gate) -> None:
        self._session = session
        self._key = key
        self._gate = gate
        self.upload_id = ""
        self.fresh = False
        self.requests = 0

    def put(self, body: memoryview, crc64: int | None, headers: str) -> Answer:
        """PutObject: the whole object at once. ``crc64``: as ``part``."""
        return self._settled(lambda: self._sent("", headers, body, crc64))

    def begin(self, headers: str) -> None:
        """InitiateMultipartUpload; afterwards there is an ``upload_id``, and ``fresh`` is known."""
        try:
            self.upload_id = self._begun(headers + _FORBID)
            self.fresh = True
        except ObjectExists:
            self.upload_id = self._begun(headers)
            self.fresh = False

    def _begun(self, headers: str) -> str:
        room = bytearray(_ROOM)
        exchange = self._session.store.exchange
        answer = self._settled(lambda: exchange("POST", self._key, "uploads", headers, out=room))
        found = _parsed(room[: answer.body_len], "InitiateMultipartUploadResult")
        upload_id = _text(found, "UploadId")
        if not upload_id.isascii() or not upload_id.isalnum():
            raise ProtocolError("the upload id is no word")
        return upload_id

    def part(self, number: int, body: memoryview, crc64: int | None = None) -> Part:
        """UploadPart, from 1 on.

        Args:
            crc64: that OSS must find; None: of the bytes as they were sent, which costs nothing.

        Raises:
            NoSuchUpload.
        """
        query = f"partNumber={number}&{self._named()}"
        answer = self._settled(lambda: self._sent(query, "", body, crc64))
        etag = answer.headers.get("etag", "").strip('"')
        if not etag:
            raise ProtocolError("the answer to a part holds no ETag")
        return Part(etag, answer.sent_crc64, body.nbytes)

    def listed(self) -> dict[int, Part]:
        """ListParts: every part that OSS holds, by its number; without a CRC-64 it does not count.

        Raises:
            NoSuchUpload.
        """
        parts: dict[int, Part] = {}
        marker, room = 0, bytearray(_ROOM)
        while True:
            query = f"max-parts={_PAGE}&part-number-marker={marker}&{self._named()}"
            page = _parsed(self._fetched(query, room), "ListPartsResult")
            for element in page.iter("Part"):
                crc64 = element.findtext("HashCrc64ecma", "")
                if crc64:
                    part = Part(_text(element, "ETag").strip('"'), _number(crc64), 0)
                    part.size = _number(_text(element, "Size"))
                    parts[_number(_text(element, "PartNumber"))] = part
            if page.findtext("IsTruncated", "") != "true":
                return parts
            after = _number(_text(page, "NextPartNumberMarker"))
            if after <= marker:
                raise ProtocolError("the list of parts does not move on")
            marker = after

    def complete(
        self, parts: dict[int, Part], crc64: int, *, asked_before: bool = False
    ) -> Answer | None:
        """CompleteMultipartUpload. None: OSS has done so, as ``proved`` found out.

        Args:
            crc64: of all parts together.
            asked_before: an earlier process may have completed it.

        Raises:
            NoSuchUpload: nobody has completed it. InDoubt: that cannot be known.
        """
        items = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{part.etag}"</ETag></Part>'
            for number, part in sorted(parts.items())
        )
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        lost = asked_before
        room = bytearray(_ROOM)

        def send() -> Answer:
            nonlocal lost
            try:
                return self._session.store.exchange(
                    "POST", self._key, self._named(), "", body, room
                )
            except OssMediaError as error:
                unclear = isinstance(error, NetworkError | ProtocolError | Unavailable)
                lost = lost or error.maybe_done or unclear
                raise

        try:
            return self._settled(send)
        except NoSuchUpload:
            if not lost:
                raise
            return self.proved(sum(part.size for part in parts.values()), crc64)

    def proved(self, size: int, crc64: int) -> Answer | None:
        """Whether the completion that OSS was asked for made the object, now that OSS knows the
        upload no more: by HEAD, where the credentials may look. None: it is proved without a look,
        because nothing stood at the key when the upload was begun, and something stands there now;
        the parts' own CRC-64s were checked.

        Args:
            size, crc64: of the object as it was sent.

        Raises:
            NoSuchUpload: it did not. InDoubt: that cannot be known.
        """
        exchange = self._session.store.exchange
        try:
            answer = self._settled(lambda: exchange("HEAD", self._key))
        except StreamBroken as broken:
            if isinstance(broken.__cause__, NotFound):
                raise NoSuchUpload from broken.__cause__
            if not isinstance(broken.__cause__, AccessDenied):
                raise
            if not self.fresh:
                raise InDoubt from broken.__cause__
            if not self._stands():
                raise NoSuchUpload from broken.__cause__
            return None
        if (answer.content_length, answer.crc64) != (size, crc64):
            raise NoSuchUpload
        return answer

    def _stands(self) -> bool:
        """Whether something stands at the key, asked with the right to write alone: an upload that
        must not overwrite is refused then."""
        question = Multipart(self._session, self._key, self._gate)
        try:
            question.upload_id = question._begun(_FORBID)
        except ObjectExists:
            return True
        finally:
            self.requests += question.requests
        question.abort()
        return False

    def abort(self) -> None:
        """AbortMultipartUpload; no error if it fails: a lifecycle rule is the second net."""
        if not self.upload_id:
            return
        try:
            self._session.call("DELETE", self._key, self._named())
        except (OssMediaError, ValueError) as error:
            warn("%s: the parts sent so far could not be dropped: %s", self._key, error)

    def _named(self) -> str:
        return f"uploadId={self.upload_id}"

    def _fetched(self, query: str, room: bytearray) -> bytearray:
        exchange = self._session.store.exchange
        answer = self._settled(lambda: exchange("GET", self._key, query, out=room))
        return room[: answer.body_len]

    def _sent(self, query: str, headers: str, body: memoryview, crc64: int | None) -> Answer:
        answer = self._session.store.exchange("PUT", self._key, query, headers, body)
        if answer.crc64 != answer.sent_crc64 or crc64 not in (None, answer.crc64):
            raise IntegrityError(f"{self._key}: OSS holds other bytes than were sent")
        return answer

    def _settled(self, request: Callable[[], Answer]) -> Answer:
        """A request, until it succeeds.

        Raises:
            Canceled: through the gate. NoSuchUpload. ObjectExists. StreamBroken: given up;
                ``__cause__`` says why.
        """
        session, attempt, since = self._session, 0, 0.0
        while True:
            self._gate.pass_through()
            try:
                session.prepare()
                self.requests += 1
                return request()
            except OssMediaError as error:
                if isinstance(error, NotFound) and error.code == "NoSuchUpload":
                    raise NoSuchUpload from error
                if isinstance(error, ObjectExists):
                    raise
                attempt += 1
                now = session.clock.monotonic()
                since = now if attempt == 1 else since
                delay = session.recover(error, attempt)
                if delay is None or now - since > session.retry.give_up_after_s:
                    raise StreamBroken(f"{self._key}: gave up: {error}") from error
            self._gate.wait(session.clock, delay)


def _parsed(body: bytes | bytearray, root: str) -> Element:
    from ossmedia.answer_xml import tree

    return tree(body, root)


def _text(element: Element, name: str) -> str:
    text = element.findtext(name, "")
    if not text:
        raise ProtocolError(f"the answer holds no {name}")
    return text


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ProtocolError("the answer holds a number that is none")
    return int(text)
