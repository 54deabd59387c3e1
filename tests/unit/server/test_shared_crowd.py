"""The shared cache under a crowd, and when it fails in the middle of its work."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from ossmedia.server.cache import Cache
from ossmedia.server.database import StoreUnavailable
from ossmedia.server.sealing import Vault
from ossmedia.server.tokens import Held
from tests.unit.server.engines import redis_server
from tests.unit.server.test_tokens import Bench, device

CROWD = 1000


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


def test_a_crowd_waits_for_connections(redis_url: str) -> None:
    """More requests at once than a pool of connections holds: none is told that Redis is away."""
    cache = Cache(redis_url, Vault(os.urandom(32)))
    tokens, schedule = cache.tokens(), cache.schedule(100, "acs:ram::1234567890123456:role/crowd")

    async def one(number: int) -> tuple[Held | None, bool]:
        held = await tokens.get(f"crowd-{number}")
        word = await tokens.lock(f"crowd-{number}")
        await schedule.reserve(0)
        assert word is not None
        await tokens.unlock(f"crowd-{number}", word)
        return held, True

    async def crowd() -> list[Any]:
        try:
            return await asyncio.gather(*(one(number) for number in range(CROWD)))
        finally:
            await cache.leave()

    assert asyncio.run(crowd()) == [(None, True)] * CROWD
    cache.close()


class Frail:
    """A shared cache that loses Redis at one of its operations."""

    def __init__(self, fails: str) -> None:
        self._fails = fails
        self.done: list[str] = []

    async def _do(self, name: str) -> None:
        self.done.append(name)
        if name == self._fails:
            raise StoreUnavailable("cache: ConnectionError")

    async def get(self, key: str) -> None:
        await self._do("get")

    async def put(self, key: str, held: Held, life_s: float) -> None:
        await self._do("put")

    async def lock(self, key: str) -> str:
        await self._do("lock")
        return "word"

    async def unlock(self, key: str, word: str) -> None:
        await self._do("unlock")


@pytest.mark.parametrize("fails", ["put", "unlock"])
def test_a_token_that_was_made_is_not_lost(fails: str) -> None:
    """STS has answered: the token is handed out and kept, and STS is not asked again."""
    bench = Bench(shared=Frail(fails))
    for _ in range(3):
        assert bench.get(device()).access_key_id == "STS.cam-1.1"
    assert len(bench.mint.asked) == 1
    bench.executor.shutdown()


@pytest.mark.parametrize("fails", ["get", "lock"])
def test_before_that_nothing_is_made(fails: str) -> None:
    """Without the word of the cache another process may be asking already."""
    bench = Bench(shared=Frail(fails))
    assert isinstance(bench.get(device()), StoreUnavailable)
    assert bench.mint.asked == []
    bench.executor.shutdown()
