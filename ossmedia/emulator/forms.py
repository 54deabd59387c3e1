"""The body of an HTML form with a file, read as it arrives.

What flows in: pieces of a multipart/form-data body. What flows out: its parts one after the other,
each with its headers and its data in pieces. It holds no more than one piece and one boundary in
memory, and it trusts no length.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import Message
from typing import NamedTuple

from .errors import OssError

MAX_HEADERS = 8 * 1024


class PartHead(NamedTuple):
    """Name, file name (None without one) and content type of a part."""

    name: str
    filename: str | None
    content_type: str


def malformed(reason: str) -> OssError:
    """400 MalformedPOSTRequest."""
    message = f"The body of your POST request is not well-formed multipart/form-data: {reason}."
    return OssError(400, "MalformedPOSTRequest", message)


def boundary_of(content_type: str) -> bytes:
    """The boundary of a form.

    Raises:
        OssError: 400 RequestIsNotMultiPartContent for another content type or no boundary.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        message = "Bucket POST must be of the enclosure-type multipart/form-data."
        raise OssError(400, "RequestIsNotMultiPartContent", message)
    return boundary.encode("latin-1", "replace")


class FormReader:
    """The parts of a form.

    Args:
        pieces: the body.
        boundary: without the leading dashes.
    """

    def __init__(self, pieces: AsyncIterator[bytes], boundary: bytes) -> None:
        self._pieces = pieces
        self._delimiter = b"\r\n--" + boundary
        # The first boundary has no line end before it.
        self._buffer = bytearray(b"\r\n")
        self._started = False

    async def _more(self) -> None:
        async for piece in self._pieces:
            self._buffer += piece
            return
        raise malformed("it ends before its last boundary")

    async def next_part(self) -> PartHead | None:
        """The head of the next part, or None after the last. The data of the part before must have
        been read.
        """
        if not self._started:
            self._started = True
            async for piece in self.data():
                if piece.strip():
                    raise malformed("it does not begin with its boundary")
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer[:2] == b"--":
            return None
        if self._buffer[:2] != b"\r\n":
            raise malformed("a boundary is not followed by a line end")
        while (end := self._buffer.find(b"\r\n\r\n")) < 0 and len(self._buffer) <= MAX_HEADERS:
            await self._more()
        if not 0 <= end <= MAX_HEADERS:
            raise malformed(f"the headers of a part exceed {MAX_HEADERS} bytes")
        head = bytes(self._buffer[2:end])
        del self._buffer[: end + 4]
        # Data may be empty, and then its end is the line end of the boundary.
        return _parse_head(head)

    async def data(self) -> AsyncIterator[bytes]:
        """The data of the present part, up to its boundary."""
        while True:
            at = self._buffer.find(self._delimiter)
            if at >= 0:
                if at:
                    yield bytes(self._buffer[:at])
                del self._buffer[: at + len(self._delimiter)]
                return
            safe = len(self._buffer) - len(self._delimiter) + 1
            if safe > 0:
                piece = bytes(self._buffer[:safe])
                del self._buffer[:safe]
                yield piece
            await self._more()


def _parse_head(head: bytes) -> PartHead:
    headers = Message()
    for line in head.decode("utf-8", "surrogateescape").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise malformed("a part has a header without a colon")
        headers[name.strip()] = value.strip()
    title = headers.get_param("name", header="content-disposition")
    if not isinstance(title, str):
        raise malformed("a part has no name")
    filename = headers.get_param("filename", header="content-disposition")
    shown = filename if isinstance(filename, str) else None
    return PartHead(title, shown, str(headers.get("content-type", "")))
