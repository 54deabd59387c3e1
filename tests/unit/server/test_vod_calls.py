"""vod_calls.py and [vod] of the settings: each operation in its own budget, by one process or by
several; and the table of uploads on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from ossmedia.model import Credentials
from ossmedia.server.budget import MemorySchedule, OverBudget
from ossmedia.server.database import Database
from ossmedia.server.parts import Parts
from ossmedia.server.settings import Settings
from ossmedia.server.vod_calls import VodCalls
from ossmedia.server.vod_media import VodMedia, VodUpload, reference_of
from ossmedia.server.vod_parts import KEYS
from ossmedia.server.vod_settings import VodSettings
from tests.routes.vod_rig import VodServer
from tests.unit.server.engines import postgresql_server, redis_server
from tests.unit.server.rig import ROLE, Camera, Time, World, send, upgrade

KEY = Credentials("id", "secret")


def calls(time: Time, schedule: Any = None, **settings: Any) -> VodCalls:
    vod = VodSettings(region="cn-shanghai", wait_s=0.0, **settings)
    make = schedule or (lambda _: MemorySchedule(vod.calls_per_s, time))
    return VodCalls(vod, lambda: KEY, make, clock=time, random=lambda: 0.5)


@pytest.fixture
def made() -> Iterator[list[VodCalls]]:
    opened: list[VodCalls] = []
    yield opened
    for one in opened:
        one.close()


# -- the budget


async def used_up(vod: VodCalls, action: str) -> int:
    """How many calls pass before the first that does not."""
    for count in range(1000):
        try:
            await vod.do(action, lambda _: None)
        except OverBudget:
            return count
    raise AssertionError("no end")


def test_each_operation_has_a_budget_of_its_own(made: list[VodCalls]) -> None:
    vod = calls(Time(), calls_per_s=20)
    made.append(vod)

    async def run() -> list[int]:
        return [
            await used_up(vod, "CreateUploadVideo"),
            await used_up(vod, "CreateUploadVideo"),
            await used_up(vod, "RefreshUploadVideo"),
        ]

    first, again, other = asyncio.run(run())
    assert (first, again, other) == (2, 0, 2)  # those that may come early


def test_threads_are_bounded(made: list[VodCalls]) -> None:
    """Who finds no free thread in time is told to come again; VOD is not asked."""
    vod = calls(Time(), threads=2, calls_per_s=100)
    made.append(vod)
    gate, seen = threading.Event(), []

    def slow(_: object) -> None:
        seen.append(1)
        assert gate.wait(20)

    async def run() -> list[Any]:
        first = [asyncio.create_task(vod.do("GetVideoInfo", slow)) for _ in range(2)]
        while len(seen) < 2:
            await asyncio.sleep(0.001)
        third = (await asyncio.gather(vod.do("GetVideoInfo", slow), return_exceptions=True))[0]
        gate.set()
        await asyncio.gather(*first)
        return [third]

    (third,) = asyncio.run(run())
    assert isinstance(third, OverBudget)
    assert third.retry_after_s >= 1
    assert len(seen) == 2


def test_a_new_key_is_used_from_the_next_call_on(made: list[VodCalls]) -> None:
    keys = [Credentials("first", "secret"), Credentials("second", "secret")]
    held = iter([keys[0], keys[0], keys[1]])
    vod = VodCalls(
        VodSettings(region="cn-shanghai"), lambda: next(held), lambda _: MemorySchedule(80, Time())
    )
    made.append(vod)
    services = [vod.now(lambda service: service) for _ in range(3)]
    assert services[0] is services[1]
    assert services[1] is not services[2]


def test_processes_that_share_a_cache_share_the_budget(made: list[VodCalls], world: World) -> None:
    """Two servers' calls together stay within it; another operation has its own. Redis' clock goes
    on meanwhile: each second gives one call more."""
    passed_s: list[float] = []
    with redis_server() as url:
        world.tables.update(cache=url)
        parts = [world.parts() for _ in range(2)]

        def schedule(part: Parts) -> Any:
            cache = part.cache
            assert cache is not None
            return lambda action: cache.schedule(1, f"vod/cn-shanghai/{action}")

        async def run() -> list[int]:
            vods = [calls(Time(), schedule(part), calls_per_s=1) for part in parts]
            made.extend(vods)
            began = monotonic()
            counts = [await used_up(vod, "CreateUploadVideo") for vod in vods]
            passed_s.append(monotonic() - began)
            counts.append(await used_up(vods[1], "RefreshUploadVideo"))
            for part in parts:
                assert part.cache is not None
                await part.cache.leave()
            return counts

        first, second, other = asyncio.run(run())
        for part in parts:
            part.close()
    assert first >= 1
    assert first + second <= 1 + passed_s[0]
    assert other >= 1


def test_over_budget_on_the_wire(oss_emulator: Any, tmp_path: Path) -> None:
    oss_emulator.reset()
    vod = {"calls_per_s": 1, "wait_s": 0}
    with VodServer(oss_emulator, tmp_path, vod=vod) as server:
        time = Time()
        time.seconds = server.parts.clock.now()
        camera = Camera(server.url, "cam-1", server.key("cam-1"), time)
        body = b'{"title": "t", "file_name": "a.mp4"}'

        def ask(target: str, body: bytes) -> Any:
            head = {"Authorization": camera.claim(target=target, body=body).header()}
            return send(server.url, "POST", target, body, head)

        first, second = ask("/v1/vod/uploads", body), ask("/v1/vod/uploads", body)
        assert (first.status, second.status, second.code) == (200, 503, "over-budget")
        assert int(second.headers["retry-after"]) >= 1
        target = f"/v1/vod/uploads/{first.json['VideoId']}/refresh"
        assert ask(target, b"{}").status == 200  # an operation of its own
        assert len(server.media()) == 1
        text = send(server.url, "GET", "/metrics").body.decode()
        assert 'route="/v1/vod/uploads/{id}/refresh",status="200"' in text


# -- the settings


def settings(**vod: Any) -> Settings:
    oss = {"bucket": "cams", "endpoint": "https://oss-cn-shanghai.aliyuncs.com"}
    return Settings.from_dict({"sts": {"role_arn": ROLE}, "oss": oss, "vod": vod})


def test_the_settings() -> None:
    assert settings().vod.region == ""
    vod = settings(region="cn-shanghai").vod
    assert (vod.url, vod.calls_per_s) == ("https://vod.cn-shanghai.aliyuncs.com", 80)
    assert settings(region="x-y", endpoint="http://127.0.0.1:1").vod.url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("vod", "text"),
    [
        ({"callback_url": "https://x/y"}, "vod.callback_url: needs region"),
        ({"endpoint": "https://x"}, "vod.endpoint: needs region"),
        ({"role_arn": ROLE}, "vod.role_arn: needs region"),
        ({"region": "cn shanghai"}, "vod.region: "),
        ({"region": "cn-shanghai", "endpoint": "ftp://x"}, "vod.endpoint: "),
        ({"region": "cn-shanghai", "role_arn": "role"}, "vod.role_arn: "),
        ({"region": "cn-shanghai", "callback_url": "https://x/y?z"}, "vod.callback_url: must be"),
        ({"region": "cn-shanghai", "callback_url": "x"}, "vod.callback_url: must be"),
        (
            {"region": "cn-shanghai", "callback_url": "https://x/" + "y" * 256},
            "vod.callback_url: at most 256",
        ),
        ({"region": "cn-shanghai", "calls_per_s": 0}, "vod.calls_per_s: must be 1-100"),
        ({"region": "cn-shanghai", "calls_per_s": 101}, "vod.calls_per_s: must be 1-100"),
        ({"region": "cn-shanghai", "threads": 0}, "vod.threads: must be 1-64"),
        ({"region": "cn-shanghai", "callback_key": "x"}, "vod.callback_key: unknown"),
    ],
)
def test_bad_settings(vod: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"^vod\.") as caught:
        settings(**vod)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("keys", ["", "short", "with space", "QJC7sYAWC82N,x", "QJC7sYAWC8é2"])
def test_keys_of_events(world: World, keys: str) -> None:
    world.tables["vod"] = {"region": "cn-shanghai", "callback_url": "https://x/v1/callbacks/vod"}
    with pytest.raises(ValueError, match=KEYS) as caught:
        Parts(world.settings(), clock=world.time, issue=world.mint, environ={KEYS: keys})
    assert "QJC7" not in str(caught.value)


def test_without_settings_there_is_no_vod(url: str) -> None:
    for target in ("/v1/vod/uploads", "/v1/vod/credentials", "/v1/callbacks/vod"):
        assert send(url, "POST", target, b"{}").code == "not-found"


def test_no_tokens_without_a_role(world: World) -> None:
    world.tables["vod"] = {"region": "cn-shanghai"}
    running = world.start()
    assert send(running.url, "POST", "/v1/vod/uploads", b"{}").code == "unauthorized"
    assert send(running.url, "POST", "/v1/vod/credentials", b"{}").code == "not-found"
    assert send(running.url, "POST", "/v1/callbacks/vod", b"{}").code == "not-found"


# -- the table


@pytest.fixture(params=["sqlite", "postgresql"])
def media(request: pytest.FixtureRequest, world: World) -> Iterator[VodMedia]:
    if request.param == "sqlite":
        world.registry().add("cam-1")
        database = Database(world.settings().database)
        yield VodMedia(database, world.time)
        database.close()
        return
    with postgresql_server() as url:
        upgrade(url % "postgres")
        world.tables["database"] = url % "postgres"
        world.registry().add("cam-1")
        database = Database(url % "postgres")
        yield VodMedia(database, world.time)
        database.close()


def upload(token: str = "token-1", **changes: Any) -> VodUpload:
    made = VodUpload(
        reference_of("cam-1", token), "cam-1", "video", None, "t", "a.mp4", 5, "", 1.0, 2.0, 2.0
    )
    return replace(made, **changes)


def test_the_table(media: VodMedia) -> None:
    wanted = upload()
    assert media.begin(wanted) == wanted
    again = media.begin(upload(created_at=9.0, title="other"))
    assert again == wanted  # the first stands
    assert not again.same_file(upload(title="other"))
    assert media.find("v1") is None
    media.granted(wanted.reference, "v1")
    found = media.find("v1")
    assert found is not None
    assert (found.media_id, found.status, found.size) == ("v1", "Uploading", 5)
    media.forget(wanted.reference)  # what VOD has granted is not forgotten
    assert media.find("v1") is not None
    media.set_status("v1", "Normal")
    found = media.find("v1")
    assert found is not None
    assert found.status == "Normal"


def test_what_vod_refused_begins_anew(media: VodMedia) -> None:
    media.begin(upload())
    media.forget(upload().reference)
    assert media.begin(upload(created_at=9.0)).created_at == 9.0


def test_references() -> None:
    """Fit for VOD, and no device can bring about another's."""
    made = {reference_of(*pair) for pair in (("a", "bc"), ("ab", "c"), ("a", "b"), ("b", "a"))}
    assert len(made) == 4
    for one in made:
        assert 6 <= len(one) <= 64
        assert set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
