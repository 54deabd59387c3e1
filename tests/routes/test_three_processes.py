"""Three application servers behind nginx, with PostgreSQL and Redis, on the local cloud's STS: they
behave as one, also while one of them, or what they share, dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ossmedia import errors
from tests.routes.deployment import START_S, Serve, Site
from tests.unit.server.engines import PostgreSql, Redis, postgresql_engine, redis_engine
from tests.unit.server.rig import Answer, Camera, send

DEVICES = 12


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with redis_engine() as made:
        yield made


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with postgresql_engine() as made:
        yield made


@pytest.fixture(scope="module")
def running(
    oss_emulator: Any,
    tmp_path_factory: pytest.TempPathFactory,
    redis: Redis,
    postgresql: PostgreSql,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    database = postgresql.make_database("site")
    site = Site(folder, oss_emulator, database=database, cache=redis.url)
    site.start()
    yield site
    site.stop()


@pytest.fixture
def site(running: Site) -> Site:
    """All three alive, the cloud as at its start."""
    running.cloud.reset()
    assert all(server.process.poll() is None for server in running.servers)
    return running


@pytest.fixture
def signers(site: Site, request: pytest.FixtureRequest) -> list[Camera]:
    """Devices of this test's own."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40]
    keys = site.devices(f"{name}-{n}" for n in range(DEVICES))
    return [site.signer(device, key) for device, key in keys.items()]


def directly(site: Site, server: Serve, header: str) -> Answer:
    """A request that does not go through nginx."""
    heads = {"Authorization": header, "Host": site.host}
    return send(f"http://127.0.0.1:{server.port}", "POST", "/v1/credentials", b"{}", heads)


def through(site: Site, header: str) -> Answer:
    return site.send("POST", "/v1/credentials", b"{}", {"Authorization": header})


def each(function: Callable[[Any], Any], items: Any) -> list[Any]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)


def test_a_token_is_made_once_for_all(site: Site, signers: list[Camera]) -> None:
    """Each device asks each server and nginx at the same time: one call of STS a device."""
    places = [(camera, place) for camera in signers for place in (0, 1, 2, None)]

    def ask(item: tuple[Camera, int | None]) -> tuple[str, Answer]:
        camera, place = item
        header = camera.claim(host=site.host).header()
        if place is None:
            return camera.id, through(site, header)
        return camera.id, directly(site, site.servers[place], header)

    answers = each(ask, places)
    assert [answer.status for _, answer in answers] == [200] * len(places)
    tokens = {(device, answer.json["access_key_id"]) for device, answer in answers}
    assert len(tokens) == len({token for _, token in tokens}) == DEVICES
    assert all(answer.json["device"] == device for device, answer in answers)
    assert site.sts_calls() == DEVICES


def test_nginx_spreads_the_work(site: Site, signers: list[Camera]) -> None:
    """So that the other tests here are about three servers, not one."""
    before = [server.log.read_text().count("/v1/credentials") for server in site.servers]
    for camera in signers:
        assert through(site, camera.claim(host=site.host).header()).status == 200
    until(
        lambda: all(
            server.log.read_text().count("/v1/credentials") > count
            for server, count in zip(site.servers, before, strict=True)
        )
    )


def test_a_replay_is_refused_by_all(site: Site, signers: list[Camera]) -> None:
    """Whoever took it, and whichever way it comes again, at once or later."""
    headers = [camera.claim(host=site.host).header() for camera in signers]
    ways: list[Callable[[str], Answer]] = [
        *(lambda header, s=server: directly(site, s, header) for server in site.servers),
        lambda header: through(site, header),
    ]
    rounds = [(way, header) for header in headers for way in ways]
    codes = each(lambda item: item[0](item[1]).status, rounds)
    assert (codes.count(200), codes.count(401)) == (DEVICES, DEVICES * 3)
    again = each(lambda item: item[0](item[1]).code, rounds)
    assert again == ["replayed"] * len(rounds)


def test_a_challenge_is_good_once_for_all(site: Site, signers: list[Camera]) -> None:
    for camera in signers[:3]:
        told = through(site, camera.claim(host=site.host, time="3600").header())
        challenge = told.json["challenge"]
        claims = [camera.claim(host=site.host, time="", challenge=challenge) for _ in range(4)]
        answers = [through(site, claim.header()) for claim in claims]
        assert [answer.status for answer in answers] == [200, 401, 401, 401]


def test_what_one_disables_all_refuse(site: Site, signers: list[Camera]) -> None:
    for camera in signers[:3]:
        assert through(site, camera.claim(host=site.host).header()).status == 200
        site.command("device", "disable", camera.id)
        for server in site.servers:  # also that which holds the token in its memory
            answer = directly(site, server, camera.claim(host=site.host).header())
            assert answer.code == "device-disabled"


def test_one_dies(site: Site) -> None:
    """kill -9 while cameras ask, and a new server on its port: each camera ends with its token, STS
    was called once for each, and what was used before stays used."""
    keys = site.devices(f"mortal-{n}" for n in range(DEVICES))
    used = [site.signer(name, key).claim(host=site.host).header() for name, key in keys.items()]
    dying = site.servers[0]
    statuses = {directly(site, dying, header).status for header in used}
    assert statuses == {200}
    told: dict[str, set[str]] = {name: set() for name in keys}
    refused: list[Exception] = []
    ended = threading.Event()

    def camera(name: str) -> None:
        provider = site.provider(name, keys[name])
        rounds = 0
        while not ended.is_set() or rounds < 3:
            try:
                told[name].add(provider().access_key_id)
                rounds += 1
            except errors.OssMediaError as error:
                if not error.retryable:
                    refused.append(error)
                    return

    threads = [threading.Thread(target=camera, args=(name,)) for name in keys]
    for thread in threads:
        thread.start()
    try:
        until(lambda: all(told.values()))
        dying.kill()
        site.restart(0)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert refused == []
    assert [len(tokens) for tokens in told.values()] == [1] * DEVICES
    assert site.sts_calls() == DEVICES
    for server in site.servers:
        assert {directly(site, server, header).code for header in used} == {"replayed"}


def test_nobody_is_left(site: Site, signers: list[Camera]) -> None:
    """nginx itself then says when to come again, in the servers' own form."""
    for server in site.servers:
        server.kill()
    answer = through(site, signers[0].claim(host=site.host).header())
    assert (answer.status, answer.code) == (503, "busy")
    assert answer.headers["retry-after"] == "2"
    with pytest.raises(errors.Unavailable, match="busy") as caught:
        site.provider(signers[0].id, signers[0].key.text())()
    assert caught.value.retry_after_s == 2
    for number in range(3):
        site.restart(number)
    until(lambda: through(site, signers[0].claim(host=site.host).header()).status == 200)


def test_redis_dies(site: Site, redis: Redis, signers: list[Camera]) -> None:
    """A token in memory is still handed out; for a new one the device is told to come again."""
    holder = site.servers[0]
    old, new = signers[:2]
    first = directly(site, holder, old.claim(host=site.host).header())
    used = old.claim(host=site.host).header()
    assert directly(site, holder, used).status == 200
    redis.kill()
    try:
        answer = directly(site, holder, old.claim(host=site.host).header())
        assert (answer.status, answer.json["access_key_id"]) == (200, first.json["access_key_id"])
        answer = directly(site, holder, new.claim(host=site.host).header())
        assert (answer.status, answer.code) == (503, "store-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert site.sts_calls() == 1
        for server in site.servers:  # nonces are the database's
            assert directly(site, server, used).code == "replayed"
        until(lambda: site.send("GET", "/readyz").status == 503)
    finally:
        redis.start()
    for camera in signers:
        answer = through(site, camera.claim(host=site.host).header())
        assert answer.status == 200
    until(lambda: site.send("GET", "/readyz").status == 200)


def test_postgresql_dies(site: Site, postgresql: PostgreSql, signers: list[Camera]) -> None:
    """Nobody is let in on trust; afterwards the same servers go on, and replays are known."""
    used = [camera.claim(host=site.host).header() for camera in signers]
    assert {through(site, header).status for header in used} == {200}
    postgresql.kill()
    try:
        for header in (used[0], signers[0].claim(host=site.host).header()):
            for server in site.servers:
                answer = directly(site, server, header)
                assert (answer.status, answer.code) == (503, "store-unavailable")
                assert int(answer.headers["retry-after"]) >= 1
        until(lambda: site.send("GET", "/readyz").status == 503)
        assert site.send("GET", "/healthz").status == 200
    finally:
        postgresql.start()
    until(lambda: site.send("GET", "/readyz").status == 200)
    assert {through(site, header).code for header in used} == {"replayed"}
    for camera in signers:
        assert through(site, camera.claim(host=site.host).header()).status == 200
    assert site.sts_calls() == DEVICES


def test_they_end_gracefully(site: Site) -> None:
    """SIGTERM while requests come: each is answered, by this one or by the others."""
    keys = site.devices(f"graceful-{n}" for n in range(4))
    cameras = [site.signer(name, key) for name, key in keys.items()]
    statuses: list[int] = []
    ended = threading.Event()

    def ask(camera: Camera) -> None:
        while not ended.is_set():
            statuses.append(through(site, camera.claim(host=site.host).header()).status)

    threads = [threading.Thread(target=ask, args=(camera,)) for camera in cameras]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(statuses) > 20)
        assert site.servers[1].stop() == 0
        count = len(statuses)
        until(lambda: len(statuses) > count + 20)
        site.restart(1)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    log = site.servers[1].log.read_text()
    assert "Traceback" not in log
