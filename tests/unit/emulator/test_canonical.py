"""The forms of a request that signatures are made of."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.emulator.canonical import (
    SignedRequest,
    day_of,
    decode_text,
    encode_text,
    iso_millis,
    iso_seconds,
    parse_basic_time,
    parse_http_date,
    parse_iso_time,
    parse_query,
    percent_encode,
)


@given(st.binary(max_size=64))
def test_any_bytes_survive_as_text(data: bytes) -> None:
    assert encode_text(decode_text(data)) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.none() | st.binary(max_size=8))))
def test_any_query_is_read_as_it_was_written(pairs: list[tuple[bytes, bytes | None]]) -> None:
    raw = "&".join(
        quote(n, safe="") + ("" if v is None else "=" + quote(v, safe="")) for n, v in pairs
    )
    assert parse_query(raw) == pairs


def test_query_details() -> None:
    assert parse_query("a+b=c+d%2B&&e=&f&g=1=2") == [
        (b"a b", b"c d+"),
        (b"e", b""),
        (b"f", None),
        (b"g", b"1=2"),
    ]
    assert parse_query("") == []


def test_request_accessors() -> None:
    headers = [("host", " a "), ("x", "1"), ("x", "2")]
    request = SignedRequest("GET", "b", None, False, "/", "n&m=1&m=2", headers)
    assert request.header("host") == "a"
    assert request.header("x") == "1,2"
    assert request.header("y") is None
    assert request.header_names() == ["host", "x"]
    assert (request.parameter("n"), request.parameter("m")) == ("", "1")
    assert request.parameter("o") is None


def test_percent_encoding() -> None:
    kept = b"ABCXYZabcxyz0189-_.~"
    assert percent_encode(kept) == kept
    assert percent_encode(b" /+*\xff") == b"%20%2F%2B%2A%FF"
    assert percent_encode(b"a/b", keep_slash=True) == b"a/b"


@given(st.integers(min_value=-62135596800, max_value=253402300799))
def test_times_are_read_as_they_were_written(second: int) -> None:
    parts = time.gmtime(second)
    year = f"{parts.tm_year:04d}"
    basic = year + time.strftime("%m%dT%H%M%SZ", parts)
    extended = year + time.strftime("-%m-%dT%H:%M:%S", parts)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    names = "JanFebMarAprMayJunJulAugSepOctNovDec"
    month = names[3 * parts.tm_mon - 3 : 3 * parts.tm_mon]
    http = f"{days[parts.tm_wday]}, {parts.tm_mday:02d} {month} {year}"
    assert parse_basic_time(basic) == second
    assert parse_iso_time(extended + "Z") == second
    assert parse_iso_time(extended + ".000Z") == second
    assert parse_iso_time(extended + "+08:00") == second - 8 * 3600
    assert parse_iso_time(extended + "-00:30") == second + 1800
    assert parse_http_date(http + time.strftime(" %H:%M:%S GMT", parts)) == second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-05-31",
        "2024-05-31T17:08:37",
        "2024-05-31 17:08:37Z",
        "2024-13-31T17:08:37Z",
        "2024-02-30T17:08:37Z",
        "2024-05-31T24:08:37Z",
        "2024-05-31T17:08:37+24:00",
        "2024-05-31T17:08:37+08:60",
        "0000-05-31T17:08:37Z",
        "٢٠٢٤-05-31T17:08:37Z",
        "2024-05-31T17:08:37Z\n",
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    assert parse_iso_time(text) is None
    assert parse_basic_time(text) is None
    assert parse_http_date(text) is None


def test_fractions_and_writing() -> None:
    assert parse_iso_time("1970-01-01T00:00:01.500Z") == 1.5
    assert iso_seconds(1717171717.9) == "2024-05-31T16:08:37Z"
    assert iso_millis(1717171717.25) == "2024-05-31T16:08:37.250Z"
    assert day_of(1717171717) == "20240531"


def test_repr_shows_no_header() -> None:
    request = SignedRequest("GET", "b", "k", False, "/k", "x-oss-signature=s", [("a", "secret")])
    assert "secret" not in repr(request)
    assert "signature" not in repr(request)
