"""CRC-64/XZ: the fast way gives what the definition gives."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator import crc64

VECTORS = Path(__file__).parents[3] / "vectors" / "signature-vectors.json"


def by_definition(data: bytes, crc: int = 0) -> int:
    register = crc ^ 0xFFFF_FFFF_FFFF_FFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xC96C5795D7870F42 if register & 1 else 0)
    return register ^ 0xFFFF_FFFF_FFFF_FFFF


def test_the_polynomial_of_the_fold_is_a_multiple_of_the_crc_polynomial():
    rest = 0
    for power in (2597, 1148, 986, 927, 840, 690, 410, 0):
        rest ^= pow_x(power)
    assert rest == 0


def pow_x(exponent: int) -> int:
    value = 1
    for _ in range(exponent):
        value <<= 1
        if value >> 64:
            value ^= 0x1_42F0_E1EB_A9EA_3693
    return value


def test_check_value():
    assert crc64.update(0, b"123456789") == 11051210869376104954
    assert crc64.update(0, b"") == 0


@pytest.mark.parametrize("size", [*range(40), *range(340, 380), 1000, 4099, 20_001])
def test_equal_to_the_definition(size):
    data = random.Random(size).randbytes(size)
    start = random.Random(-size).getrandbits(64)
    assert crc64.update(start, data) == by_definition(data, start)


def test_vectors():
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    for vector in vectors["crc64"]:
        data = bytes.fromhex(vector["data_hex"])
        assert crc64.update(0, data) == int(vector["crc64_decimal"]), vector["id"]
    for vector in vectors["crc64_combine"]:
        pair = int(vector["crc_a"]), int(vector["crc_b"])
        assert crc64.combine(*pair, vector["len_b"]) == int(vector["combined"]), vector["id"]


def test_long_messages_in_any_pieces():
    data = random.Random(7).randbytes(1_000_003)
    whole = crc64.update(0, data)
    pieces = 0
    for start in range(0, len(data), 70_001):
        pieces = crc64.update(pieces, data[start : start + 70_001])
    assert pieces == whole
    assert crc64.update(0, bytearray(data)) == whole
    assert crc64.update(0, memoryview(data)) == whole


def test_equal_to_crcmod():
    crcmod = pytest.importorskip("crcmod")
    other = crcmod.mkCrcFun(0x1_42F0_E1EB_A9EA_3693, initCrc=0, xorOut=(1 << 64) - 1, rev=True)
    generator = random.Random(3)
    for _ in range(60):
        data = generator.randbytes(generator.randrange(300_000))
        assert crc64.update(0, data) == other(data)


@given(st.binary(max_size=800), st.binary(max_size=800), st.binary(max_size=20))
def test_continuation_and_combination(first, second, third):
    one, two = crc64.update(0, first), crc64.update(0, second)
    both = crc64.update(0, first + second)
    assert crc64.update(one, second) == both
    assert crc64.combine(one, two, len(second)) == both
    all_three = crc64.combine(both, crc64.update(0, third), len(third))
    assert all_three == crc64.update(0, first + second + third)


def test_combine_with_long_zero_runs():
    zeros = crc64.update(0, bytes(5_000_000))
    assert crc64.combine(crc64.update(0, b"a"), zeros, 5_000_000) == crc64.update(
        0, b"a" + bytes(5_000_000)
    )
    assert crc64.combine(123, 0, 0) == 123
