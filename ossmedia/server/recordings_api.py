"""The recordings, for people: lists, days, timelines, addresses to play from, deleting, keeping.

In flow requests of people who are signed in, out flow JSON answers and playlists. A person gets
nothing of a camera that was not granted, and no answer tells whether it exists. Addresses lead to
the bucket itself, for one object and a short time; no recording flows through this server.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ossmedia.errors import CredentialsError
from ossmedia.server.archive import Archive, Owner
from ossmedia.server.bodies import read_body
from ossmedia.server.catalogue import Entry
from ossmedia.server.device_door import json_response
from ossmedia.server.devices import Registry, UnknownDevice
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.playlists import LIFE_S
from ossmedia.server.problems import Problem
from ossmedia.server.recording_forms import Query, entry_json, file_name, iso, safe_type
from ossmedia.server.recordings import FILE, GONE, VOD
from ossmedia.server.sightings import Sightings
from ossmedia.server.streams import Streams
from ossmedia.server.wishes import read_object

__all__ = ["RecordingsApi", "Viewer"]

_WAITING = 64  # calls of one kind; more are told to come again
P = ParamSpec("P")
T = TypeVar("T")


class Viewer(Protocol):
    """Somebody who is signed in."""

    @property
    def cameras(self) -> frozenset[str] | None:
        """The cameras that were granted; None: all, and recordings of no camera."""


class RecordingsApi:
    """The routes under /v1 that people use.

    Args:
        who: who asks; raises a Problem where nobody does, or where a request that changes
            something does not come from this server's own page.
        request_timeout_s: for a body to arrive.
    """

    def __init__(
        self,
        archive: Archive,
        registry: Registry,
        sightings: Sightings,
        who: Callable[[Request], Awaitable[Viewer]],
        request_timeout_s: float,
    ) -> None:
        self._archive = archive
        self._catalogue = archive.catalogue
        self._registry = registry
        self._sightings = sightings
        self._who = who
        self._timeout_s = request_timeout_s
        self._streams = Streams(archive)
        self._waiting = {archive.threads: 0, archive.calls: 0}

    def routes(self) -> list[Route]:
        """All of them."""
        one = "/v1/recordings/{id}"
        return [
            Route("/v1/cameras", self._cameras),
            Route("/v1/days", self._days),
            Route("/v1/timeline", self._timeline),
            Route("/v1/recordings", self._list),
            Route(one, self._one, methods=["GET", "DELETE"]),
            Route(f"{one}/url", self._url),
            Route(f"{one}/keep", self._keep, methods=["PUT"]),
            Route("/v1/playlists/{camera}/{stream:path}.m3u8", self._playlist),
        ]

    async def _in(
        self, pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Runs a call that waits for the database or for OSS."""
        if self._waiting[pool] >= _WAITING:
            raise Problem("busy", "recordings: too many at once", retry_after_s=2)
        self._waiting[pool] += 1
        try:
            run = asyncio.get_running_loop().run_in_executor
            return await run(pool, lambda: call(*args, **named))
        except (OssUnavailable, CredentialsError):
            raise Problem("oss-unavailable", retry_after_s=5) from None
        finally:
            self._waiting[pool] -= 1

    # -- what is there ---------------------------------------------------------------------------

    async def _cameras(self, request: Request) -> Response:
        """GET /v1/cameras: the person's cameras, with last seen and last recording."""
        viewer = await self._who(request)
        Query(request)
        found = await self._in(self._archive.threads, self._all_cameras, viewer.cameras)
        return json_response({"cameras": found})

    def _all_cameras(self, granted: frozenset[str] | None) -> list[dict[str, Any]]:
        if granted is None:
            devices = list(self._registry.all())
        else:
            devices = [device for device in map(self._device, sorted(granted)) if device]
        seen = self._sightings.all()
        latest = self._catalogue.latest([device.id for device in devices])
        return [
            {
                "id": device.id,
                "state": device.state,
                "last_seen": iso(seen[device.id]) if device.id in seen else None,
                "last_recording": iso(latest[device.id].start_at) if device.id in latest else None,
                "live": device.id in latest and latest[device.id].live,
                "streams": latest[device.id].streams if device.id in latest else [],
            }
            for device in devices
        ]

    def _device(self, camera: str) -> Any:
        try:
            return self._registry.get(camera)
        except UnknownDevice:
            return None

    async def _seen(self, viewer: Viewer, camera: str | None) -> list[str] | None:
        """The cameras that a question is about; None: all there are.

        Raises:
            Problem: not-found, for a camera that is unknown or another person's alike.
        """
        if camera is None:
            return None if viewer.cameras is None else sorted(viewer.cameras)
        if viewer.cameras is None:
            known = camera == "" or await self._in(self._archive.threads, self._device, camera)
        else:
            known = camera in viewer.cameras
        if not known:
            raise Problem("not-found")
        return [camera]

    async def _days(self, request: Request) -> Response:
        """GET /v1/days: the days of a month on which something was recorded."""
        viewer = await self._who(request)
        query = Query(request, "camera", "month", "tz_offset_min")
        cameras = await self._seen(viewer, query.text("camera"))
        low, high, names = query.month()
        rows = await self._in(self._archive.threads, self._catalogue.days, cameras, low, high)
        days = [
            {"day": names[number], "count": count, "bytes": size, "seconds": round(seconds, 3)}
            for number, count, size, seconds in rows
        ]
        return json_response({"days": days})

    async def _timeline(self, request: Request) -> Response:
        """GET /v1/timeline: when on one day a camera recorded."""
        viewer = await self._who(request)
        query = Query(request, "camera", "day", "tz_offset_min")
        cameras, day = await self._seen(viewer, query.text("camera") or ""), query.day()
        if day is None:
            raise Problem("invalid-field", "day: missing")
        assert cameras is not None
        spans = await self._in(self._archive.threads, self._catalogue.timeline, cameras[0], *day)
        told = [
            {"from": round(start - day[0], 3), "to": round(end - day[0], 3), "kind": kind}
            for start, end, kind in spans
        ]
        return json_response({"spans": told})

    async def _list(self, request: Request) -> Response:
        """GET /v1/recordings: of a day, or of all days; newest first, in pages."""
        viewer = await self._who(request)
        query = Query(request, "camera", "day", "limit", "cursor", "tz_offset_min")
        cameras = await self._seen(viewer, query.text("camera"))
        day, limit, cursor = query.day(), query.limit(), query.cursor()
        page, more = await self._in(
            self._archive.threads, self._catalogue.listing, cameras, day, limit, cursor
        )
        return json_response(
            {"recordings": [entry_json(e) for e in page], "next": more.text() if more else None}
        )

    # -- one recording ---------------------------------------------------------------------------

    async def _found(self, request: Request) -> Entry:
        """The recording that a request is about.

        Raises:
            Problem: not-found, for one that is unknown or another person's alike.
        """
        viewer = await self._who(request)
        wanted = request.path_params["id"][:200]
        entry = await self._in(self._archive.threads, self._catalogue.find, wanted)
        granted = viewer.cameras
        if entry is None or (granted is not None and entry.camera not in granted):
            raise Problem("not-found")
        return entry

    async def _one(self, request: Request) -> Response:
        """GET and DELETE /v1/recordings/{id}."""
        entry = await self._found(request)
        Query(request)
        if request.method != "DELETE":
            return json_response(entry_json(entry))
        if entry.kind == VOD and self._archive.vod is None:
            raise Problem("vod-only")
        gone = await self._in(self._archive.calls, self._archive.delete, entry.ids)
        if gone is False:
            raise Problem("kept", "keep: must be taken back before")
        data = {"id": entry.id, "state": GONE if gone else "deleting"}
        return json_response(data, 200 if gone else 202)

    async def _keep(self, request: Request) -> Response:
        """PUT /v1/recordings/{id}/keep: {"keep": true|false}."""
        entry = await self._found(request)
        Query(request)
        data = read_object(await read_body(request, self._timeout_s))
        keep = data.get("keep")
        if set(data) != {"keep"} or not isinstance(keep, bool):
            raise Problem("invalid-field", "keep: must be true or false, and nothing else")
        if not await self._in(self._archive.calls, self._archive.keep, entry.ids, keep):
            raise Problem("being-deleted")
        after = await self._in(self._archive.threads, self._catalogue.find, entry.id)
        if after is None:
            raise Problem("not-found")
        return json_response(entry_json(after))

    async def _url(self, request: Request) -> Response:
        """GET /v1/recordings/{id}/url: an address that plays or downloads it, for 5 minutes."""
        entry = await self._found(request)
        download = Query(request, "download").flag("download")
        url = await self._in(self._archive.calls, self._address, entry, download)
        if url is None:
            raise Problem("not-found")
        expires_at = self._archive.clock.now() + LIFE_S
        return json_response({"url": url, "expires_at": iso(math.floor(expires_at))})

    def _address(self, entry: Entry, download: bool) -> str | None:
        if entry.kind == VOD:
            if self._archive.vod is None:
                raise Problem("vod-only")
            return self._archive.vod.play_url(entry.key, LIFE_S)
        if entry.kind != FILE:
            if download:
                raise Problem("not-a-file", "a run of segments is played by its playlist")
            return str(entry_json(entry)["playlist"])
        # It may be gone, or have become a link to something else, since it was noted.
        owner = self._archive.owner(entry.key) or Owner("", "")
        if self._archive.look(entry.key, owner, "reconcile") is None:
            return None
        shown = safe_type(entry.content_type, entry.key)
        store = download or shown == "application/octet-stream"
        named = f'attachment; filename="{file_name(entry)}"' if store else "inline"
        return self._archive.oss.sign(entry.key, LIFE_S, content_type=shown, disposition=named)

    async def _playlist(self, request: Request) -> Response:
        """GET /v1/playlists/{camera}/{stream}.m3u8: of a range of time, or of what is recorded
        now."""
        viewer = await self._who(request)
        camera, stream = request.path_params["camera"], request.path_params["stream"]
        query = Query(request, "from", "to")
        low, high = query.moment("from"), query.moment("to")
        await self._seen(viewer, camera)
        if high is None:
            if low is not None:
                raise Problem("invalid-field", "to: missing; without from and to: what is live")
            text = await self._in(self._archive.calls, self._streams.live, camera, stream)
        else:
            low = 0.0 if low is None else low
            text = await self._in(
                self._archive.threads, self._streams.recorded, camera, stream, low, high
            )
        return self._streams.response(text)
