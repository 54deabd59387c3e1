"""picture_order.py: which pictures are shown before one that came earlier, by streams whose headers
are written bit by bit here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.picture_order import PictureOrder

IDR, CRA, TRAIL, RASL, SPS, PPS = 19, 21, 1, 8, 33, 34


def ue(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def nal(kind: int, bits: str, layer: int = 0) -> bytes:
    """Behind a start code, with emulation prevention."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    body = bytearray()
    for byte in int(bits, 2).to_bytes(len(bits) // 8, "big"):
        if byte <= 3 and body[-2:] == b"\0\0":
            body.append(3)
        body.append(byte)
    return b"\0\0\1" + bytes([kind << 1 | layer >> 5, (layer & 31) << 3 | 1]) + body


def sets(
    size: int = 8, *, sub_layers: int = 0, chroma: int = 1, output: int = 0, extra: int = 0
) -> bytes:
    sps = f"0000{sub_layers:03b}1" + "0" * 88 + "01011101"
    if sub_layers:
        sps += "11" * sub_layers + "00" * (8 - sub_layers) + "0" * 96 * sub_layers
    sps += ue(0) + ue(chroma) + ("1" if chroma == 3 else "") + ue(1920) + ue(1080)
    sps += "1" + ue(0) * 3 + ue(4) + ue(0) * 2 + ue(size - 4)
    pps = ue(3) + ue(0) + "0" + str(output) + f"{extra:03b}"
    return nal(SPS, sps) + nal(PPS, pps)


def picture(
    kind: int, count: int = 0, size: int = 8, *, apart: int = 0, output: int = 0, extra: int = 0
) -> bytes:
    bits = "1" + ("0" if kind in (IDR, CRA) else "") + ue(3) + "0" * extra + ue(0)
    bits += "1" * output + "00" * apart
    if kind != IDR:
        bits += f"{count % (1 << size):0{size}b}"
    return nal(kind, bits + "0101")


def looked(units: list[bytes]) -> list[tuple[bool, bool]]:
    order = PictureOrder("h265")
    return [order.look(unit) for unit in units]


@given(
    st.integers(4, 16), st.integers(0, 6), st.sampled_from([1, 3]), st.integers(0, 1),
    st.integers(0, 7),
)  # fmt: skip
def test_headers_of_all_kinds(
    size: int, sub_layers: int, chroma: int, output: int, extra: int
) -> None:
    more = {"apart": int(chroma == 3), "output": output, "extra": extra}
    head = sets(size, sub_layers=sub_layers, chroma=chroma, output=output, extra=extra)
    in_order = [picture(TRAIL, n, size, **more) for n in range(1, 40)]  # counts wrap
    assert (
        looked([head + picture(IDR, **more), *in_order]) == [(True, False)] + [(False, False)] * 39
    )
    mixed = [picture(TRAIL, n, size, **more) for n in (3, 1, 2, 6)]
    assert [back for _, back in looked([head + picture(IDR, **more), *mixed])] == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_pictures_that_lead_a_key_frame_go_back() -> None:
    units = [sets() + picture(IDR), picture(TRAIL, 1), picture(CRA, 8), picture(RASL, 6)]
    assert looked(units) == [(True, False), (False, False), (True, False), (False, True)]


def test_an_idr_begins_anew() -> None:
    units = [sets() + picture(IDR), picture(TRAIL, 100), picture(IDR), picture(TRAIL, 1)]
    assert [back for _, back in looked(units)] == [False] * 4


def test_other_layers_are_not_looked_at() -> None:
    other = nal(TRAIL, "1" + ue(3) + ue(0) + "00000000", layer=1)
    assert looked([sets() + picture(IDR), picture(TRAIL, 9), other + picture(TRAIL, 10)])[-1] == (
        False,
        False,
    )


@pytest.mark.parametrize(
    "unit", [b"", b"\0\0\1", b"\0\0\1\x02", b"\0\0\1" * 9, picture(TRAIL, 1), b"rubbish"]
)
def test_what_cannot_be_read_is_in_order(unit: bytes) -> None:
    assert looked([unit, sets() + picture(IDR), unit, picture(TRAIL, 5)])[-1] == (False, False)


@given(st.binary(max_size=80), st.sampled_from(["h264", "h265"]), st.integers(0, 200))
def test_rubbish_raises_nothing(rubbish: bytes, codec: str, at: int) -> None:
    stream = sets() + picture(IDR) + picture(TRAIL, 1)
    order = PictureOrder(codec)
    order.look(rubbish)
    order.look(stream[:at] + rubbish + stream[at:])
    order.look(b"\0\0\1" + rubbish)


def test_key_frames_of_h264() -> None:
    order = PictureOrder("h264")
    assert order.look(b"\0\0\1\x67\x42\0\0\0\1\x68\x42\0\0\0\1\x65\x88\x80") == (True, False)
    assert order.look(b"\0\0\1\x41\x9a\x80") == (False, False)
    assert order.look(b"\0\0\1\x01\x9e\x80") == (False, True)
