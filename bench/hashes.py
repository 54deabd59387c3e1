"""CRC-64 next to liblzma's and to crcmod's, the two that cameras have without ossmedia: CPU time of
the same bytes in the same rounds, through Python."""

from __future__ import annotations

import ctypes
import ctypes.util

import pytest

from bench.rounds import compare
from ossmedia import crc64

MIB = 1 << 20
POLYNOMIAL = 0x142F0E1EBA9EA3693  # ECMA-182, as crcmod wants it


@pytest.fixture(scope="module")
def lzma():
    """liblzma's lzma_crc64, which releases the GIL as ours does."""
    name = ctypes.util.find_library("lzma")
    if name is None:
        pytest.skip("liblzma is not installed (Debian's liblzma5)")
    function = ctypes.CDLL(name).lzma_crc64
    function.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)
    function.restype = ctypes.c_uint64
    return lambda data: function(data, len(data), 0)


@pytest.fixture(scope="module")
def crcmod():
    """As oss2 uses it, with its C extension."""
    module = pytest.importorskip("crcmod", reason="crcmod comes with oss2")
    pytest.importorskip("crcmod._crcfunext", reason="crcmod was built without its C extension")
    return module.mkCrcFun(POLYNOMIAL, initCrc=0, rev=True, xorOut=0xFFFFFFFFFFFFFFFF)


def several(function, data, count):
    """A case that takes ``data`` ``count`` times; a MiB is one operation."""

    def run():
        for _ in range(count):
            function(data)
        return count * len(data) / MIB

    return run


@pytest.mark.parametrize(("size", "count"), [(64 << 10, 2000), (4 * MIB, 40)], ids=["64K", "4M"])
def test_crc64(benchmark, lzma, crcmod, size, count):
    data = bytes(range(256)) * (size // 256)
    assert crc64(data) == lzma(data) == crcmod(data)
    compare(
        benchmark,
        f"CRC-64 of a MiB, {size >> 10} KiB at a time",
        several(crc64, data, count),
        {
            "liblzma": several(lzma, data, count // 2),
            "crcmod": several(crcmod, data, max(count // 40, 1)),
        },
    )
