"""The parts of one application server, put together from its settings.

In flow ``Settings``, out flow the parts that the routes use, each checked once at the start so that
a wrong setting is told before the first request. Nothing here answers a request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from ossmedia.clock import SYSTEM, Clock, chance
from ossmedia.credentials import EnvironmentCredentials
from ossmedia.model import Credentials
from ossmedia.retry import Retry
from ossmedia.server.archive import Archive
from ossmedia.server.authentication import Attempt, Authenticator, Verdict
from ossmedia.server.batches import Batches
from ossmedia.server.budget import Budget, MemorySchedule, Schedule
from ossmedia.server.callback_keys import CallbackKeys
from ossmedia.server.callbacks import Callbacks
from ossmedia.server.devices import ACTIVE, Device, UnknownDevice, open_registry
from ossmedia.server.errands import Errands
from ossmedia.server.metrics import Metrics
from ossmedia.server.nonces import DatabaseNonces, NonceStore
from ossmedia.server.oss_access import OssAccess
from ossmedia.server.people import People
from ossmedia.server.recordings_api import RecordingsApi
from ossmedia.server.sessions import Sessions
from ossmedia.server.settings import Settings
from ossmedia.server.sightings import Sightings
from ossmedia.server.sign_in import SignIn
from ossmedia.server.tokens import Issue, SharedTokens, Tokens, Wish
from ossmedia.server.tries import Tries
from ossmedia.server.vod_parts import VodParts
from ossmedia.sts import TokenIssuer

if TYPE_CHECKING:
    from ossmedia.server.cache import Cache

__all__ = ["Parts", "open_registry"]

_FAILED_LATELY_S = 10.0


class Parts:
    """What the routes of one application use.

    Args:
        issue: gives a token; None: asks STS.
        environ: where the server's own access key is read from at each call of STS.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
        issue: Issue | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.settings, self.clock = settings, clock
        self.metrics = Metrics()
        self._key = EnvironmentCredentials(os.environ if environ is None else environ)
        self._issue = issue or _issuer(settings, self._key, clock)
        self._needs_key = issue is None
        self.database, self.vault, self.registry = open_registry(settings, clock)
        self.store = ThreadPoolExecutor(1, "ossmedia-store")
        self._sts = ThreadPoolExecutor(settings.sts.threads, "ossmedia-sts")
        schedule, shared, nonces = self._stores()
        authenticator = Authenticator(
            self.database,
            self.vault,
            nonces,
            limit=settings.devices.requests_per_15_min,
            mode=settings.devices.authentication,
            clock=clock,
        )
        self.admission: Batches[Attempt, Verdict] = Batches(authenticator.judge, self.store)
        self.enrolments = MemorySchedule(5, clock)
        budget = self._budget(schedule, random)
        make_tokens = partial(self._tokens, budget=budget, shared=shared, random=random)
        self.tokens = make_tokens(self._issue)
        self.metrics.watch_held(lambda: len(self.tokens))
        self.sign_in = self._door()
        oss = OssAccess(settings.oss, environ, clock)
        self.archive = Archive(self.database, oss, settings, clock)
        self.errands = Errands(self.archive, random)
        self.sightings = Sightings(self.database, self.archive.threads, clock)
        self.callbacks = self._callbacks()
        self.vod = self._open_vod(make_tokens, os.environ if environ is None else environ, random)

    def _tokens(
        self,
        issue: Issue,
        *,
        budget: Budget,
        shared: SharedTokens | None,
        random: Callable[[], float],
    ) -> Tokens:
        return Tokens(
            issue,
            budget,
            self._sts,
            threads=self.settings.sts.threads,
            still=self._still,
            shared=shared,
            count=self.metrics.count_token,
            clock=self.clock,
            random=random,
        )

    def _open_vod(
        self,
        make_tokens: Callable[[Issue], Tokens],
        environ: Mapping[str, str],
        random: Callable[[], float],
    ) -> VodParts | None:
        """VOD, if the settings name its region."""
        if not self.settings.vod.region:
            return None
        vod = VodParts(
            self.settings,
            self.archive.index,
            self.cache,
            self.store,
            key=self._key,
            make_tokens=make_tokens,
            environ=environ,
            clock=self.clock,
            random=random,
        )
        self.archive.vod = vod.uploads
        return vod

    def _budget(self, schedule: Schedule, random: Callable[[], float]) -> Budget:
        sts = self.settings.sts
        return Budget(
            schedule,
            sts.calls_per_s,
            sts.wait_s,
            sleep=asyncio.sleep,
            clock=self.clock,
            random=random,
        )

    def _stores(self) -> tuple[Schedule, SharedTokens | None, NonceStore]:
        """Where the budget, shared tokens and nonces are kept."""
        settings = self.settings
        self.cache: Cache | None = None
        nonces: NonceStore = DatabaseNonces(self.database)
        if not settings.cache:
            return MemorySchedule(settings.sts.calls_per_s, self.clock), None, nonces
        from ossmedia.server import cache

        self.cache = cache.Cache(settings.cache, self.vault)
        if settings.nonces == "cache":
            nonces = self.cache.nonces()
        schedule = self.cache.schedule(settings.sts.calls_per_s, settings.sts.role_arn)
        return schedule, self.cache.tokens(), nonces

    def _door(self) -> SignIn:
        """Where people sign in."""
        page, database, clock = self.settings.page, self.database, self.clock
        return SignIn(
            People(database, clock),
            Sessions(database, page.idle_timeout_s, page.session_life_s, clock),
            Tries(database, clock),
            page.session_life_s,
            self.settings.http.request_timeout_s,
        )

    def _callbacks(self) -> Callbacks:
        recordings = self.settings.recordings
        keys = CallbackKeys(recordings.callback_keys_from, self.clock)
        timeout_s = self.settings.http.request_timeout_s
        return Callbacks(self.archive, keys, self.vault, recordings.callback_url, timeout_s)

    def recordings_api(self) -> RecordingsApi:
        """The routes by which people see recordings."""
        timeout_s = self.settings.http.request_timeout_s
        who = self.sign_in.person
        return RecordingsApi(self.archive, self.registry, self.sightings, who, timeout_s)

    def _still(self, device: Device) -> bool:
        """Whether a device is active and its record unchanged."""
        try:
            now = self.registry.get(device.id)
        except UnknownDevice:
            return False
        return now.state == ACTIVE and now.revision == device.revision

    def hindrance(self) -> str:
        """Why no token can be issued now; "" when nothing is known to be in the way. Asks the
        database and the cache, never STS."""
        if self._needs_key:
            self._key()
        self.database.require_current()
        if self.cache is not None:
            self.cache.ping()
        failed = self.tokens.last_failure
        if failed is not None and self.clock.monotonic() - failed < _FAILED_LATELY_S:
            return "the last call of STS failed"
        return ""

    def close(self) -> None:
        """Gives everything back; calls in flight end first."""
        self.errands.stop()
        self.archive.close()
        if self.vod is not None:
            self.vod.close()
        self.store.shutdown()
        self._sts.shutdown()
        self.sign_in.close()
        self.database.close()
        if self.cache is not None:
            self.cache.close()


def _issuer(settings: Settings, key: Callable[[], Credentials], clock: Clock) -> Issue:
    """What asks STS for a token: once, for the policy is the device's and the budget counts each
    call."""
    sts = settings.sts
    issuer = TokenIssuer(
        sts.role_arn,
        settings.oss.bucket,
        credentials=key,
        secure_transport=sts.secure_transport,
        source_ip=sts.source_ip,
        max_ttl_s=sts.max_ttl_s,
        endpoint=sts.endpoint,
        region=sts.region,
        ca_file=sts.ca_file,
        retry=Retry(attempts=1),
        clock=clock,
    )

    def issue(device: Device, wish: Wish) -> Credentials:
        return issuer.get_token(wish.prefix + "/*", wish.modes, wish.ttl_s, device=device.id)

    return issue
