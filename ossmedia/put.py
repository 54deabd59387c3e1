"""One PutObject of bytes in memory: what a segment, a playlist or a still picture needs.

In flow bytes, out flows the receipt of what OSS confirmed. It never copies the bytes, and never
counts an object as stored whose CRC-64 is not ours.

Source: OSS, PutObject; x-oss-forbid-overwrite.
"""

from __future__ import annotations

from sys import byteorder

from ossmedia.errors import ObjectExists, OssMediaError
from ossmedia.model import Receipt, new_receipt, set_late, stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ossmedia.session import Session

__all__ = ["LARGEST", "body_of", "callback_room", "put_object"]

LARGEST = 5 << 30  # bytes: OSS's limit of one PutObject
CALLBACK_ANSWER = 1 << 16  # bytes of a callback's answer that are taken


def body_of(data: Buffer) -> bytes | memoryview:
    """The bytes to send, in place.

    Raises:
        TypeError, ValueError: naming ``data`` and its limit.
    """
    try:
        view = data if isinstance(data, bytes) else memoryview(data).cast("B")
    except TypeError:
        raise TypeError(
            f"data: must be contiguous bytes in memory, not {type(data).__name__}"
        ) from None
    if len(view) > LARGEST:
        raise ValueError(f"data: at most {LARGEST} bytes in one PutObject, not {len(view)}")
    return view


def put_object(
    session: Session,
    key: str,
    body: Buffer,
    headers: str = "",
    overwrite: bool = True,
    timeout_s: float | None = None,
) -> Receipt:
    """Stores an object; repeated as ``Retry`` says.

    Args:
        body: contiguous bytes in memory, read in place.
        headers: "Name: value\\n" lines.
        overwrite: False: an object that is there stays, ObjectExists is raised; but not if it has
            the very same bytes: it is taken for ours.
        timeout_s: tries go on for so long; None: ``retry.attempts`` tries.

    Raises:
        OssMediaError: the last try's. ValueError, TypeError: a key or body that must not go out.
    """
    if not overwrite:
        headers += "x-oss-forbid-overwrite: true\n"
    room = callback_room(headers) if headers else None
    end = None if timeout_s is None else session.clock.monotonic() + timeout_s
    attempt, used = 0, None
    while True:
        try:
            used = session.ready()
            told = session.store.put(key, headers, body, room)
            receipt = new_receipt(Receipt)  # ``stored``, without the price of one more call
            set_late(receipt, (key, attempt + 1, told))
            return receipt
        except ObjectExists:
            ours = _ours(session, key, body, attempt + 1)  # the network may deliver a request twice
            if ours is None:
                raise
            return ours
        except OssMediaError as error:
            attempt += 1
            over = end is None and attempt >= session.retry.attempts
            delay = None if over else session.recover(error, attempt, used)
            if delay is None or (end is not None and session.clock.monotonic() + delay >= end):
                raise
        session.clock.sleep(delay)


def callback_room(headers: str) -> bytearray | None:
    """Where the answer of a callback goes, which stands in the body of OSS's; None: there is no
    callback."""
    return bytearray(CALLBACK_ANSWER) if "x-oss-callback:" in headers.lower() else None


def _ours(session: Session, key: str, body: Buffer, requests: int) -> Receipt | None:
    """The receipt of the object that stands in the way, if it holds the same bytes: a try stored it
    whose answer was lost. Whoever may not read it cannot tell, and takes it for another's."""
    from ossmedia._native import crc64

    try:
        answer = session.call("HEAD", key)
    except OssMediaError:
        return None
    size, ours = memoryview(body).nbytes, crc64(body)
    if answer.content_length != size or answer.crc64 != ours:
        return None
    numbers = size.to_bytes(8, byteorder) + ours.to_bytes(8, byteorder)
    return stored(key, requests, numbers + answer.head)
