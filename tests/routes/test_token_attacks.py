"""Attacks on the token route over HTTP, against three processes at once and started anew: replay,
tampering, another device's name. What is refused never reaches STS."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.crowd import Device, closed_loop
from tests.routes.deployment import Site
from tests.unit.server.engines import postgresql_engine, redis_engine
from tests.unit.server.rig import Camera, send
from tests.unit.server.test_tampering import TAMPERINGS

USED = 250  # requests that were taken once
REPLAYS = 5000  # of each kind of store: 10,000 in all


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL and Redis"])
def site(
    oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Site]:
    """Three processes that answer to any name. The nonces are in the database, or in Redis."""
    folder = tmp_path_factory.mktemp("site")
    if request.param == "SQLite":
        yield from _running(folder, oss_emulator, f"sqlite:///{folder}/server.db", "", "database")
        return
    with postgresql_engine() as postgresql, redis_engine() as redis:
        database = postgresql.make_database("site")
        yield from _running(folder, oss_emulator, database, redis.url, "cache")


def _running(folder: Path, cloud: Any, database: str, cache: str, nonces: str) -> Iterator[Site]:
    site = Site(folder, cloud, database=database, cache=cache)
    text = site.config.read_text().replace(f'hosts = ["{site.host}"]', "hosts = []")
    site.config.write_text(f'nonces = "{nonces}"\n{text}')
    site.start()
    yield site
    site.stop()


@pytest.fixture
def cloud(site: Site) -> Any:
    site.cloud.reset()
    return site.cloud


def ask_all(site: Site, requests: list[bytes]) -> Counter[int]:
    """Each request at each of the three, in turn; the statuses."""

    async def run() -> Counter[int]:
        parts = [
            closed_loop(("127.0.0.1", server.port), requests.__getitem__, range(len(requests)), 8)
            for server in site.servers
        ]
        return Counter(told.status for part in await asyncio.gather(*parts) for told in part)

    return asyncio.run(run())


def test_replays(site: Site, cloud: Any) -> None:
    """A request that one process took, none takes again: not those beside it at the same moment,
    not later, not after kill -9, not when all of them are started anew."""
    keys = site.devices(f"replayed-{number}" for number in range(25))
    devices = [Device(name, key, "cams") for name, key in keys.items()]
    used = [devices[number % 25].request() for number in range(USED)]
    assert ask_all(site, used) == {200: USED, 401: 2 * USED}
    replays = 2 * USED
    assert site.sts_calls() <= 3 * 25  # without a cache each process has tokens of its own
    calls = site.sts_calls()
    while replays < REPLAYS:
        site.servers[0].kill()
        site.restart(0)
        if replays > REPLAYS / 2:
            for number in (1, 2):
                site.servers[number].stop()
                site.restart(number)
        for _ in range(2):
            assert ask_all(site, used) == {401: 3 * USED}
            replays += 3 * USED
    assert site.sts_calls() == calls
    fresh = [device.request() for device in devices]
    assert ask_all(site, fresh) == {200: 25, 401: 50}  # they still know who is who


@pytest.mark.parametrize("again", [False, True], ids=["", "started anew"])
def test_tampering(site: Site, cloud: Any, again: bool) -> None:
    """Every kind at every process; the same camera, not bent, is served all the while."""
    device = f"cam-1{'-again' * again}"
    key = site.device(device)
    assert len(TAMPERINGS) >= 60
    if again:
        for number in range(3):
            site.servers[number].kill()
            site.restart(number)
    accepted = []
    for server in site.servers:
        signer = site.signer(device, key)
        camera = Camera(f"http://127.0.0.1:{server.port}", device, key, signer.time)
        for kind, bend in TAMPERINGS.items():
            answer = bend(camera)
            if not 400 <= answer.status < 500 or b"security_token" in answer.body:
                accepted.append((kind, answer))
    assert accepted == []
    assert site.sts_calls() == 0
    for server in site.servers:
        camera = Camera(f"http://127.0.0.1:{server.port}", device, key, signer.time)
        assert camera.ask().status == 200


def test_other_devices(site: Site, cloud: Any) -> None:
    """210 pairs of a device that signs and one that it names: in the header, in the body, as the
    prefix; each pair at another process."""
    keys = site.devices(f"pair-{number}" for number in range(15))
    pairs = [(one, other) for one in keys for other in keys if one != other]
    assert len(pairs) >= 200
    answers = []
    for number, (one, other) in enumerate(pairs):
        server = site.servers[number % 3]
        signer = site.signer(one, keys[one])
        camera = Camera(f"http://127.0.0.1:{server.port}", one, keys[one], signer.time)
        named = b'{"device": "%s"}' % other.encode()
        prefix = b'{"prefix": "cams/%s"}' % other.encode()
        answers += [
            camera.send(camera.claim(device=other).header()).code,
            camera.ask(named).code,
            camera.ask(prefix).code,
        ]
    expected = ["unauthorized", "wrong-device", "prefix-outside"]
    assert answers == expected * len(pairs)
    assert site.sts_calls() == 0


def test_a_proxys_words_are_nginxs_alone(site: Site, cloud: Any) -> None:
    """Whatever a client says of its certificate and its address, through nginx and beside it."""
    key = site.device("cam-9")
    certificate = "-----BEGIN%20CERTIFICATE-----"
    for verified in ("SUCCESS", "NONE", "FAILED"):
        heads = {
            "X-Ossmedia-Client-Verify": verified,
            "X-Ossmedia-Client-Cert": certificate,
            "X-Forwarded-For": "127.0.0.1",
            "Host": site.host,
        }
        assert site.send("POST", "/v1/credentials", b"{}", heads).status == 401
        signed = site.signer("cam-9", key).claim().header()
        heads["Authorization"] = signed
        assert site.send("POST", "/v1/credentials", b"{}", heads).status == 200
        for server in site.servers:
            url = f"http://127.0.0.1:{server.port}"
            assert send(url, "POST", "/v1/credentials", b"{}", heads).status == 401  # a replay
