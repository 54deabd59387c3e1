"""Reports: a camera tells the server what it stored.

In flow signed documents of devices, out flow rows of the index and, for each object, what the
server found. A report is where to look, not what is there: the server asks OSS itself. Only start
and duration are taken from the camera, where the object does not tell them.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ossmedia.clock import from_iso_date
from ossmedia.errors import CredentialsError
from ossmedia.server.archive import Archive, Owner
from ossmedia.server.device_door import Told, json_response
from ossmedia.server.devices import Device
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.problems import Problem
from ossmedia.server.recording_facts import LONGEST_S
from ossmedia.server.wishes import read_object

__all__ = ["MOST_OBJECTS", "Reports"]

MOST_OBJECTS = 100
_LONGEST_KEY = 1023  # bytes
_WAITING = 32
_FIELDS = ("key", "size", "crc64", "start", "duration_s")


@dataclass(frozen=True, slots=True)
class _Report:
    """One object, as its camera tells it; None: not told."""

    key: str
    size: int | None
    crc64: str | None
    start_at: float | None
    duration_s: float | None


class Reports:
    """What answers POST /v1/reports."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._waiting = 0

    async def __call__(self, _: Request, device: Device, body: bytes) -> Response:
        """Looks at what an admitted device reports."""
        reports = _read(read_object(body), device)
        if self._waiting >= _WAITING:
            raise Problem("busy", "reports: too many at once", retry_after_s=2)
        self._waiting += 1
        owner = Owner(device.id, device.prefix)
        try:
            run = asyncio.get_running_loop().run_in_executor
            with Told():
                found = await run(self._archive.calls, self._look, owner, reports)
        except (OssUnavailable, CredentialsError):
            raise Problem("oss-unavailable", retry_after_s=5) from None
        finally:
            self._waiting -= 1
        return json_response({"device": device.id, "objects": found})

    def _look(self, owner: Owner, reports: list[_Report]) -> list[dict[str, str]]:
        return [{"key": report.key, "state": self._state(owner, report)} for report in reports]

    def _state(self, owner: Owner, report: _Report) -> str:
        """What became of one: "recorded"; "different", recorded as OSS has it; "missing"."""
        said = report.start_at, report.duration_s
        row = self._archive.look(report.key, owner, "report", said)
        if row is None:
            return "missing"
        size = report.size is not None and report.size != row.size
        crc64 = report.crc64 is not None and row.crc64 not in ("", report.crc64)
        return "different" if size or crc64 else "recorded"


def _read(data: dict[str, Any], device: Device) -> list[_Report]:
    """The objects of a report.

    Raises:
        Problem: naming the field and its limit.
    """
    objects = data.get("objects")
    if set(data) - {"objects"}:
        raise Problem("unknown-field", "known: objects")
    if not isinstance(objects, list) or not 1 <= len(objects) <= MOST_OBJECTS:
        raise Problem("invalid-field", f"objects: must be a list of 1-{MOST_OBJECTS}")
    return [_read_one(item, device) for item in objects]


def _read_one(item: Any, device: Device) -> _Report:
    if not isinstance(item, dict):
        raise Problem("invalid-field", "objects: must hold objects")
    for name in item:
        if name not in _FIELDS:
            raise Problem("unknown-field", f"{name[:60]!r}; known: {', '.join(_FIELDS)}")
    return _Report(
        _key(item.get("key"), device.prefix),
        _size(item.get("size")),
        _crc64(item.get("crc64")),
        _start(item.get("start")),
        _duration(item.get("duration_s")),
    )


def _key(value: Any, prefix: str) -> str:
    try:
        good = isinstance(value, str) and 0 < len(value.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        good = False
    if not good or "\0" in value:
        raise Problem("invalid-field", f"key: must be a text of 1-{_LONGEST_KEY} bytes")
    if not value.startswith(prefix + "/"):
        raise Problem("prefix-outside", f"key: must be below {prefix!r}")
    return str(value)


def _size(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 50:
        raise Problem("invalid-field", "size: must be a whole number of bytes")
    return value


def _crc64(value: Any) -> str | None:
    """As a text or a number; texts keep all 64 bits everywhere."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise Problem("invalid-field", "crc64: must be a decimal number")
    if int(value[:21]) >= 1 << 64:
        raise Problem("invalid-field", "crc64: must be below 2**64")
    return str(int(value))


def _start(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return from_iso_date(value if isinstance(value, str) and len(value) <= 40 else "")
    except ValueError as error:
        raise Problem("invalid-field", f"start: {error}") from None


def _duration(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 < value <= LONGEST_S:
        text = f"duration_s: must be above 0 and at most {LONGEST_S:.0f} seconds"
        raise Problem("invalid-field", text)
    return float(value)
