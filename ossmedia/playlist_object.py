"""A playlist's object in OSS: a text that only grows is appended to, any other is stored anew.

In flow the versions of one text, out flow AppendObject of what is new, or PutObject of the whole.
An append counts only when OSS's CRC-64 is that of the whole text. Whatever is in doubt OSS is asked
about, and where that does not settle it, the whole text replaces the object: it never builds on
bytes that are not ours, and never leaves half a version behind.

Source: OSS, AppendObject: the position must be the object's length; PutObject makes any object one
that cannot be appended to.
"""

from __future__ import annotations

from ossmedia._native import crc64
from ossmedia.errors import AccessDenied, NotFound, OssMediaError, ServiceError
from ossmedia.headers import header_lines
from ossmedia.playlist import CONTENT_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from typing_extensions import Buffer

    from ossmedia.model import Receipt
    from ossmedia.session import Session

    _State = tuple[int | None, int | None]  # length and CRC-64

    class Bucket(Protocol):
        """What a recording needs of ``ossmedia.Bucket``."""

        @property
        def name(self) -> str: ...

        def put(
            self,
            key: str,
            data: Buffer,
            *,
            content_type: str = "",
            metadata: dict[str, str] | None = None,
            headers: dict[str, str] | None = None,
            replaceable: bool = False,
        ) -> Receipt | None: ...


__all__ = ["PlaylistObject"]

_HEADERS = {"Cache-Control": "no-cache"}  # no player may be handed an old one


class PlaylistObject:
    """One playlist's object; one caller at a time. ``appends``: so far, new text was appended.

    Args:
        appends: new text may be appended, as long as the object allows it. A spool cannot do so: it
            must be able to forget versions that were never sent.
        held: what the object holds now; b"": there is none.
    """

    def __init__(
        self,
        bucket: Bucket,
        session: Session,
        key: str,
        *,
        appends: bool,
        held: bytes = b"",
    ) -> None:
        self._bucket = bucket
        self._session = session
        self.key = key
        self.appends = appends
        self._held = held
        self._doubt = False  # an append was sent whose answer says nothing

    def store(self, text: bytes) -> None:
        """Makes the object hold this text.

        Raises:
            OssMediaError: it may or may not; the same text may be stored again.
        """
        if self.appends and not self._grow(text):
            self.appends = False
        if not self.appends:
            # A version that still waits in the spool need not be sent.
            self._bucket.put(
                self.key, text, content_type=CONTENT_TYPE, headers=_HEADERS, replaceable=True
            )

    def _grow(self, text: bytes) -> bool:
        """True: the object holds the text. False: it holds something else, or nobody knows."""
        held = _state(self._held)
        found = self._look() if self._doubt else held
        if found == held and text.startswith(self._held):
            self._doubt = True  # until the answer is there
            found = self._append(text)
        self._doubt = False
        if found != _state(text):
            return False
        self._held = text
        return True

    def _append(self, text: bytes) -> _State | None:
        """What OSS says that the object holds then; None: we may not know."""
        headers = "" if self._held else header_lines(CONTENT_TYPE, None, _HEADERS)
        query, more = f"append&position={len(self._held)}", text[len(self._held) :]
        try:
            answer = self._session.call("POST", self.key, query, headers, more)
        except OssMediaError as error:
            refused = isinstance(error, ServiceError) and not isinstance(error, AccessDenied)
            if error.retryable or not refused:
                raise
            # If it was repeated after a lost answer, the position is taken: by ourselves.
            return self._look()
        return answer.next_position, answer.crc64

    def _look(self) -> _State | None:
        """Length and CRC-64 of the object; None: we may not know."""
        try:
            answer = self._session.call("HEAD", self.key)
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return _state(b"")
        except AccessDenied as error:
            if error.code != "AccessDenied":  # the credentials, not the right
                raise
            return None
        return answer.content_length, answer.crc64


def _state(text: bytes) -> _State:
    return len(text), crc64(text)
