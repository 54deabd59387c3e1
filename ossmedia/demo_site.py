"""What the demo stands on: a local cloud and an application server, each a process of its own.

In flow nothing, out flow addresses, one device's key and one person's password, made anew by the
operator's own commands. Everything lies in a temporary folder and ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BUCKET", "CAMERA", "Site", "Visitor", "site"]

BUCKET = "cams"
CAMERA = "cam-01"
PERSON = "demo"
_SETTINGS = """\
[http]
port = 0
[oss]
bucket = "{bucket}"
endpoint = "{endpoint}"
region = "{region}"
[sts]
role_arn = "{role_arn}"
endpoint = "{sts_endpoint}"
secure_transport = false
[recordings]
reconcile_s = 2
[vod]
region = "{region}"
endpoint = "{vod_endpoint}"
[page]
media_origins = ["{endpoint}"]
"""


class Site(NamedTuple):
    """Where everything is. ``cloud``: what the local cloud printed; ``url``: of the application
    server and its page; ``key_file``: of the device ``CAMERA``; ``password``: of ``PERSON``."""

    cloud: dict[str, Any]
    url: str
    key_file: Path
    person: str
    password: str


@contextlib.contextmanager
def site() -> Iterator[Site]:
    with TemporaryDirectory(prefix="ossmedia-demo-") as folder, _cloud() as cloud:
        place = Path(folder)
        settings = place / "ossmedia.toml"
        settings.write_text(_SETTINGS.format(bucket=BUCKET, **cloud), encoding="utf-8")
        environment = {
            **os.environ,
            "OSS_ACCESS_KEY_ID": cloud["access_key_id"],
            "OSS_ACCESS_KEY_SECRET": cloud["access_key_secret"],
        }

        def operator(*words: str) -> str:
            command = [sys.executable, "-m", "ossmedia", *words, "-c", str(settings)]
            done = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            return done.stdout.strip()

        operator("db", "upgrade")
        key_file = place / "device.key"
        key_file.touch(0o600)
        key_file.write_text(operator("device", "add", CAMERA), encoding="utf-8")
        password = operator("user", "add", PERSON, "--admin", "--generate").split("\n")[-1]
        with _server(settings, environment) as url:
            operator("page", "allow-origin", url)
            yield Site(cloud, url, key_file, PERSON, password)


@contextlib.contextmanager
def _cloud() -> Iterator[dict[str, Any]]:
    """The emulator as a process; gives what it prints when it is ready."""
    command = [sys.executable, "-m", "ossmedia.emulator", "--bucket", BUCKET]
    with _process(command, dict(os.environ), "the local cloud") as line:
        yield json.loads(line)


@contextlib.contextmanager
def _server(settings: Path, environment: dict[str, str]) -> Iterator[str]:
    command = [sys.executable, "-m", "ossmedia", "serve", "-c", str(settings)]
    with _process(command, environment, "the application server") as line:
        yield f"http://{json.loads(line)['listening']}"


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str], what: str) -> Iterator[str]:
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # ^C is for us; we end it in order
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{what} did not start")
            yield line
        finally:
            process.terminate()


class Visitor:
    """Somebody who looks at the page, by its JSON."""

    def __init__(self, place: Site) -> None:
        self._host = urlsplit(place.url).netloc
        self._origin = place.url
        self._cookie = ""
        self._sign_in(place)

    def _sign_in(self, place: Site) -> None:
        body = json.dumps({"name": place.person, "password": place.password})
        headers = {
            "Content-Type": "application/json",
            "Origin": self._origin,
            "Sec-Fetch-Site": "same-origin",
        }
        status, answer, cookie = self._send("POST", "/v1/session", body, headers)
        if status != 200:
            raise RuntimeError(f"signing in failed: {status} {answer!r}")
        self._cookie = cookie.partition(";")[0]

    def _send(
        self, method: str, target: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, bytes, str]:
        connection = HTTPConnection(self._host, timeout=30)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Set-Cookie", "")
        finally:
            connection.close()

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        """A document of the page's own interface."""
        target = f"{quote(path, safe='/~:')}?{urlencode(query)}" if query else path
        status, body, _ = self._send("GET", target, None, {"Cookie": self._cookie})
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:200]!r}")
        found: dict[str, Any] = json.loads(body)
        return found

    def text(self, path: str) -> str:
        """A text, as a playlist is."""
        status, body, _ = self._send("GET", path, None, {"Cookie": self._cookie})
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:200]!r}")
        return body.decode()


def fetch(url: str) -> bytes:
    """What a signed URL of the local cloud leads to."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {parts.path}: {answer.status}")
        return body
    finally:
        connection.close()
