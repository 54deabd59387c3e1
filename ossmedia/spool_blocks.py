"""The format of the spool's data files: a file header, then blocks, each with a header of its own.

In flow numbers and bytes, out flow headers, or the news that there is none. Everything is
little-endian with fixed widths, so that any machine reads what another wrote. It opens no file and
keeps no state.

A file is a header of 64 bytes, the object's own words as JSON, and blocks::

    file    8s "omspool\\n"   I format   I length of the words   Q object   Q number of the file
            Q first byte of the stream   Q salt   8 zeros   Q CRC-64 of all this and the words
    block   I 0xB1 + 256 * length   I first byte, from the file's first   Q, Q CRC-64 of the
            file's payload before and behind the block   I unsynced
            I check: CRC-32 of these 28 bytes, beginning from the salt's lower half

``unsynced`` is how many bytes before the block were not on stable storage when it was begun: damage
before those is damage, and what is wrong after them may be no more than a torn end. The CRC-64
chains from block to block, so that many are checked at once, and each still can be alone.

A block stands at the next multiple of 32 behind its forerunner, or, the first one after a commit,
at the next multiple of 4,096: a page that is safe on the disk is not written again. The salt is
random, so that no payload can pass for a header.
"""

from __future__ import annotations

from binascii import crc32
from struct import Struct

from ossmedia._native import crc64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BLOCK_HEADER",
    "FILE_HEADER",
    "FORMAT",
    "LARGEST_BLOCK",
    "LONGEST_WORDS",
    "PAGE",
    "Block",
    "FileHeader",
    "aligned",
    "block_header",
    "find_block",
    "parse_block",
    "parse_file_header",
]

FORMAT = 1
PAGE = 4096
BLOCK_HEADER = 32
FILE_HEADER = 64
LARGEST_BLOCK = 1 << 20  # bytes of payload: what a reader must hold at once
LONGEST_WORDS = 1 << 16

_FILE = Struct("<8sIIQQQQ8xQ")
_FILE_MAGIC = b"omspool\n"
_BLOCK = Struct("<IIQQI")
_CHECK = Struct("<I")
_MARK = 0xB1
_MARK_BYTE = bytes([_MARK])
_MOST_UNSYNCED = 0xFFFFFFFF  # and "more", which says nothing
_STEP = 1 << 16


class Block:
    """A block's header: ``length`` bytes of payload that begin at byte ``offset`` of the stream;
    CRC-64 of the file's payload ``before`` and ``after`` it; the stream's bytes before ``synced``
    were durable when it was begun."""

    __slots__ = ("after", "before", "length", "offset", "synced")

    def __init__(self, length: int, offset: int, before: int, after: int, synced: int) -> None:
        self.length = length
        self.offset = offset
        self.before = before
        self.after = after
        self.synced = synced


class FileHeader:
    """A file's header. ``first_block``: where in the file blocks begin."""

    __slots__ = ("item", "number", "salt", "start", "words")

    def __init__(self, item: int, number: int, start: int, salt: int, words: bytes) -> None:
        self.item = item
        self.number = number
        self.start = start
        self.salt = salt
        self.words = words

    @property
    def first_block(self) -> int:
        return aligned(FILE_HEADER + len(self.words), BLOCK_HEADER)

    def pack(self) -> bytes:
        """The header as it stands in the file, up to the first block."""
        fields = (_FILE_MAGIC, FORMAT, len(self.words), self.item, self.number)
        fixed = _FILE.pack(*fields, self.start, self.salt, 0)[:-8]
        check = crc64(self.words, crc64(fixed))
        raw = fixed + check.to_bytes(8, "little") + self.words
        return raw.ljust(self.first_block, b"\0")


def aligned(position: int, step: int) -> int:
    """The next multiple of ``step``, or the position if it is one."""
    return -(-position // step) * step


def parse_file_header(raw: bytes) -> FileHeader | None:
    """The header that a file begins with; None when it is torn or damaged.

    Args:
        raw: the file's first FILE_HEADER + LONGEST_WORDS bytes, or all of a shorter one.

    Raises:
        ValueError: a newer format.
    """
    if len(raw) < FILE_HEADER:
        return None
    magic, number_of_format, length, *rest = _FILE.unpack_from(raw)
    item, number, start, salt, check = rest
    if magic != _FILE_MAGIC or length > LONGEST_WORDS or len(raw) < FILE_HEADER + length:
        return None
    words = raw[FILE_HEADER : FILE_HEADER + length]
    if crc64(words, crc64(raw[: FILE_HEADER - 8])) != check:
        return None
    if number_of_format != FORMAT:
        raise ValueError(f"format {number_of_format} is newer than {FORMAT}")
    return FileHeader(item, number, start, salt, words)


def block_header(
    salt: int, start: int, length: int, offset: int, before: int, after: int, synced: int
) -> bytes:
    """The 32 bytes in front of a payload, in a file that begins with byte ``start``."""
    unsynced = min(offset - synced, _MOST_UNSYNCED)
    raw = _BLOCK.pack(_MARK | length << 8, offset - start, before, after, unsynced)
    return raw + _CHECK.pack(crc32(raw, salt & 0xFFFFFFFF))


def parse_block(salt: int, start: int, raw: bytes | memoryview) -> Block | None:
    """The header in these 32 bytes; None when there is none."""
    if len(raw) < BLOCK_HEADER or raw[0] != _MARK:
        return None
    if crc32(raw[:28], salt & 0xFFFFFFFF) != _CHECK.unpack_from(raw, 28)[0]:
        return None
    word, relative, before, after, unsynced = _BLOCK.unpack_from(raw)
    length, offset = word >> 8, start + relative
    synced = 0 if unsynced == _MOST_UNSYNCED else max(offset - unsynced, 0)
    if not 0 < length <= LARGEST_BLOCK:
        return None
    return Block(length, offset, before, after, synced)


def find_block(
    read: Callable[[int, int], bytes | memoryview], salt: int, start: int, position: int, end: int
) -> tuple[int, Block] | None:
    """The first block at or behind a place where one should stand and does not: where it stands,
    and its header. None: there is no other in the file.

    Args:
        read: gives bytes of the file from a position on, and how many; fewer at its end, and before
            what cannot be read.
        end: the file's length.
    """
    position, leap = aligned(position, BLOCK_HEADER), PAGE
    while position < end:
        window = bytes(read(position, _STEP + BLOCK_HEADER))
        if not window:  # one bad sector costs a page; a dead disk is not asked for each of them
            position, leap = aligned(position + 1, leap), min(2 * leap, _STEP)
            continue
        leap = PAGE
        marks = window[:_STEP:BLOCK_HEADER]  # where a header could begin
        at = marks.find(_MARK_BYTE)
        while at >= 0:
            place = at * BLOCK_HEADER
            block = parse_block(salt, start, window[place : place + BLOCK_HEADER])
            if block is not None:
                return position + place, block
            at = marks.find(_MARK_BYTE, at + 1)
        whole = len(window) - len(window) % BLOCK_HEADER
        position += max(min(whole, _STEP), BLOCK_HEADER)
    return None
