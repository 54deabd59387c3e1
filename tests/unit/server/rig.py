"""What the server's tests work with: time in hand, a mint in place of STS, a camera whose requests
can be bent, and a folder's worth of server that can be started any number of times."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ossmedia.device_auth import Claim, DeviceKey, new_nonce, sign_request
from ossmedia.model import Credentials
from ossmedia.server.database import Database
from ossmedia.server.devices import Device
from ossmedia.server.parts import Parts, open_registry
from ossmedia.server.sealing import make_key_file
from ossmedia.server.serve import Running
from ossmedia.server.settings import Settings
from ossmedia.server.tokens import Wish

ROLE = "acs:ram::1234567890123456:role/uploader"


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_750_000_000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Mint:
    """Stands for STS where a test is about the server: remembers who asked for what."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.asked: list[tuple[str, Wish]] = []
        self.error: Exception | None = None
        self.during: Callable[[], None] = lambda: None

    def __call__(self, device: Device, wish: Wish) -> Credentials:
        self.asked.append((device.id, wish))
        self.during()
        if self.error is not None:
            raise self.error
        count = len(self.asked)
        return Credentials(
            f"STS.{device.id}.{count}",
            f"secret-canary-{count}",
            f"token-canary-{device.id}-{count}",
            self.time.seconds + wish.ttl_s,
        )


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json.get("code", ""))


def send(
    url: str, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    """One request on a connection of its own."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        heads = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, heads, response.read())
    finally:
        connection.close()


class Camera:
    """Signs as a device does, with every part to be bent by a test."""

    def __init__(self, url: str, device_id: str, key: str, time: Time) -> None:
        self.url, self.id, self.key, self.time = url, device_id, DeviceKey.parse(key), time

    def claim(self, **changed: Any) -> Claim:
        """A signed claim of a POST to /v1/credentials."""
        given = {
            "method": "POST",
            "target": "/v1/credentials",
            "host": self.url.removeprefix("http://"),
            "body": b"{}",
            "device": self.id,
            "key": self.key.id,
            "time": str(int(self.time.seconds)),
            "challenge": "",
            "nonce": new_nonce(),
            **changed,
        }
        fields = ("device", "key", "time", "challenge", "nonce")
        unsigned = Claim(*(given[name] for name in fields))
        target = (given["method"], given["target"], given["host"], given["body"])
        return sign_request(self.key, unsigned, *target)

    def ask(self, body: bytes = b"{}", **changed: Any) -> Answer:
        """One good request, but for what is changed."""
        claim = self.claim(body=body, **changed)
        return self.send(claim.header(), body)

    def send(self, header: str, body: bytes = b"{}") -> Answer:
        """A request with this Authorization header."""
        return send(self.url, "POST", "/v1/credentials", body, {"Authorization": header})


def write_settings(folder: Path, **tables: Any) -> Settings:
    """Settings for a folder, its key file made and its tables upgraded."""
    data: dict[str, Any] = {
        "database": f"sqlite:///{folder}/server.db",
        "key_file": f"{folder}/server.key",
        **tables,
    }
    for name, usual in (
        ("http", {"port": 0}),
        ("sts", {"role_arn": ROLE}),
        ("oss", {"bucket": "cams", "endpoint": "https://oss-cn-hangzhou.aliyuncs.com"}),
    ):
        data[name] = {**usual, **tables.get(name, {})}
    settings = Settings.from_dict(data)
    if not Path(settings.key_file).exists():
        make_key_file(settings.key_file)
        if settings.database.startswith("sqlite"):
            (folder / "server.db").write_bytes(_empty_database())
        else:
            upgrade(settings.database)
    return settings


def upgrade(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.close()


@cache
def _empty_database() -> bytes:
    """An upgraded database without devices: made once, copied for each test."""
    with TemporaryDirectory() as folder:
        upgrade(f"sqlite:///{folder}/server.db")
        return Path(folder, "server.db").read_bytes()


class World:
    """A folder's worth of server, to be started any number of times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = Time()
        self.mint = Mint(self.time)
        self.tables: dict[str, Any] = {}
        self._open: list[Any] = []

    def settings(self) -> Settings:
        return write_settings(self.folder, **self.tables)

    def registry(self) -> Any:
        """The registry, through a connection of its own, as the command line has it."""
        database, _, registry = open_registry(self.settings(), self.time)
        self._open.append(database)
        return registry

    def parts(self) -> Parts:
        return Parts(self.settings(), clock=self.time, random=lambda: 0.5, issue=self.mint)

    def start(self) -> Running:
        """A server; stopped at the test's end, if not before."""
        running = Running(self.parts())
        running.__enter__()
        self._open.append(running)
        return running

    def stop(self, running: Running) -> None:
        self._open.remove(running)
        running.__exit__(None, None, None)

    def camera(self, url: str, device_id: str = "cam-1") -> Camera:
        """A device that is registered now."""
        _, key = self.registry().add(device_id)
        return Camera(url, device_id, key, self.time)

    def close(self) -> None:
        for thing in reversed(self._open):
            if isinstance(thing, Running):
                thing.__exit__(None, None, None)
            else:
                thing.close()
