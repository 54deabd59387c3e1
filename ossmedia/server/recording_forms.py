"""What people ask about recordings, read strictly, and the forms they get as answers.

In flow queries of addresses and entries of the catalogue, out flow bounds of time, JSON values, and
the headers under which a recording is shown. Anything doubtful in a query is refused with its
field's name and limit. What a camera named its object never becomes a type that a browser would
run, nor part of a header.
"""

from __future__ import annotations

import calendar
import re
import time
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from ossmedia.clock import from_iso_date
from ossmedia.server.catalogue import DAY_S, Cursor, Entry
from ossmedia.server.problems import Problem
from ossmedia.server.recordings import GROWING
from ossmedia.server.runs import LONGEST_RUN_S

__all__ = [
    "Query",
    "entry_json",
    "file_name",
    "iso",
    "safe_type",
]

MOST = 200
_USUAL = 50
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,6}", re.ASCII)
_SHOWN = re.compile(r"(?:video|audio)/[a-z0-9.+-]{1,60}|image/(?:jpeg|png|webp|gif|avif)")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_BY_ENDING = {
    "ts": "video/mp2t",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "m4s": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "wav": "audio/wav",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
}


def iso(seconds: float) -> str:
    """A time as "2026-11-23T10:15:00.000Z"."""
    whole, thousandths = divmod(int(seconds * 1000 + 1e-6), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{thousandths:03d}Z"


class Query:
    """The query of one request.

    Args:
        known: the names it may hold, each at most once.

    Raises:
        Problem: unknown-field, invalid-field. So do all methods, naming the field.
    """

    def __init__(self, request: Request, *known: str) -> None:
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known:
                raise Problem("unknown-field", f"{name[:60]!r}; known: {', '.join(known)}")
            if name in self._values:
                raise Problem("invalid-field", f"{name}: stands there twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """A value as it stands; None: not given."""
        return self._values.get(name)

    def flag(self, name: str) -> bool:
        """ "1" or "0"; not given: no."""
        value = self._values.get(name, "0")
        if value not in ("0", "1"):
            raise Problem("invalid-field", f"{name}: must be 0 or 1")
        return value == "1"

    def _number(self, name: str, usual: int, low: int, high: int) -> int:
        value = self._values.get(name, str(usual))
        if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
            raise Problem("invalid-field", f"{name}: must be a whole number {low}-{high}")
        return int(value)

    def limit(self) -> int:
        """How many entries of a list."""
        return self._number("limit", _USUAL, 1, MOST)

    def cursor(self) -> Cursor | None:
        """Where the list goes on."""
        value = self._values.get("cursor", "")
        if not value:
            return None
        try:
            return Cursor.parse(value[:200])
        except ValueError as error:
            raise Problem("invalid-field", str(error)) from None

    def _offset_s(self) -> int:
        return 60 * self._number("tz_offset_min", 0, -720, 840)

    def day(self) -> tuple[float, float] | None:
        """Begin and end of the day asked for, of the person's clock; None: none is given."""
        value = self._values.get("day")
        if value is None:
            return None
        low = _midnight("day", value, _DAY, "%Y-%m-%d") - self._offset_s()
        return low, low + DAY_S

    def month(self) -> tuple[float, float, list[str]]:
        """Begin and end of the month asked for, and the names of its days."""
        value = self._values.get("month", "")
        begin = _midnight("month", value, _MONTH, "%Y-%m")
        count = calendar.monthrange(int(value[:4]), int(value[5:]))[1]
        low = begin - self._offset_s()
        return low, low + count * DAY_S, [f"{value}-{day:02d}" for day in range(1, count + 1)]

    def moment(self, name: str) -> float | None:
        """A time in ISO 8601, UTC; None: not given."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return from_iso_date(value[:40])
        except ValueError as error:
            raise Problem("invalid-field", f"{name}: {error}") from None


def _midnight(name: str, value: str, form: re.Pattern[str], layout: str) -> float:
    try:
        if not form.fullmatch(value) or int(value[:4]) < 1970:
            raise ValueError
        return float(calendar.timegm(time.strptime(value, layout)))
    except ValueError:
        shape = "YYYY-MM-DD" if form is _DAY else "YYYY-MM"
        raise Problem("invalid-field", f"{name}: must be {shape}, from 1970 on") from None


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as it travels."""
    return {
        "id": entry.id,
        "camera": entry.camera,
        "kind": entry.kind,
        "title": entry.title,
        "key": entry.key,
        "start": iso(entry.start_at),
        "duration_s": None if entry.duration_s is None else round(entry.duration_s, 3),
        "size": entry.size,
        "state": entry.state,
        "keep": entry.keep,
        "content_type": entry.content_type,
        "playlist": playlist_path(entry),
        "discontinuities": entry.discontinuities,
    }


def playlist_path(entry: Entry) -> str | None:
    """Where a run's playlist is. What still grows may be watched as far as it will go."""
    if entry.stream is None:
        return None
    end_at = entry.start_at + (entry.duration_s or 0.0)
    if entry.state == GROWING:
        end_at = entry.start_at + LONGEST_RUN_S
    return (
        f"/v1/playlists/{quote(entry.camera, safe='')}/{quote(entry.stream, safe='/')}.m3u8"
        f"?from={iso(entry.start_at)}&to={iso(end_at)}"
    )


def safe_type(content_type: str, key: str) -> str:
    """The type under which a recording is given out: that of a picture, a sound or a video, or one
    that a browser only stores."""
    plain = content_type.partition(";")[0].strip().lower()
    if _SHOWN.fullmatch(plain) and plain != "image/svg+xml":
        return plain
    ending = key.rpartition("/")[2].rpartition(".")[2].lower()
    return _BY_ENDING.get(ending, "application/octet-stream")


def file_name(entry: Entry) -> str:
    """What a downloaded recording is called: letters, digits, ".", "_" and "-" only."""
    name = _UNSAFE.sub("_", entry.key.rpartition("/")[2]).lstrip("._-")
    return name[-100:].lstrip("._-") or "recording"
