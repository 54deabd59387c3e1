"""The samples of ossmedia/server/deploy at work: nginx, and application servers behind it, started
with the samples as they stand but for the words that they name as to be changed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sysconfig
import time
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cached_property
from http.client import HTTPSConnection
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ossmedia import AppServerCredentials
from ossmedia.server.parts import open_registry
from ossmedia.server.settings import Settings
from tests.routes.certificates import Authority
from tests.unit.server.rig import Answer, Camera, Time

START_S = 60.0
NAME = "localhost"


def sample(name: str) -> str:
    """The text of a sample."""
    return files("ossmedia.server").joinpath("deploy", name).read_text("utf-8")


def filled(name: str, words: dict[str, str]) -> str:
    """A sample with words replaced, each of which must be there."""
    text = sample(name)
    for old, new in words.items():
        assert old in text, f"{name} does not hold {old!r}"
        text = text.replace(old, new)
    return text


def need_nginx() -> str:
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    if os.getuid() != 0:
        pytest.skip("Debian's nginx needs root for its folders in /var/lib/nginx")
    return program


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def wait_for_port(port: int, process: subprocess.Popen[Any]) -> None:
    """Returns when something listens there."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, "it ended before it listened"
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.02)


def unit_lines(key: str) -> list[str]:
    """The values of one key of the unit."""
    return re.findall(rf"^{key}=(.*)$", sample("ossmedia@.service"), re.MULTILINE)


class Serve:
    """One application server: the unit's ExecStart line, with the environment that the unit sets
    and nothing else."""

    def __init__(self, folder: Path, port: int, log: str) -> None:
        (line,) = unit_lines("ExecStart")
        program = Path(sysconfig.get_path("scripts"), "ossmedia")
        for old, new in (
            ("/opt/ossmedia/bin/ossmedia", str(program)),
            ("/etc/ossmedia", str(folder)),
            ("%i", str(port)),
        ):
            assert old in line
            line = line.replace(old, new)
        environ = dict(word.split("=", 1) for v in unit_lines("Environment") for word in v.split())
        (place,) = unit_lines("EnvironmentFile")
        place = place.replace("/etc/ossmedia", str(folder))
        environ |= dict(row.split("=", 1) for row in Path(place).read_text().splitlines())
        self.log = folder / log
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                shlex.split(line), env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=file
            )

    @cached_property
    def port(self) -> int:
        """Where it listens; known when it is ready."""
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        assert told, self.log.read_text()
        return int(json.loads(told)["listening"].rsplit(":", 1)[1])

    def rss(self, name: str = "VmRSS") -> int:
        """Bytes of memory; "VmHWM": the most there was."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) * 1024

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def stop(self) -> int:
        self.process.terminate()
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Site:
    """Application servers behind nginx, on a local cloud.

    Args:
        database, cache: URLs.
        changes: words of ossmedia.toml and what stands there instead.
    """

    def __init__(
        self,
        folder: Path,
        cloud: Any,
        *,
        database: str,
        cache: str = "",
        changes: dict[str, str] | None = None,
    ) -> None:
        self._program = need_nginx()
        self.folder, self.cloud = folder, cloud
        self.port, self.plain_port = free_ports(2)
        self.host = f"{NAME}:{self.port}"
        self.url = f"https://{self.host}"
        self.ca = Authority(folder, "site-ca")
        self.devices_ca = Authority(folder, "devices-ca")
        self.ca.sign("server", dns=[NAME], use="server")
        self._write_settings(database, cache, changes or {})
        self.servers: list[Serve] = []
        self.nginx: subprocess.Popen[bytes] | None = None

    def _write_settings(self, database: str, cache: str, changes: dict[str, str]) -> None:
        cloud = self.cloud
        words = {
            "postgresql://ossmedia@/ossmedia": database,
            "unix:///run/redis/redis-server.sock": cache,
            "/var/lib/ossmedia": str(self.folder),
            "cams.example.com": self.host,
            'role_arn = "acs:ram::1234567890123456:role/camera-uploader"': (
                f'role_arn = "{cloud.role_arn}"\nendpoint = "{cloud.sts_endpoint}"\n'
                "secure_transport = false"
            ),
            '"my-cameras"': '"cams"',
            '"https://oss-cn-hangzhou.aliyuncs.com"': f'"{cloud.endpoint}"\nregion = '
            f'"{cloud.region}"',
            **changes,
        }
        self.config = self.folder / "ossmedia.toml"
        self.config.write_text(filled("ossmedia.toml", words))
        (self.folder / "environment").write_text(
            f"OSS_ACCESS_KEY_ID={cloud.access_key_id}\n"
            f"OSS_ACCESS_KEY_SECRET={cloud.access_key_secret}\n"
        )
        self.command("db", "upgrade")

    def command(self, *words: str) -> list[Any]:
        """What an operator's command prints, as JSON."""
        program = str(Path(sysconfig.get_path("scripts"), "ossmedia"))
        line = [program, *words, "-c", str(self.config), "--json"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(row) for row in done.stdout.splitlines()]

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.servers = [Serve(self.folder, 0, f"server-{number}.log") for number in range(3)]
        config = self.folder / "nginx.conf"
        config.write_text(self.nginx_config([server.port for server in self.servers]))
        line = [self._program, "-c", str(config), "-g", "daemon off;"]
        done = subprocess.run([*line, "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "warn" not in done.stderr, done.stderr
        with (self.folder / "nginx.out").open("wb") as out:
            self.nginx = subprocess.Popen(line, stdout=out, stderr=out)
        wait_for_port(self.port, self.nginx)

    def nginx_config(self, ports: list[int]) -> str:
        words = {
            f"127.0.0.1:808{number}": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)
        }
        words |= {
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            "cams.example.com": NAME,
            "/etc/ossmedia/tls": str(self.folder),
            "/run/nginx.pid": str(self.folder / "nginx.pid"),
            "/var/log/nginx": str(self.folder),
        }
        return filled("nginx.conf", words)

    def restart(self, number: int) -> None:
        """A server that ended, on its old port."""
        old = self.servers[number]
        self.servers[number] = Serve(self.folder, old.port, old.log.name)
        assert self.servers[number].port == old.port

    def stop(self) -> None:
        if self.nginx is not None:
            self.nginx.terminate()
            self.nginx.wait(30)
        for server in self.servers:
            if server.process.returncode is None:
                server.stop()

    # -- those who come

    def context(self, stem: str = "") -> ssl.SSLContext:
        """For TLS to nginx, with a certificate of the folder."""
        context = ssl.create_default_context(cafile=self.ca.file)
        if stem:
            context.load_cert_chain(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        return context

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        certificate: str = "",
    ) -> Answer:
        """One request through nginx on a connection of its own."""
        context = self.context(certificate)
        connection = HTTPSConnection(NAME, self.port, timeout=20, context=context)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            heads = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, heads, response.read())
        finally:
            connection.close()

    def provider(self, device_id: str, key: str | None, stem: str = "") -> AppServerCredentials:
        """A camera's."""
        pair: dict[str, Any] = {}
        if stem:
            pair = {"cert_file": self.folder / f"{stem}.pem"}
            pair["cert_key_file"] = self.folder / f"{stem}.key"
        return AppServerCredentials(self.url, device_id, key, ca_file=self.ca.file, **pair)

    def device(self, device_id: str) -> str:
        """Registers a device; the text of its key."""
        return self.devices([device_id])[device_id]

    def devices(self, ids: Iterable[str]) -> dict[str, str]:
        """Registers devices, through the database as the command line has it."""
        database, _, registry = open_registry(Settings.load(self.config))
        try:
            return {device_id: registry.add(device_id)[1] for device_id in ids}
        finally:
            database.close()

    def signer(self, device_id: str, key: str) -> Camera:
        """A camera whose requests can be bent; signed for this site, at the real time."""
        now = Time()
        now.seconds = time.time()
        return Camera(f"http://{self.host}", device_id, key, now)

    @staticmethod
    def line(word: str, *logs: Path) -> str:
        """The one line of these logs with a word in it; it is written after the answer was sent."""
        deadline = time.monotonic() + START_S
        while True:
            text = "".join(log.read_text() for log in logs)
            found = [line for line in text.splitlines(keepends=True) if word in line]
            if found and found[0].endswith("\n"):
                assert len(found) == 1
                return found[0]
            assert time.monotonic() < deadline, f"no line holds {word!r}"
            time.sleep(0.02)

    def sts_calls(self) -> int:
        return int(self.cloud.counters()["requests"].get("Rpc", 0))
