"""The token route, whole: a camera that knows its device key, the application server, and the local
cloud's STS and OSS. What each token may do is judged by the cloud, not by us."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import AppServerCredentials, Bucket, errors
from ossmedia.server.parts import Parts, open_registry
from ossmedia.server.serve import Running
from tests.unit.server.rig import write_settings


class Fleet:
    """An application server on the local cloud."""

    def __init__(self, cloud: Any, folder: Path) -> None:
        self.cloud = cloud
        self.settings = write_settings(
            folder,
            sts={
                "role_arn": cloud.role_arn,
                "endpoint": cloud.sts_endpoint,
                "region": cloud.region,
                "secure_transport": False,
            },
            oss={"bucket": "cams", "endpoint": cloud.endpoint, "region": cloud.region},
        )
        environ = {
            "OSS_ACCESS_KEY_ID": cloud.access_key_id,
            "OSS_ACCESS_KEY_SECRET": cloud.access_key_secret,
        }
        self.running = Running(Parts(self.settings, environ=environ))
        self.database, _, self.registry = open_registry(self.settings)

    def camera(self, device_id: str, **record: Any) -> AppServerCredentials:
        _, key = self.registry.add(device_id, **record)
        return AppServerCredentials(self.running.url, device_id, key, allow_insecure=True)

    def bucket(self, provider: AppServerCredentials) -> Bucket:
        cloud = self.cloud
        return Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=provider)

    def sts_calls(self) -> int:
        return int(self.cloud.counters()["requests"].get("Rpc", 0))


@pytest.fixture
def fleet(oss_emulator: Any, tmp_path: Path) -> Iterator[Fleet]:
    oss_emulator.reset()
    made = Fleet(oss_emulator, tmp_path)
    with made.running:
        yield made
    made.database.close()


def test_a_camera_writes_with_nothing_but_its_device_key(fleet: Fleet) -> None:
    provider = fleet.camera("cam-1")
    with fleet.bucket(provider) as bucket:
        with bucket.open("cams/cam-1/clip.ts", "wb") as f:
            f.write(b"video" * 1000)
        with bucket.open("cams/cam-1/live.ts", "ab") as f:
            f.write(b"live")
        with bucket.open("cams/cam-1/clip.ts") as f:
            assert f.read() == b"video" * 1000
    assert provider.place["key_prefix"] == "cams/cam-1/"
    assert fleet.sts_calls() == 1


@pytest.mark.parametrize(
    "key",
    [
        "cams/cam-2/x",
        "cams/cam-10/x",
        "cams/cam-1",
        "cams/cam-1x/x",
        "cams/CAM-1/x",
        "cams/x",
        "x",
        "cams//cam-1/x",
        "cams/cam-1.x",
    ],
)
def test_no_key_outside_its_prefix(fleet: Fleet, key: str) -> None:
    with fleet.bucket(fleet.camera("cam-1")) as bucket:
        for mode in ("wb", "ab"):
            with (
                pytest.raises((errors.AccessDenied, errors.StreamBroken)),
                bucket.open(key, mode) as f,
            ):
                f.write(b"x")
        with pytest.raises(errors.AccessDenied):
            bucket.stat(key)
        with pytest.raises(errors.AccessDenied):
            bucket.delete(key)


def test_only_the_modes_of_its_record(fleet: Fleet) -> None:
    with fleet.bucket(fleet.camera("writer", modes="w")) as bucket:
        with bucket.open("cams/writer/x", "wb") as f:
            f.write(b"x")
        with pytest.raises(errors.AccessDenied):
            bucket.stat("cams/writer/x")
        with pytest.raises(errors.AccessDenied):
            list(bucket.list("cams/writer/"))
    with fleet.bucket(fleet.camera("reader", modes="rl", prefix="cams/archive")) as bucket:
        assert list(bucket.list("cams/archive/")) == []
        with pytest.raises((errors.AccessDenied, errors.StreamBroken)):
            with bucket.open("cams/archive/x", "wb") as f:
                f.write(b"x")


def test_many_threads_of_many_cameras_make_one_call_each(fleet: Fleet) -> None:
    providers = [fleet.camera(f"cam-{number}") for number in range(10)]
    given: list[tuple[int, str]] = []
    gate = threading.Barrier(40)

    def ask(number: int) -> None:
        gate.wait()
        given.append((number % 10, providers[number % 10]().access_key_id))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 40
    assert len(set(given)) == 10
    assert len({key_id for _, key_id in given}) == 10
    assert fleet.sts_calls() == 10


def test_a_disabled_camera_gets_no_new_token(fleet: Fleet) -> None:
    provider = fleet.camera("cam-1")
    provider()
    fleet.registry.disable("cam-1")
    with pytest.raises(errors.AccessDenied, match="device-disabled") as caught:
        provider()
    assert not caught.value.retryable
    fleet.registry.enable("cam-1")
    provider()


def test_a_stolen_key_ends_with_its_rotation(fleet: Fleet) -> None:
    stolen = fleet.camera("cam-1")
    fleet.registry.rotate_key("cam-1", drop_old=True)
    with pytest.raises(errors.AccessDenied, match="unauthorized"):
        stolen()


def test_sts_away(fleet: Fleet) -> None:
    """The camera is told when to come again; a token that lives is still handed out."""
    provider = fleet.camera("cam-1")
    rule = fleet.cloud.fault("status", operation="Rpc", status=503, times=1)
    with pytest.raises(errors.Unavailable, match="sts-unavailable") as caught:
        provider()
    assert rule.fired == 1
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 1
    assert provider().access_key_id.startswith("STS.")


def test_every_call_of_sts_had_a_policy(fleet: Fleet) -> None:
    """A session without a policy has all rights of the role: the cloud knows what it was given."""
    sessions = fleet.cloud.cloud.identities._sessions
    before = set(sessions)
    for number in range(3):
        fleet.camera(f"cam-{number}")()
    mine = [session for id, session in sessions.items() if id not in before]
    assert len(mine) == 3
    for session in mine:
        text = str(session.session_policy)
        assert f"cams/cams/{session.session_name}/*" in text
        assert text.count("Allow") == 1


def test_a_camera_without_a_clock_records(fleet: Fleet) -> None:
    class Boot:
        """1970, and counting."""

        def now(self) -> float:
            return 5.0

        def monotonic(self) -> float:
            return 5.0

    _, key = fleet.registry.add("cam-1")
    url = fleet.running.url
    provider = AppServerCredentials(url, "cam-1", key, allow_insecure=True, clock=Boot())
    assert provider().access_key_id.startswith("STS.")
    assert provider.seconds_ahead is not None
    assert provider.seconds_ahead > 1.7e9
