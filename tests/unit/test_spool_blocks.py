"""The spool's file format: the same bytes on every machine, and no header where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia import crc64
from ossmedia.spool_blocks import (
    BLOCK_HEADER,
    FILE_HEADER,
    LARGEST_BLOCK,
    FileHeader,
    aligned,
    block_header,
    find_block,
    parse_block,
    parse_file_header,
)

SALT = 0x1122334455667788
WORDS = b'{"key":"a"}'

# Made by other code, bit by bit, and written down: what a 32-bit or a big-endian machine must read
# and write, too.
FILE_BYTES = bytes.fromhex(
    "6f6d73706f6f6c0a010000000b000000070000000000000003000000000000000010000000000000"
    "88776655443322110000000000000000bd516bbe08233710"
) + WORDS.ljust(32, b"\0")
BLOCK_BYTES = bytes.fromhex("b105000000020000010000000000000002000000000000000001000042007990")


def test_the_bytes_of_a_file_header():
    header = FileHeader(7, 3, 4096, SALT, WORDS)
    assert header.pack() == FILE_BYTES
    assert header.first_block == len(FILE_BYTES) == FILE_HEADER + 32
    found = parse_file_header(FILE_BYTES + b"more")
    assert found is not None
    fields = (found.item, found.number, found.start, found.salt, found.words)
    assert fields == (7, 3, 4096, SALT, WORDS)


def test_the_bytes_of_a_block_header():
    raw = block_header(SALT, 4096, 5, 4608, 1, 2, 4352)
    assert raw == BLOCK_BYTES
    block = parse_block(SALT, 4096, raw)
    assert block is not None
    fields = (block.length, block.offset, block.before, block.after, block.synced)
    assert fields == (5, 4608, 1, 2, 4352)


@given(st.integers(0, len(FILE_BYTES) * 8 - 1))
def test_every_flipped_bit_of_a_file_header_is_seen(bit):
    raw = bytearray(FILE_BYTES)
    raw[bit // 8] ^= 1 << bit % 8
    found = parse_file_header(bytes(raw))
    padding = FILE_HEADER + len(WORDS)
    assert found is None or bit // 8 >= padding


@given(st.integers(0, BLOCK_HEADER * 8 - 1))
def test_every_flipped_bit_of_a_block_header_is_seen(bit):
    raw = bytearray(BLOCK_BYTES)
    raw[bit // 8] ^= 1 << bit % 8
    assert parse_block(SALT, 4096, bytes(raw)) is None


@pytest.mark.parametrize("size", range(0, FILE_HEADER + len(WORDS), 7))
def test_a_torn_file_header_is_none(size):
    assert parse_file_header(FILE_BYTES[:size]) is None


def test_a_newer_format_is_named():
    raw = bytearray(FILE_BYTES)
    raw[8] = 2
    check = crc64(WORDS, crc64(bytes(raw[: FILE_HEADER - 8])))
    raw[FILE_HEADER - 8 : FILE_HEADER] = check.to_bytes(8, "little")
    with pytest.raises(ValueError, match="format 2 is newer than 1"):
        parse_file_header(bytes(raw))


def test_a_payload_cannot_pass_for_a_header():
    """A file of the spool, stored through the spool, holds headers of another salt."""
    assert parse_block(SALT + 1, 4096, BLOCK_BYTES) is None


@pytest.mark.parametrize("length", [0, LARGEST_BLOCK + 1])
def test_lengths_out_of_bounds_are_no_header(length):
    assert parse_block(SALT, 0, block_header(SALT, 0, length, 0, 0, 0, 0)) is None


def test_more_unsynced_than_fits_says_nothing():
    raw = block_header(SALT, 0, 1, 1 << 31, 0, 0, 0)
    assert parse_block(SALT, 0, raw).synced == 0
    far = block_header(SALT, 1 << 40, 1, 1 << 40, 0, 0, 0)
    assert parse_block(SALT, 1 << 40, far).synced == 0


@given(st.integers(0, 5), st.integers(0, 3000), st.booleans())
def test_the_next_header_is_found(before, junk, aligned_junk):
    """Behind damage of any length; one that is not aligned is none."""
    header = block_header(SALT, 0, 9, 77, 0, 0, 0)
    start = before * BLOCK_HEADER
    noise = bytes([0xB1]) * junk
    at = aligned(start + junk, BLOCK_HEADER)
    file = bytearray(b"\xb1" * start + noise)
    file.extend(b"\xb1" * (at - len(file)))
    if not aligned_junk:
        file.extend(b"\xb1")
    file += header + bytes(100)
    found = find_block(lambda at, size: bytes(file[at : at + size]), SALT, 0, start, len(file))
    if aligned_junk:
        assert found is not None
        assert found[0] == at
        assert found[1].offset == 77
    else:
        assert found is None
