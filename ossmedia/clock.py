"""Time: the one clock that is handed to everything that waits or measures, and the two ways
services write a time.

In flow texts from answers (HTTP dates, ISO 8601), out flow seconds since 1970, and back. It never
keeps state and never parses what is not UTC.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Condition

__all__ = ["SYSTEM", "Clock", "chance", "from_http_date", "from_iso_date", "to_iso_date"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """The system's clock. Tests hand in an object with the same methods."""

    __slots__ = ()

    def now(self) -> float:
        """Wall time, seconds since 1970 UTC; may be wrong and may jump."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds from an unknown start; never jumps."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits; nothing for zero and below."""
        if seconds > 0:
            time.sleep(seconds)

    def wait(self, condition: Condition, seconds: float | None) -> None:
        """Waits on a held condition for a notification, at most ``seconds`` (None: as long as it
        takes)."""
        condition.wait(seconds)


SYSTEM = Clock()


def chance() -> float:
    """An unforeseeable number in [0, 1), from the kernel: a fleet that boots together must not
    jitter alike."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)


def _seconds(year: int, month: int, day: int, clock: str) -> float:
    """Seconds since 1970 of a day of the Gregorian calendar and "hh:mm:ss"."""
    hour, minute, second = (_digits(part, 2) for part in clock.split(":"))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1 <= month <= 12 and 1 <= day <= length[month - 1] and year >= 1970):
        raise ValueError
    if not (hour < 24 and minute < 60 and second <= 60):
        raise ValueError
    before = year - 1
    days = (
        before * 365 + before // 4 - before // 100 + before // 400 + sum(length[: month - 1]) + day
    )
    return float((days - 719_163) * 86_400 + hour * 3600 + minute * 60 + second)


def _digits(text: str, count: int) -> int:
    if len(text) != count or not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)


def from_http_date(text: str) -> float:
    """Seconds since 1970 of "Sun, 06 Nov 1994 08:49:37 GMT".

    Raises:
        ValueError: any other form.
    Source: RFC 9110 5.6.7, the preferred form; OSS sends no other.
    """
    try:
        _, day, month, year, clock, zone = text.split(" ")
        if zone != "GMT":
            raise ValueError
        return _seconds(_digits(year, 4), _MONTHS.index(month) + 1, _digits(day, 2), clock)
    except ValueError:
        raise ValueError(f"not an HTTP date: {text[:40]!r}") from None


def from_iso_date(text: str) -> float:
    """Seconds since 1970 of "2024-05-31T17:08:37Z" or "2024-05-31T17:08:37.000Z"; UTC only.

    Raises:
        ValueError: any other form.
    """
    try:
        date, clock = text.split("T")
        if not clock.endswith("Z"):
            raise ValueError
        clock, dot, fraction = clock[:-1].partition(".")
        year, month, day = date.split("-")
        whole = _seconds(_digits(year, 4), _digits(month, 2), _digits(day, 2), clock)
        return whole + (_digits(fraction, len(fraction)) / 10 ** len(fraction) if dot else 0.0)
    except ValueError:
        raise ValueError(f"not an ISO 8601 time in UTC: {text[:40]!r}") from None


def to_iso_date(seconds: float) -> str:
    """The whole seconds since 1970 UTC, rounded down, as "2024-05-31T17:08:37".

    Not by ``time.gmtime``: on 32-bit systems it may end in 2038, and what services say does not.
    """
    days, rest = divmod(int(seconds // 1), 86_400)
    # Years that begin in March have their leap day last; 400 of them have 146,097 days.
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year += 400 * era + month // 10
    month = (month + 2) % 12 + 1
    hour, minute, second = rest // 3600, rest // 60 % 60, rest % 60
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
