"""A thousand cameras that come back within one second, over TLS, to three servers behind nginx:
after a power cut, when nobody has a token, and after the servers alone were started anew."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from bench.crowd import Device, connect
from tests.routes.deployment import Site
from tests.unit.server.engines import postgresql_engine, redis_engine

CAMERAS = 1000
WITHIN_S = 1.0
ACCOUNT = 100  # calls of STS that an account has in a second
RSS_GROWTH = 64 << 20
PATIENCE_S = 90.0


class Moments(Counter[str]):
    """Counts requests as the cloud's own counter does; remembers when each call of STS came."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def __setitem__(self, operation: str, count: int) -> None:
        if operation == "Rpc":
            self.moments.append(time.monotonic())
        super().__setitem__(operation, count)

    def most_in_a_second(self) -> int:
        """The largest number of calls within any second."""
        first = 0
        most = 0
        for last, moment in enumerate(self.moments):
            while self.moments[first] <= moment - 1:
                first += 1
            most = max(most, last - first + 1)
        return most


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with postgresql_engine() as postgresql, redis_engine() as redis:
        folder = tmp_path_factory.mktemp("site")
        database = postgresql.make_database("site")
        made = Site(folder, oss_emulator, database=database, cache=redis.url)
        made.start()
        yield made
        made.stop()


class Crowd:
    """The cameras' side.

    Attributes:
        statuses: of all answers; told: by device, the key id of its token; bad: answers that are
            neither a token nor an invitation to come again; hung_up: connections without an answer.
    """

    def __init__(self, site: Site, keys: dict[str, str]) -> None:
        self._site = site
        self._devices = [Device(name, key, site.host) for name, key in keys.items()]
        self._context = ssl.create_default_context(cafile=site.ca.file)
        self.statuses: Counter[int] = Counter()
        self.told: dict[str, str] = {}
        self.bad: list[tuple[str, int, bytes]] = []
        self.hung_up = 0

    def come(self) -> None:
        """All of them, within a second; each asks until it has a token, or is refused for good."""
        self.statuses.clear()
        self.told.clear()
        asyncio.run(self._come())

    async def _come(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            ways = [self._camera(d, n / CAMERAS) for n, d in enumerate(self._devices)]
            await asyncio.gather(*ways)

    async def _camera(self, device: Device, share: float) -> None:
        await asyncio.sleep(share * WITHIN_S)
        while True:
            try:
                caller = await connect("localhost", self._site.port, self._context)
                status, head, body = await caller.ask(device.request())
                caller.close()
            except ConnectionError:  # nginx gives up who is too slow with the handshake
                self.hung_up += 1
                await asyncio.sleep(1)
                continue
            self.statuses[status] += 1
            if status == 200:
                _, _, rest = body.partition(b'"access_key_id": "')
                self.told[device.id] = rest.split(b'"')[0].decode()
                assert f'"device": "{device.id}"'.encode() in body
                return
            _, mark, rest = head.lower().partition(b"retry-after: ")
            if status not in (429, 503) or not mark:
                self.bad.append((device.id, status, body))
                return
            await asyncio.sleep(float(rest.split(b"\r\n")[0]))


@pytest.mark.timeout(300)
def test_a_thousand_come_back(site: Site) -> None:
    crowd = Crowd(site, site.devices(f"cam-{number}" for number in range(CAMERAS)))
    site.cloud.reset()
    site.cloud.cloud.counters.requests = moments = Moments()
    for _ in range(6):
        site.send("GET", "/readyz")  # each server has worked once before it is weighed
    before = [server.rss() for server in site.servers]
    crowd.come()
    assert crowd.bad == []
    assert len(crowd.told) == len(set(crowd.told.values())) == CAMERAS
    assert set(crowd.statuses) <= {200, 429, 503}
    assert len(moments.moments) == CAMERAS  # one call of STS a device
    assert moments.most_in_a_second() <= ACCOUNT
    growth = [s.rss("VmHWM") - rss for s, rss in zip(site.servers, before, strict=True)]
    assert max(growth) <= RSS_GROWTH, growth
    cold = dict(crowd.told)

    for number, server in enumerate(site.servers):  # the servers die, the cameras come again
        server.kill()
        site.restart(number)
    crowd.come()
    assert crowd.bad == []
    assert crowd.told == cold
    assert len(moments.moments) == CAMERAS  # Redis had their tokens


def test_the_measure_itself() -> None:
    """Ten calls at once and one 0.9 s later are eleven in a second; one 1.1 s later is not."""
    moments = Moments()
    moments.moments = [0.0] * 10 + [0.9, 2.0]
    assert moments.most_in_a_second() == 11
    moments.moments = [0.0] * 10 + [1.1]
    assert moments.most_in_a_second() == 10
    assert all(a <= b for a, b in pairwise(moments.moments))
    moments["Rpc"] += 1
    moments["PutObject"] += 1
    assert len(moments.moments) == 12
