"""One PutObject of bytes in memory: what a segment, a playlist or a still picture needs.

In flow bytes, out flows the receipt of what OSS confirmed. It never copies the bytes, and never
counts an object as stored whose CRC-64 is not ours.

Source: OSS, PutObject; x-oss-forbid-overwrite.
"""

from __future__ import annotations

from ossmedia.errors import (
    IntegrityError,
    NetworkError,
    ObjectExists,
    OssMediaError,
    ProtocolError,
    Unavailable,
)
from ossmedia.model import Generation, Receipt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ossmedia.answer import Answer
    from ossmedia.session import Session

__all__ = ["LARGEST", "body_of", "put_object"]

LARGEST = 5 << 30  # bytes: OSS's limit of one PutObject


def body_of(data: Buffer) -> bytes | memoryview:
    """The bytes to send, in place.

    Raises:
        TypeError, ValueError: naming ``data`` and its limit.
    """
    if isinstance(data, bytes):
        return data
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        raise TypeError(
            f"data: must be contiguous bytes in memory, not {type(data).__name__}"
        ) from None
    if view.nbytes > LARGEST:
        raise ValueError(f"data: at most {LARGEST} bytes in one PutObject, not {view.nbytes}")
    return view


def put_object(
    session: Session,
    key: str,
    body: bytes | memoryview,
    headers: str = "",
    *,
    overwrite: bool = True,
    timeout_s: float | None = None,
    verify_crc: bool = True,
) -> Receipt:
    """Stores an object; repeated as ``Retry`` says.

    Args:
        headers: "Name: value\\n" lines.
        overwrite: False: an object that is there stays, ObjectExists is raised; but not if it is
            ours, stored by a try whose answer was lost.
        timeout_s: tries go on for so long; None: ``retry.attempts`` tries.
        verify_crc: an answer without CRC-64 counts as not stored.

    Raises:
        OssMediaError: the last try's.
    """
    if not overwrite:
        headers += "x-oss-forbid-overwrite: true\n"
    clock = session.clock
    end = None if timeout_s is None else clock.monotonic() + timeout_s
    attempt, unclear = 0, False
    while True:
        try:
            session.prepare()
            answer = session.store.exchange("PUT", key, "", headers, body)
            if answer.crc64 != answer.sent_crc64 and (verify_crc or answer.crc64 is not None):
                raise IntegrityError(f"{key}: OSS holds other bytes than were sent")
        except ObjectExists:
            found = _ours(session, key, body) if unclear else None
            if found is None:
                raise
            return _receipt(key, body, found, attempt + 1)
        except OssMediaError as error:
            attempt += 1
            unclear = unclear or _may_be_stored(error)
            over = end is None and attempt >= session.retry.attempts
            delay = None if over else session.recover(error, attempt)
            if delay is None or (end is not None and clock.monotonic() + delay >= end):
                raise
        else:
            return _receipt(key, body, answer, attempt + 1)
        clock.sleep(delay)


def _may_be_stored(error: OssMediaError) -> bool:
    return error.maybe_done or isinstance(
        error, NetworkError | ProtocolError | Unavailable | IntegrityError
    )


def _ours(session: Session, key: str, body: bytes | memoryview) -> Answer | None:
    """What OSS says of the object that stands in the way, if it is what an earlier try stored.
    Whoever may not read it cannot tell, and takes it for another's."""
    from ossmedia._native import crc64

    try:
        answer = session.call("HEAD", key)
    except OssMediaError:
        return None
    ours = answer.content_length == len(body) and answer.crc64 == crc64(body)
    return answer if ours else None


def _receipt(key: str, body: bytes | memoryview, answer: Answer, requests: int) -> Receipt:
    return Receipt(
        key=key,
        size=len(body),
        crc64=answer.sent_crc64 if answer.crc64 is None else answer.crc64,
        etag=answer.headers.get("etag", "").strip('"'),
        request_id=answer.headers.get("x-oss-request-id", ""),
        requests=requests,
        generations=(Generation(key, 0, len(body)),),
    )
