"""Tokens: asked of STS once for each device and life, kept, and handed out again.

In flow a device and what of its rights it wants, out flow ``Credentials`` with a hint when to come
again. However many requests of a device come at once, one call is made (single flight), in turn
with the budget, in a bounded number of threads. While STS does not answer, a token that still lives
is handed out. No token leaves that was made for an older revision of the device, and none is made
without a policy: the policy is built from the grant here, by ``TokenIssuer``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ossmedia.clock import SYSTEM, Clock, chance
from ossmedia.errors import OssMediaError
from ossmedia.model import Credentials
from ossmedia.server.budget import Budget, OverBudget
from ossmedia.server.database import StoreUnavailable
from ossmedia.server.devices import Device

__all__ = [
    "DeviceChanged",
    "Held",
    "Issue",
    "SharedTokens",
    "StsUnavailable",
    "Tokens",
    "TooManyTokens",
    "Wish",
]

RENEW_SHARE = 2 / 3  # of a life after which a device that asks gets a new token
HINT_SHARE, HINT_SPREAD = 0.70, 0.10  # devices are told to come at 70-80 % of a life
LEAST_LEFT_S = 30.0  # a token that ends sooner is not handed out any more
WISHES = 4  # different tokens of one device at a time
_log = logging.getLogger("ossmedia.server")

Issue = Callable[[Device, "Wish"], Credentials]


class DeviceChanged(Exception):
    """The device was disabled, or its record changed, while its token was made."""


class StsUnavailable(Exception):
    """STS refused or gave no answer, and no token is left. ``retry_after_s``: whole seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("STS gives no token at the moment")
        self.retry_after_s = retry_after_s


class TooManyTokens(Exception):
    """The device has asked for too many different tokens; ``retry_after_s``: until one ends."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"a device may have {WISHES} different tokens at a time")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Wish:
    """What a token shall allow: never more than the device's record."""

    prefix: str
    modes: tuple[str, ...]
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Held:
    """A token and when it was made, in seconds since 1970 by this server's clock."""

    credentials: Credentials
    issued_at: float

    @property
    def expires_at(self) -> float:
        """Seconds since 1970, as STS said."""
        return self.credentials.expires_at or 0.0

    def renew_at(self) -> float:
        """From when on a device that asks gets a new one."""
        return self.issued_at + RENEW_SHARE * (self.expires_at - self.issued_at)


class SharedTokens(Protocol):
    """A cache that several processes share."""

    async def get(self, key: str) -> Held | None:
        """The token under this key, if there is one."""

    async def put(self, key: str, held: Held, life_s: float) -> None:
        """Keeps a token for a while."""

    async def lock(self, key: str) -> str | None:
        """The right to renew, as a word to give it back with; None while another process has
        it."""

    async def unlock(self, key: str, word: str) -> None:
        """Gives the right back, if it is still ours."""


def cache_key(device: Device, wish: Wish) -> str:
    """Tells tokens apart: by device, revision of its record, and wish."""
    modes = ",".join(wish.modes)
    return f"{device.id}/{device.revision}/{wish.ttl_s}/{modes}/{wish.prefix}"


class Tokens:
    """The tokens of all devices.

    Args:
        issue: asks STS; runs in a thread of ``executor``.
        still: whether a device is still as it was when it was authenticated; asked after STS has
            answered.
        threads: calls at a time.
        capacity: tokens in memory; the longest unused goes first.
        shared: None for this process alone.
        count: told how each request was served.
    """

    def __init__(
        self,
        issue: Issue,
        budget: Budget,
        executor: Executor,
        *,
        threads: int,
        still: Callable[[Device], bool],
        capacity: int = 20_000,
        shared: SharedTokens | None = None,
        count: Callable[[str], None] = lambda _: None,
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
    ) -> None:
        self._issue = issue
        self._budget = budget
        self._executor = executor
        self._slots = asyncio.Semaphore(threads)
        self._still = still
        self._capacity = capacity
        self._shared = shared
        self._count = count
        self._clock = clock
        self._random = random
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._mine: dict[str, dict[str, None]] = {}
        self._flights: dict[str, asyncio.Task[Held]] = {}
        self.last_failure: float | None = None

    def __len__(self) -> int:
        return len(self._held)

    async def get(self, device: Device, wish: Wish) -> Credentials:
        """A token that lives, with the hint when to come again.

        Raises:
            StsUnavailable, OverBudget: there is none, and none to be had now.
            TooManyTokens: the device has too many already.
            DeviceChanged: the device was changed meanwhile.
        """
        key = cache_key(device, wish)
        held = self._held.get(key)
        now = self._clock.now()
        if held is not None and now < held.renew_at():
            self._held.move_to_end(key)
            self._count("cache")
            return self._hinted(held, now)
        flight = self._flights.get(key)
        if flight is None:
            self._admit(device, key, now)
            flight = asyncio.get_running_loop().create_task(self._renew(device, wish, key))
            self._flights[key] = flight
            flight.add_done_callback(lambda task: self._landed(key, task))
        try:
            held = await asyncio.shield(flight)  # it goes on when this request is given up
        except (StsUnavailable, OverBudget, StoreUnavailable):
            if held is None or self._clock.now() > held.expires_at - LEAST_LEFT_S:
                raise
            self._count("old")
        return self._hinted(held, self._clock.now())

    def _landed(self, key: str, task: asyncio.Task[Held]) -> None:
        self._flights.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits any more

    def _hinted(self, held: Held, now: float) -> Credentials:
        """The token as it is handed out: with seconds from now until the device should ask
        again."""
        share = HINT_SHARE + HINT_SPREAD * self._random()
        hint = held.issued_at + share * (held.expires_at - held.issued_at) - now
        if hint < 1:  # it should be new by now: come soon, but not all together
            hint = 1 + self._random() * min(max(held.expires_at - now, 0) / 2, 60)
        old = held.credentials
        return Credentials(
            old.access_key_id,
            old.access_key_secret,
            old.security_token,
            old.expires_at,
            round(hint, 3),
        )

    def _admit(self, device: Device, key: str, now: float) -> None:
        """Bounds the different tokens of one device, flights included."""
        mine = self._mine.setdefault(device.id, {})
        current = f"{device.id}/{device.revision}/"
        for other in list(mine):
            held = self._held.get(other)
            over = held is None or now >= held.expires_at or not other.startswith(current)
            if over and other not in self._flights:
                self._forget(device.id, other)
        mine = self._mine.setdefault(device.id, mine)
        if key not in mine and len(mine) >= WISHES:
            ends = [held.expires_at for name in mine if (held := self._held.get(name))]
            raise TooManyTokens(max(1, int(min(ends, default=now + 1) - now) + 1))
        mine[key] = None

    def _forget(self, device_id: str, key: str) -> None:
        self._held.pop(key, None)
        mine = self._mine.get(device_id, {})
        mine.pop(key, None)
        if not mine:
            self._mine.pop(device_id, None)

    def _keep(self, key: str, held: Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            oldest = next(iter(self._held))
            self._forget(oldest.partition("/")[0], oldest)

    async def _renew(self, device: Device, wish: Wish, key: str) -> Held:
        shared = self._shared
        if shared is None:
            held = await self._call(device, wish)
        else:
            held = await self._together(shared, device, wish, key)
        self._keep(key, held)
        return held

    async def _together(self, shared: SharedTokens, device: Device, wish: Wish, key: str) -> Held:
        """One process of many asks STS; the others wait for what it brings."""
        for _ in range(_POLLS):
            held = await self._fresh(shared, key)
            if held is not None:
                return held
            word = await shared.lock(key)
            if word is None:
                await asyncio.sleep(_POLL_S)
                continue
            try:
                # Another process may have put it there between our look and our lock.
                held = await self._fresh(shared, key)
                if held is None:
                    held = await self._call(device, wish)
                    await self._share(shared, key, held)
                return held
            finally:
                with suppress(StoreUnavailable):  # the lock then ends by itself
                    await shared.unlock(key, word)
        raise StsUnavailable(1)

    async def _share(self, shared: SharedTokens, key: str, held: Held) -> None:
        """Hands a token to the other processes. It is good without them, too: a cache that fails
        now must not cost another call of STS."""
        try:
            await shared.put(key, held, held.expires_at - self._clock.now())
        except StoreUnavailable as error:
            _log.warning("a token could not be shared: %s", error)

    async def _fresh(self, shared: SharedTokens, key: str) -> Held | None:
        held = await shared.get(key)
        if held is None or self._clock.now() >= held.renew_at():
            return None
        self._count("shared")
        return held

    async def _call(self, device: Device, wish: Wish) -> Held:
        """One call of STS, in turn; a thread is free before the turn comes, so that turns are not
        gathered and used at once."""
        try:
            async with asyncio.timeout(self._budget.wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise self._budget.refusal(1.0) from None
        try:
            await self._budget.turn()
            issued_at = self._clock.now()
            run = asyncio.get_running_loop().run_in_executor
            try:
                credentials = await run(self._executor, self._issue, device, wish)
            except OssMediaError as error:
                self._failed(error)
                raise StsUnavailable(_stay_away(error, self._random)) from None
            if not await run(self._executor, self._still, device):
                raise DeviceChanged
        finally:
            self._slots.release()
        held = Held(credentials, issued_at)
        if held.expires_at - issued_at < LEAST_LEFT_S:
            self._failed(OssMediaError("STS's tokens end at once: one of the clocks is wrong"))
            raise StsUnavailable(10)
        self.last_failure = None
        self._count("issued")
        return held

    def _failed(self, error: OssMediaError) -> None:
        self.last_failure = self._clock.monotonic()
        self._count("failed")
        _log.warning("STS gave no token: %s", error)


_POLL_S = 0.05
_POLLS = 200


def _stay_away(error: OssMediaError, random: Callable[[], float]) -> int:
    """Seconds before a device should come again, spread."""
    asked = min(error.retry_after_s or 0.0, 300.0)
    return max(1, round(asked + (1 if error.retryable else 30) * (1 + 2 * random())))
