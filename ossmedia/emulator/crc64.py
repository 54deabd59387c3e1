"""CRC-64/XZ of content, in plain Python and yet fast.

What flows in: bytes in any pieces. What flows out: the checksum that OSS sends as
``x-oss-hash-crc64ecma``. It needs no C extension: a long piece is first shortened with big integers
(more than 200 MB/s), and only its last few hundred bytes go through a table (8 MB/s).

How: the polynomial of the CRC divides Q(x) = x^2597 + x^1148 + x^986 + x^927 + x^840 + x^690 +
x^410 + 1, and over GF(2) it then divides Q(x^(2^k)) = Q(x)^(2^k) as well. A bit may thus be
replaced by seven bits nearer to the end. One shift and one XOR of Python's integers do that for a
third of a message at once, which runs at memory speed, where a table in Python makes 8 MB/s.
"""

from __future__ import annotations

import struct
from array import array

_POLY = 0xC96C5795D7870F42
_ONES = 0xFFFF_FFFF_FFFF_FFFF
_DEGREE = 2597
_LOWER = (1148, 986, 927, 840, 690, 410, 0)
_REACH = _DEGREE - _LOWER[0]
_TABLE_BITS = 2800
"""Messages up to this length go through the table alone."""

_BLOCK_SIZE = 256 * 1024
"""Longer messages go in blocks, which fit the processor's cache."""


def _byte_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLY if value & 1 else 0)
    return value


_BYTES = [_byte_entry(index) for index in range(256)]
# Two bytes at a time: the entry of a 16-bit value follows from those of its two bytes.
_PAIRS = array(
    "Q",
    (
        _BYTES[(_BYTES[low] ^ high) & 0xFF] ^ _BYTES[low] >> 8
        for high in range(256)
        for low in range(256)
    ),
)


def _shorten(message: int, bits: int) -> tuple[int, int]:
    """A shorter message with the same remainder. Bit 0 is first on the wire: the highest power."""
    while bits > _TABLE_BITS:
        scale = 1
        while 3 * scale * _DEGREE <= bits:
            scale *= 2
        taken = min(scale * _REACH, bits - scale * _DEGREE) & ~7
        head = message & (1 << taken) - 1
        moved = 0
        for power in _LOWER:
            moved ^= head << (scale * (_DEGREE - power) - taken)
        message = message >> taken ^ moved
        bits -= taken
    return message, bits


def update(crc: int, data: bytes | bytearray | memoryview) -> int:
    """The CRC-64 of everything so far and *data*.

    Args:
        crc: the checksum of what came before, 0 at the start.

    Returns:
        0 to 2^64 - 1; ``update(update(0, a), b) == update(0, a + b)``.

    Source: CRC-64/XZ: ECMA-182 polynomial, reflected, initial value and final XOR all ones.
    """
    if len(data) > _BLOCK_SIZE:
        view = memoryview(data)
        for start in range(0, len(view), _BLOCK_SIZE):
            crc = update(crc, view[start : start + _BLOCK_SIZE])
        return crc
    register = crc ^ _ONES
    bits = len(data) * 8
    if bits > _TABLE_BITS:
        message, bits = _shorten(int.from_bytes(data, "little") ^ register, bits)
        data = message.to_bytes(bits // 8, "little")
        register = 0
    even = len(data) & ~1
    pairs = _PAIRS
    for value in struct.unpack(f"<{even // 2}H", data[:even]):
        register = pairs[(register ^ value) & 0xFFFF] ^ register >> 16
    for value in data[even:]:
        register = _BYTES[(register ^ value) & 0xFF] ^ register >> 8
    return register ^ _ONES


def _times(left: int, right: int) -> int:
    """The product of two reflected polynomials modulo the CRC's."""
    product = 0
    for bit in range(63, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (_POLY if right & 1 else 0)
    return product


_POWERS = [1 << 55]
"""x^8, x^16, x^32 ... in reflected form: what 1, 2, 4 ... zero bytes multiply by."""


def combine(first: int, second: int, second_length: int) -> int:
    """The CRC-64 of two pieces from theirs.

    Args:
        first: checksum of the first piece.
        second: checksum of the second piece.
        second_length: bytes of the second piece; 0 gives *first*.
    """
    index = 0
    while second_length:
        if index == len(_POWERS):
            _POWERS.append(_times(_POWERS[-1], _POWERS[-1]))
        if second_length & 1:
            first = _times(_POWERS[index], first)
        second_length >>= 1
        index += 1
    return first ^ second
