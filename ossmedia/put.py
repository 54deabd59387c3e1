"""One PutObject of bytes in memory: what a segment, a playlist or a still picture needs.

In flow bytes, out flows the receipt of what OSS confirmed. It never copies the bytes, and never
counts an object as stored whose CRC-64 is not ours.

Source: OSS, PutObject; x-oss-forbid-overwrite.
"""

from __future__ import annotations

from sys import byteorder

from ossmedia import process
from ossmedia._native import put_call, put_memory, raise_error
from ossmedia.errors import ObjectExists, OssMediaError
from ossmedia.model import Receipt, new_receipt, set_late, stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Buffer

    from ossmedia.model import Credentials
    from ossmedia.session import Session

__all__ = ["LARGEST", "body_of", "callback_room", "plain_put", "put_object"]

LARGEST = 5 << 30  # bytes: OSS's limit of one PutObject
CALLBACK_ANSWER = 1 << 16  # bytes of a callback's answer that are taken

encoded = str.encode  # which refuses everything but a str


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
    tried: int = 0,
) -> Receipt:
    """Stores an object; repeated as ``Retry`` says.

    Args:
        body: contiguous bytes in memory, read in place.
        headers: "Name: value\\n" lines.
        overwrite: False: an object that is there stays, ObjectExists is raised; but not if it has
            the very same bytes: it is taken for ours.
        timeout_s: tries go on for so long; None: ``retry.attempts`` tries.
        tried: tries that were made and failed.

    Raises:
        OssMediaError: the last try's. ValueError, TypeError: a key or body that must not go out.
    """
    if not overwrite:
        headers += "x-oss-forbid-overwrite: true\n"
    room = callback_room(headers) if headers else None
    end = None if timeout_s is None else session.clock.monotonic() + timeout_s
    used = None
    while True:
        try:
            used = session.ready()
            return stored(key, tried + 1, session.store.put(key, headers, body, room))
        except OssMediaError as error:
            tried += 1
            then = _after(session, key, body, error, tried, used, end)
            if then is None:
                raise
        if isinstance(then, Receipt):
            return then
        session.clock.sleep(then)


def _after(
    session: Session,
    key: str,
    body: Buffer,
    error: OssMediaError,
    tried: int,
    used: Credentials | None,
    end: float | None,
) -> Receipt | float | None:
    """What follows a failed try: the object's receipt, if it is ours all the same; seconds to wait
    before another try; or None, nothing. It does not raise ``error`` itself: a frame that is in its
    traceback and holds it would keep the body in memory."""
    if isinstance(error, ObjectExists):
        return _ours(session, key, body, tried)  # the network may deliver a request twice
    over = end is None and tried >= session.retry.attempts
    delay = None if over else session.recover(error, tried, used)
    late = delay is not None and end is not None and session.clock.monotonic() + delay >= end
    return None if late else delay


def plain_put(session: Session) -> Callable[[str, bytes], Receipt | None]:
    """``put_object`` of bytes without options as one Python frame: of a small request, Python is
    the dearest part.

    Returns:
        A function of key and body. It gives None, and nothing was sent, wherever more is to be done
        or to be said first: ``put_object`` does.
    """
    forks, clock, store = process.forks, session.clock, session.store
    spare = store.spare_puts

    def put(key: str, body: bytes) -> Receipt | None:
        held, handle = session.held, store._handle  # noqa: SLF001
        if held is None or handle is None or process.forks != forks:
            return None
        if not held.endless and clock.monotonic() >= held.steady_until:
            return None
        try:
            key_c = encoded(key)
        except (TypeError, UnicodeEncodeError):
            return None
        try:
            memory = spare.pop()
        except IndexError:
            memory = put_memory()
        room, window = memory
        rc = put_call(handle, key_c, len(key_c), body, len(body), room)
        if rc < 0:
            return _failed(session, key, body, held.credentials, rc, room)
        told = window[:rc]
        spare.append(memory)
        receipt = new_receipt(Receipt)  # ``stored``, without the price of one more call
        set_late(receipt, (key, 1, told))
        return receipt

    return put


def _failed(
    session: Session, key: str, body: bytes, used: Credentials, code: int, room: Any
) -> Receipt | None:
    """The rest of ``plain_put`` when its one try failed."""
    try:
        raise_error(code, room.err)
    except ValueError:
        return None  # refused before a byte was sent
    except OssMediaError as error:
        then = _after(session, key, body, error, 1, used, None)
        if then is None:
            raise
    if isinstance(then, Receipt):
        return then
    session.clock.sleep(then)
    return put_object(session, key, body, tried=1)


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
