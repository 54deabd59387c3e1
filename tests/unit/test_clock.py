"""clock.py: the ways services write a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.clock import SYSTEM, chance, from_http_date, from_iso_date, to_iso_date
from ossmedia.playlist import segment_uri

TIMES = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2999, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(TIMES)
def test_http_dates_agree_with_the_standard_library(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert from_http_date(format_datetime(moment, usegmt=True)) == moment.timestamp()


@given(TIMES)
def test_iso_dates_agree_with_the_standard_library(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert from_iso_date(f"{whole:%Y-%m-%dT%H:%M:%SZ}") == whole.timestamp()
    milli = moment.microsecond // 1000
    assert (
        from_iso_date(f"{whole:%Y-%m-%dT%H:%M:%S}.{milli:03}Z") == whole.timestamp() + milli / 1000
    )


@given(st.floats(-62_135_596_800, 253_402_300_799))
def test_times_are_written_as_the_standard_library_writes_them(seconds: float) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds // 1)
    assert to_iso_date(seconds) == moment.isoformat()[:19]


def test_times_go_on_where_the_c_library_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def gmtime(_: float) -> None:
        raise OverflowError("timestamp out of range for platform time_t")

    monkeypatch.setattr(time, "gmtime", gmtime)
    assert to_iso_date(2**31) == "2038-01-19T03:14:08"
    assert from_iso_date("2038-01-19T03:14:08Z") == 2**31
    assert segment_uri(2**31 * 1000, 7) == "20380119/20380119T031408000Z-00000007.ts"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov ١٩٩٤ 08:49:37 GMT",
    ],
)
def test_other_http_dates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an HTTP date"):
        from_http_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-05-31",
        "2024-05-31T17:08:37",
        "2024-05-31T17:08:37+08:00",
        "2024-13-01T00:00:00Z",
        "2024-05-31T17:08:37.xZ",
        "24-05-31T17:08:37Z",
        "2023-02-29T00:00:00Z",
        "2024-05-31T17:60:00Z",
    ],
)
def test_other_iso_dates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 time"):
        from_iso_date(text)


def test_leap_days() -> None:
    assert from_iso_date("2024-02-29T00:00:00Z") == 1709164800
    assert from_http_date("Tue, 29 Feb 2000 00:00:00 GMT") == 951782400


def test_the_system_clock_runs_and_chance_varies() -> None:
    first = SYSTEM.monotonic()
    SYSTEM.sleep(0)
    SYSTEM.sleep(-1)
    assert SYSTEM.monotonic() >= first
    assert SYSTEM.now() > 1_700_000_000
    draws = {chance() for _ in range(100)}
    assert len(draws) > 90
    assert all(0 <= draw < 1 for draw in draws)
