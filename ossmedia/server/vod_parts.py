"""The parts of VOD, put together from the settings.

In flow settings and what the application has already, out flow the routes of VOD and what plays and
deletes its media. A wrong setting is told here, before the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from starlette.routing import Route

from ossmedia.clock import Clock
from ossmedia.model import Credentials
from ossmedia.retry import Retry
from ossmedia.server.budget import MemorySchedule, Schedule
from ossmedia.server.device_door import DeviceDoor
from ossmedia.server.devices import Device
from ossmedia.server.recordings import Index
from ossmedia.server.settings import Settings
from ossmedia.server.tokens import Issue, Tokens, Wish
from ossmedia.server.vod_calls import VodCalls
from ossmedia.server.vod_events import LEAST_KEY
from ossmedia.server.vod_media import VodMedia
from ossmedia.server.vod_routes import VodRoutes
from ossmedia.server.vod_uploads import VodUploads
from ossmedia.vod_api import upload_token

if TYPE_CHECKING:
    from ossmedia.server.cache import Cache

__all__ = ["KEYS", "VodParts"]

KEYS = "OSSMEDIA_VOD_CALLBACK_KEYS"


class VodParts:
    """VOD in one application.

    Args:
        index: where videos become recordings.
        cache: None: this process keeps the accounts of calls by itself.
        key: gives the server's own access key.
        make_tokens: tokens that are asked of STS by a function, in the budget of all such calls.
        environ: holds the key that signs events.

    Attributes:
        uploads: see ``Archive.vod``.

    Raises:
        ValueError: naming the setting or the environment's variable.
    """

    def __init__(
        self,
        settings: Settings,
        index: Index,
        cache: Cache | None,
        store: Executor,
        *,
        key: Callable[[], Credentials],
        make_tokens: Callable[[Issue], Tokens],
        environ: Mapping[str, str],
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        vod = settings.vod

        def schedule(action: str) -> Schedule:
            if cache is None:
                return MemorySchedule(vod.calls_per_s, clock)
            return cache.schedule(vod.calls_per_s, f"vod/{vod.region}/{action}")

        calls = VodCalls(vod, key, schedule, clock=clock, random=random)
        media = VodMedia(index.database, clock)
        self.uploads = VodUploads(vod, media, index, calls, store, clock)
        tokens = make_tokens(_issuer(settings, key, clock)) if vod.role_arn else None
        keys = _keys(environ.get(KEYS, ""))
        if vod.callback_url and not keys:
            raise ValueError(f"vod.callback_url: needs {KEYS} in the environment")
        timeout_s = settings.http.request_timeout_s
        self._routes = VodRoutes(vod, self.uploads, tokens, keys, timeout_s, clock)

    def routes(self, door: DeviceDoor) -> list[Route]:
        """The routes."""
        return self._routes.routes(door)

    def close(self) -> None:
        """Gives the threads back; calls in flight end first."""
        self.uploads.close()


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if any(len(key) < LEAST_KEY or not key.isascii() or not key.isalnum() for key in keys):
        raise ValueError(f"{KEYS}: must be keys of at least {LEAST_KEY} letters and digits")
    return keys


def _issuer(settings: Settings, key: Callable[[], Credentials], clock: Clock) -> Issue:
    """What asks STS once for a token that may create and refresh uploads, and nothing else."""
    sts, role_arn = settings.sts, settings.vod.role_arn

    def issue(device: Device, wish: Wish) -> Credentials:
        return upload_token(
            role_arn,
            device.id,
            wish.ttl_s,
            credentials=key(),
            secure_transport=sts.secure_transport,
            endpoint=sts.endpoint,
            region=sts.region,
            ca_file=sts.ca_file,
            retry=Retry(attempts=1),
            clock=clock,
        )

    return issue
