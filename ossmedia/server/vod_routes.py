"""The routes of VOD: uploads for devices, tokens with which a device asks VOD by itself, and VOD's
events.

In flow requests, out flow grants as VOD wrote them, tokens, or problems. An event is believed only
as far as its signature goes; VOD's answers and texts reach no log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ossmedia.clock import Clock
from ossmedia.errors import AccessDenied, OssMediaError, ServiceError, Unavailable
from ossmedia.server.bodies import read_body
from ossmedia.server.device_door import DeviceDoor, Told, json_response
from ossmedia.server.devices import Device
from ossmedia.server.problems import Problem
from ossmedia.server.tokens import Tokens, Wish
from ossmedia.server.vod_events import is_signed, media_id_of
from ossmedia.server.vod_settings import VodSettings
from ossmedia.server.vod_uploads import (
    NotRefreshable,
    TokenReused,
    UnknownMedium,
    VodUploads,
    said,
)
from ossmedia.server.vod_wishes import vod_wish_of
from ossmedia.server.wishes import read_object, ttl_of
from ossmedia.vod_answers import UploadGrant

__all__ = ["STS_WISH", "VodRoutes"]

_log = logging.getLogger("ossmedia.server")
STS_WISH = "vod"  # in place of a prefix, and of a mode: no device's record can hold it
_NEEDED = "w"


class VodRoutes:
    """What the application answers about VOD.

    Args:
        keys: that VOD signs its events with; none: no events are taken.
        tokens: for the STS way; None: it is not offered.
    """

    def __init__(
        self,
        settings: VodSettings,
        uploads: VodUploads,
        tokens: Tokens | None,
        keys: Sequence[str],
        timeout_s: float,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._uploads = uploads
        self._tokens = tokens
        self._keys = tuple(keys)
        self._timeout_s = timeout_s
        self._clock = clock

    def routes(self, door: DeviceDoor) -> list[Route]:
        """Those that the settings ask for."""
        made = [
            Route("/v1/vod/uploads", door.route(self.create), methods=["POST"]),
            Route("/v1/vod/uploads/{id}/refresh", door.route(self.refresh), methods=["POST"]),
        ]
        if self._tokens is not None:
            path = "/v1/vod/credentials"
            made.append(Route(path, door.route(self.credentials), methods=["POST"]))
        if self._settings.callback_url and self._keys:
            made.append(Route("/v1/callbacks/vod", self.event, methods=["POST"]))
        return made

    async def create(self, _: Request, device: Device, body: bytes) -> Response:
        """POST /v1/vod/uploads: the place and the right for a device's file."""
        _may_write(device)
        wish = vod_wish_of(read_object(body))
        with Told(), _VodTold():
            grant = await self._uploads.create(device, wish)
        return _granted(device, grant)

    async def refresh(self, request: Request, device: Device, body: bytes) -> Response:
        """POST /v1/vod/uploads/{id}/refresh: new credentials for the same place."""
        _may_write(device)
        if read_object(body):
            raise Problem("unknown-field", "the body must be empty, or an empty object")
        with Told(), _VodTold():
            grant = await self._uploads.refresh(device, request.path_params["id"][:200])
        return _granted(device, grant)

    async def credentials(self, _: Request, device: Device, body: bytes) -> Response:
        """POST /v1/vod/credentials: a token to create and refresh uploads, and nothing else."""
        _may_write(device)
        data = read_object(body)
        ttl_s = ttl_of(device, data.pop("ttl_s", device.ttl_s))
        if data:
            raise Problem("unknown-field", f"{next(iter(data))[:60]!r}; known: ttl_s")
        assert self._tokens is not None
        with Told():
            token = await self._tokens.get(device, Wish(STS_WISH, (STS_WISH,), ttl_s))
        settings = self._settings
        more = {"device": device.id, "region": settings.region, "endpoint": settings.url}
        return json_response({**token.to_json(), **more})

    async def event(self, request: Request) -> Response:
        """POST /v1/callbacks/vod: what VOD tells of a medium."""
        body = await read_body(request, self._timeout_s)
        head = {name.lower(): value for name, value in request.headers.items()}
        if not is_signed(head, self._settings.callback_url, self._keys, self._clock.now()):
            raise Problem("callback-refused", "the signature is not VOD's, or it is too old")
        media_id = media_id_of(read_object(body))
        with Told(), _VodTold():
            known = bool(media_id) and await self._uploads.look(media_id)
        return json_response({"known": known})


def _may_write(device: Device) -> None:
    if _NEEDED not in device.modes:
        raise Problem("mode-not-allowed", f"uploads into VOD need the mode {_NEEDED!r}")


def _granted(device: Device, grant: UploadGrant) -> Response:
    return json_response({**grant.to_json(), "device": device.id})


class _VodTold:
    """Turns what VOD and its uploads raise into problems."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UnknownMedium):
            raise Problem("not-found") from None
        if isinstance(error, NotRefreshable):
            raise Problem("vod-not-refreshable") from None
        if isinstance(error, TokenReused):
            raise Problem("client-token-used", "client_token: stands for another file") from None
        if isinstance(error, OssMediaError):
            _log.warning("VOD gave nothing: %s", said(error))
            theirs = isinstance(error, Unavailable | AccessDenied)  # or the operator's to mend
            if isinstance(error, ServiceError) and not theirs:
                raise Problem("vod-refused", f"VOD says {said(error)[:80]}") from None
            after = max(1, round(error.retry_after_s or 5))
            raise Problem("vod-unavailable", retry_after_s=min(after, 300)) from None
