"""What several processes share in Redis: tokens, the budget of STS calls, and nonces on request.

In flow a URL and what is to be shared, out flow the same promises that one process's memory gives.
Tokens lie there sealed, each for its own place, and end by themselves. The budget is counted by one
script on Redis' own clock. A Redis that does not answer means "nothing can be said": it is never
taken for "new" or "allowed". Redis must not be set to evict keys that have an end.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

try:
    import redis
    import redis.asyncio
except ImportError as error:
    raise ImportError("cache: Redis needs redis: pip install 'ossmedia[redis]'") from error

from ossmedia.model import Credentials
from ossmedia.server.budget import shape
from ossmedia.server.database import StoreUnavailable
from ossmedia.server.nonces import KEEP_S, MARGIN_S, Nonce
from ossmedia.server.sealing import Vault
from ossmedia.server.tokens import Held

__all__ = ["Cache", "RedisNonces", "RedisSchedule", "RedisTokens"]

_TIMEOUT_S = 2.0
_CONNECTIONS = 32  # of the event loop; who finds none free waits, however many come at once
_WAIT_S = 10.0
_LOCK_MS = 25_000  # longer than a call of STS may take

# KEYS: the account. ARGV: distance of calls, how much earlier some may come, the longest wait, all
# in microseconds. Returns the wait (below 0: no turn), and the time it counts from.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local slot = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = math.max(slot - tonumber(ARGV[2]) - now, 0)
if wait > tonumber(ARGV[3]) then return {-wait, now} end
local next = slot + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1000)
return {wait, now}
"""
_UNLOCK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"cache: {type(error).__name__}") from None


class Cache:
    """A connection to one Redis.

    Args:
        url: "redis://host:6379/0", "rediss://..." or "unix:///path".
        vault: seals what is stored.
    """

    def __init__(self, url: str, vault: Vault) -> None:
        options: dict[str, Any] = {
            "socket_timeout": _TIMEOUT_S,
            "socket_connect_timeout": _TIMEOUT_S,
        }
        try:
            self._plain = redis.Redis.from_url(url, **options)
            self._pool = redis.asyncio.BlockingConnectionPool.from_url(
                url, max_connections=_CONNECTIONS, timeout=_WAIT_S, **options
            )
        except ValueError:
            raise ValueError("cache: must be redis://HOST:PORT/NUMBER") from None
        self._async = redis.asyncio.Redis(connection_pool=self._pool)
        self._vault = vault

    def ping(self) -> None:
        """Raises StoreUnavailable when Redis does not answer."""
        with _translated():
            self._plain.ping()

    def schedule(self, calls_per_s: int, role_arn: str) -> RedisSchedule:
        """The budget of the account that a role belongs to."""
        return RedisSchedule(self._async, calls_per_s, role_arn.split(":role/", 1)[0])

    def tokens(self) -> RedisTokens:
        """The shared tokens."""
        return RedisTokens(self._async, self._vault)

    def nonces(self) -> RedisNonces:
        """The shared nonces."""
        return RedisNonces(self._plain)

    def close(self) -> None:
        """Gives the plain connections back."""
        self._plain.close()

    async def leave(self) -> None:
        """Gives back the connections of the event loop that runs."""
        await self._async.aclose()
        await self._pool.disconnect()


class RedisSchedule:
    """See ``budget.Schedule``; shared by all who name the same account."""

    def __init__(self, client: Any, calls_per_s: int, account: str) -> None:
        early, due = shape(calls_per_s)
        self._distance = math.ceil(1e6 / due)
        self._tolerance = (early - 1) * self._distance
        self._key = f"ossmedia:budget:{account}"
        self._script = client.register_script(_RESERVE)

    async def reserve(self, longest_wait_s: float) -> float:
        """See ``Schedule``."""
        return (await self.reserve_from(longest_wait_s))[0]

    async def reserve_from(self, longest_wait_s: float) -> tuple[float, float]:
        """What ``reserve`` says, and the second since 1970 by Redis' clock that it counts from."""
        arguments = [self._distance, self._tolerance, int(longest_wait_s * 1e6)]
        with _translated():
            wait, now = await self._script(keys=[self._key], args=arguments)
        return wait / 1e6, now / 1e6


class RedisTokens:
    """See ``tokens.SharedTokens``."""

    def __init__(self, client: Any, vault: Vault) -> None:
        self._client = client
        self._vault = vault
        self._unlock = client.register_script(_UNLOCK)

    @staticmethod
    def _name(key: str) -> str:
        return f"ossmedia:token:{hashlib.sha256(key.encode()).hexdigest()}"

    async def get(self, key: str) -> Held | None:
        """See ``SharedTokens``; what cannot be opened counts as not there."""
        with _translated():
            sealed = await self._client.get(self._name(key))
        if sealed is None:
            return None
        try:
            data = json.loads(self._vault.open(sealed, f"token {key}"))
            return Held(Credentials.from_json(data["credentials"]), float(data["issued_at"]))
        except (ValueError, TypeError, KeyError):
            return None

    async def put(self, key: str, held: Held, life_s: float) -> None:
        """See ``SharedTokens``."""
        data = {"credentials": held.credentials.to_json(), "issued_at": held.issued_at}
        sealed = self._vault.seal(json.dumps(data).encode(), f"token {key}")
        with _translated():
            await self._client.set(self._name(key), sealed, px=max(1, int(life_s * 1000)))

    async def lock(self, key: str) -> str | None:
        """See ``SharedTokens``; a lock whose holder died ends after 25 seconds."""
        word = secrets.token_hex(8)
        with _translated():
            name = self._name(key) + ":lock"
            return word if await self._client.set(name, word, nx=True, px=_LOCK_MS) else None

    async def unlock(self, key: str, word: str) -> None:
        """See ``SharedTokens``."""
        with _translated():
            await self._unlock(keys=[self._name(key) + ":lock"], args=[word])


class RedisNonces:
    """See ``nonces.NonceStore``: one sorted set a device, by end."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @staticmethod
    def _name(device_id: str) -> str:
        return f"ossmedia:nonces:{device_id}"

    def take(self, uses: Sequence[Nonce], now: float) -> list[bool]:  # noqa: ARG002
        """See ``NonceStore``."""
        with _translated(), self._client.pipeline(transaction=False) as pipeline:
            for use in uses:
                name = self._name(use.device_id)
                pipeline.zadd(name, {use.nonce: use.expires_at}, nx=True)
                pipeline.expire(name, int(KEEP_S) + 60)
            added = cast("list[int]", pipeline.execute())[::2]
        return [count == 1 for count in added]

    def used(self, device_ids: Sequence[str], now: float) -> dict[str, int]:
        """See ``NonceStore``."""
        with _translated(), self._client.pipeline(transaction=False) as pipeline:
            for device_id in device_ids:
                pipeline.zremrangebyscore(self._name(device_id), "-inf", now - MARGIN_S)
                pipeline.zcard(self._name(device_id))
            counts = cast("list[int]", pipeline.execute())[1::2]
        return dict(zip(device_ids, counts, strict=True))
