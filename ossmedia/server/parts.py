"""The parts of one application server, put together from its settings.

In flow ``Settings``, out flow the parts that the routes use, each checked once at the start so that
a wrong setting is told before the first request. Nothing here answers a request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ossmedia.clock import SYSTEM, Clock, chance
from ossmedia.credentials import EnvironmentCredentials
from ossmedia.model import Credentials
from ossmedia.retry import Retry
from ossmedia.server.authentication import Attempt, Authenticator, Verdict
from ossmedia.server.batches import Batches
from ossmedia.server.budget import Budget, MemorySchedule, Schedule
from ossmedia.server.database import Database
from ossmedia.server.devices import ACTIVE, Device, Registry, UnknownDevice
from ossmedia.server.metrics import Metrics
from ossmedia.server.nonces import DatabaseNonces, NonceStore
from ossmedia.server.sealing import Vault
from ossmedia.server.settings import Settings
from ossmedia.server.tokens import Issue, SharedTokens, Tokens, Wish
from ossmedia.sts import TokenIssuer

if TYPE_CHECKING:
    from ossmedia.server.cache import Cache

__all__ = ["Parts", "open_registry"]

_FAILED_LATELY_S = 10.0


def open_registry(settings: Settings, clock: Clock = SYSTEM) -> tuple[Database, Vault, Registry]:
    """The database, the server's key and the registry.

    Raises:
        ValueError: the tables are old, or the key file is missing, open to others, or not the one
            of this database.
        StoreUnavailable: the database does not answer.
    """
    vault = Vault.from_file(settings.key_file)
    database = Database(settings.database)
    try:
        database.require_current()
        registry = Registry(database, vault, settings.devices, settings.oss.bucket, clock)
        registry.check_vault()
    except BaseException:
        database.close()
        raise
    return database, vault, registry


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
            clock=clock,
        )
        self.admission: Batches[Attempt, Verdict] = Batches(authenticator.judge, self.store)
        self.enrolments = MemorySchedule(5, clock)
        budget = self._budget(schedule, random)
        self.tokens = Tokens(
            self._issue,
            budget,
            self._sts,
            threads=settings.sts.threads,
            still=self._still,
            shared=shared,
            count=self.metrics.count_token,
            clock=clock,
            random=random,
        )
        self.metrics.watch_held(lambda: len(self.tokens))

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
        self.store.shutdown()
        self._sts.shutdown()
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
