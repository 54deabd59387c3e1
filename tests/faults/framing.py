"""Where an HTTP/1.1 message ends, for the fault proxy: it has to know whole requests and answers,
and passes their bytes on as they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

__all__ = ["Ended", "Head", "body_pieces", "read_head"]

PIECE = 65_536


class Ended(Exception):
    """The peer closed its connection between or inside messages."""


class Head:
    """A start line with its header lines, as they came in ``raw``; what follows them is left
    alone."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        first, *rest = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        words = first.split(" ")
        self.is_answer = words[0].startswith("HTTP/")
        self.status = int(words[1]) if self.is_answer else 0
        self.method = "" if self.is_answer else words[0]
        self.line = first if self.is_answer else " ".join(words[:2])
        self.fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in rest if line)
        }

    @property
    def chunked(self) -> bool:
        return "chunked" in self.fields.get("transfer-encoding", "").lower()

    @property
    def length(self) -> int | None:
        text = self.fields.get("content-length")
        return None if text is None else int(text)


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The next message's head.

    Raises:
        Ended: there is none.
    """
    try:
        return Head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        raise Ended from error


async def body_pieces(
    head: Head, reader: asyncio.StreamReader, asked_with: str
) -> AsyncIterator[bytes]:
    """The bytes behind the head, as they come.

    Args:
        asked_with: the method of the request an answer belongs to; "" for a request.
    """
    if head.is_answer and (asked_with == "HEAD" or head.status in (204, 304)):
        return
    if head.chunked:
        async for piece in _chunks(reader):
            yield piece
    elif head.length is not None:
        left = head.length
        while left:
            piece = await _some(reader, min(left, PIECE))
            left -= len(piece)
            yield piece
    elif head.is_answer:
        while True:
            piece = await reader.read(PIECE)
            if not piece:
                return
            yield piece


async def _some(reader: asyncio.StreamReader, most: int) -> bytes:
    piece = await reader.read(most)
    if not piece:
        raise Ended
    return piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readline()
        if not line:
            raise Ended
        yield line
        left = int(line.split(b";")[0], 16) + 2
        last = left == 2
        while left:
            piece = await _some(reader, min(left, PIECE))
            left -= len(piece)
            yield piece
        if last:
            return
