"""The forms of a request that signatures are made of.

What flows in: one request as it stood on the wire, and the instants written in it. What flows out:
decoded query pairs, percent-encoded text and unix times, without rounding anything the signer may
have seen. It never computes a signature and never looks at a key.
"""

from __future__ import annotations

import calendar
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

MAX_SKEW_SECONDS = 900

_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(
    rf"(?:{_DAYS}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_BASIC_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_ISO_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(\.[0-9]{1,9})?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


class SignedRequest(NamedTuple):
    """One OSS request as it arrived, with the bucket and key that addressing made of it.

    Fields:
        method: upper case.
        bucket: resolved from Host or path; None for a service call.
        key: the decoded key; None for bucket and service calls.
        path_style: the bucket stood in the path.
        raw_path: as on the wire, before any decoding.
        raw_query: as on the wire, without the ``?``.
        headers: lower-case name and latin-1 value, in order of arrival.
    """

    method: str
    bucket: str | None
    key: str | None
    path_style: bool
    raw_path: str
    raw_query: str
    headers: list[tuple[str, str]]

    def __repr__(self) -> str:
        return f"SignedRequest({self.method} bucket={self.bucket!r} key={self.key!r})"

    def header(self, name: str) -> str | None:
        """The value of a header, trimmed; several of one name are joined by commas; None when
        absent.
        """
        values = [value.strip(" \t") for given, value in self.headers if given == name]
        return ",".join(values) if values else None

    def header_names(self) -> list[str]:
        """Every header name of the request once, in byte order."""
        return sorted({name for name, _ in self.headers})

    def query(self) -> list[tuple[str, str | None]]:
        """The decoded query pairs in order; a name without ``=`` has the value None."""
        return [
            (decode_text(name), None if value is None else decode_text(value))
            for name, value in parse_query(self.raw_query)
        ]

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter, ``""`` when it stands alone, None when absent."""
        for given, value in self.query():
            if given == name:
                return value or ""
        return None


def parse_query(raw_query: str) -> list[tuple[bytes, bytes | None]]:
    """Split a raw query into decoded pairs.

    A plus sign is a blank: official clients write blanks so, and a plus as ``%2B``.
    """
    pairs: list[tuple[bytes, bytes | None]] = []
    for piece in raw_query.replace("+", "%20").split("&"):
        if piece:
            name, equals, value = piece.partition("=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value) if equals else None))
    return pairs


def encode_text(text: str) -> bytes:
    """UTF-8 bytes of decoded text; bytes that were no UTF-8 come back as they were."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(data: bytes) -> str:
    """Text of bytes from the wire, reversible by :func:`encode_text`."""
    return data.decode("utf-8", "surrogateescape")


def show(data: bytes) -> str:
    """Bytes as text for an error body; what is no UTF-8 becomes the replacement character."""
    return data.decode("utf-8", "replace")


def percent_encode(data: bytes, *, keep_slash: bool = False) -> bytes:
    """Percent-encode everything but ``A-Z a-z 0-9 - _ . ~`` (and ``/`` on request), in upper-case
    hex.
    """
    return quote(data, safe="/" if keep_slash else "").encode("ascii")


def same(left: str, right: str) -> bool:
    """Compare two texts in constant time."""
    return hmac.compare_digest(encode_text(left), encode_text(right))


def parse_http_date(text: str) -> float | None:
    """Unix seconds of ``Wed, 28 Dec 2022 10:27:41 GMT``; None when the text is not of that form."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    return _unix(year, _MONTHS.index(month) + 1, day, hour, minute, second)


def parse_basic_time(text: str) -> float | None:
    """Unix seconds of ``20231216T162057Z``; None when the text is not of that form."""
    match = _BASIC_TIME.fullmatch(text)
    return None if match is None else _unix(*match.groups())


def parse_iso_time(text: str) -> float | None:
    """Unix seconds of ``2024-05-31T17:08:37Z``, ``...37.000Z`` or ``...37+08:00``; None for another
    form.
    """
    match = _ISO_TIME.fullmatch(text)
    if match is None:
        return None
    seconds = _unix(*match.groups()[:6])
    if seconds is None:
        return None
    fraction, sign, hours, minutes = match.groups()[6:]
    if fraction:
        seconds += float(fraction)
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            return None
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds


def _unix(*pieces: str | int) -> float | None:
    try:
        year, month, day, hour, minute, second = map(int, pieces)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return float(calendar.timegm(moment.timetuple()))


def utc(now: float) -> datetime:
    """The instant as an aware time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=now)


def iso_seconds(now: float) -> str:
    """``2024-05-31T17:08:37Z``."""
    return utc(now).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_millis(now: float) -> str:
    """``2024-05-31T17:08:37.000Z``."""
    moment = utc(now)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def day_of(now: float) -> str:
    """``20240531``."""
    return utc(now).strftime("%Y%m%d")
