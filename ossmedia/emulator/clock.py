"""The one clock of the local cloud.

What flows in: an offset in seconds, set by a test. What flows out: the present time as the cloud
sees it, for signatures, tokens and every Date. It never sleeps and never touches the machine's
clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Clock:
    """Unix time plus an offset that tests may move.

    Args:
        offset_s: seconds added to the machine's time, negative for the past.
    """

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s
        self._http_second = -1
        self._http_text = ""

    def now(self) -> float:
        """Seconds since 1970 as the cloud sees them."""
        return time.time() + self.offset_s

    def http_date(self, shift_s: float = 0.0) -> str:
        """The present time in RFC 1123 form, *shift_s* seconds off (a lying Date is one fault)."""
        second = int(self.now() + shift_s)
        if second != self._http_second:
            self._http_second, self._http_text = second, http_time(second)
        return self._http_text


def http_time(moment_s: float) -> str:
    """Unix seconds in RFC 1123 form, as in ``Last-Modified``."""
    return format_datetime(_utc(moment_s), usegmt=True)


def iso_time(moment_s: float) -> str:
    """Unix seconds as ``YYYY-MM-DDThh:mm:ss.000Z``, as in list answers."""
    return _utc(moment_s).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _utc(moment_s: float) -> datetime:
    """Not by the C library, whose time may end in 2038."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(moment_s))
