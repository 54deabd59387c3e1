"""What the C core gives back: an exchange's answer, a stream's counters and its refusals, as
Python values.

In flow the fields of its structs, out flow ints, texts and a dict. It never sees the core itself.
"""

from __future__ import annotations

from _struct import Struct

from ossmedia.errors import IntegrityError, ObjectTooLarge, OssMediaError
from ossmedia.headers import header_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "FIELDS",
    "Answer",
    "FileLost",
    "StreamBusy",
    "StreamForeign",
    "StreamFull",
    "StreamStats",
]

# status, has_crc64, crc64, content_length, next_position, body_len, head_len, sent_len, sent_crc64
# of om_answer: read at once, where a look through cffi for each would be dear.
FIELDS = Struct("@iiQqqQNQQ")


class Answer:
    """A good answer's fields. ``content_length`` is what was announced (for HEAD the object's
    size), ``body_len`` the bytes put into ``out``, ``sent_crc64`` the CRC-64 of the request's body,
    ``headers`` has lower-case names, ``head`` is what they are read from."""

    __slots__ = (
        "_headers",
        "body_len",
        "content_length",
        "crc64",
        "head",
        "next_position",
        "sent_crc64",
        "status",
    )

    def __init__(self, fields: tuple[int, ...], head: bytes) -> None:
        """``fields``: those of om_answer before ``head``, as FIELDS reads them."""
        self.status, has_crc64, crc64, length, position, self.body_len, *_, self.sent_crc64 = fields
        self.content_length: int | None = length if length >= 0 else None
        self.crc64: int | None = crc64 if has_crc64 else None
        self.next_position: int | None = position if position >= 0 else None
        self.head = head
        self._headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = header_fields(self.head)
        return self._headers


class StreamStats:
    """A stream's counters, copied at one moment; om_stats in ossmedia.h tells what they mean."""

    bytes_taken: int
    bytes_stored: int
    crc64: int
    object_start: int
    object_base: int
    object_crc64: int
    requests: int
    blocks_busy: int
    etag: str
    request_id: str
    upload_id: str
    __slots__ = tuple(__annotations__)

    def __init__(self, stats: Any, etag: str, request_id: str, upload_id: str) -> None:
        for name in self.__slots__[:-3]:
            setattr(self, name, getattr(stats, name))
        self.etag = etag
        self.request_id = request_id
        self.upload_id = upload_id


class StreamForeign(IntegrityError):
    """An appended object holds bytes that are not ours; the stream must go on in another object."""


class StreamBusy(ValueError):
    """Not now: the stream has ended, was aborted, or has an exchange under way."""


class FileLost(OssMediaError):
    """The file that a stream sends cannot be read, or is no longer what it was."""


class StreamFull(ObjectTooLarge):
    """An appended object would pass its limit; the stream must go on in another object."""
