"""The samples of ossmedia/server/deploy, at work: nginx before the servers, and their unit."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.routes.deployment import NAME, Site, filled, sample, unit_lines
from tests.unit.server.rig import send


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three servers on one SQLite file, signatures asked for."""
    folder = tmp_path_factory.mktemp("site")
    made = Site(folder, oss_emulator, database=f"sqlite:///{folder}/server.db")
    made.start()
    yield made
    made.stop()


class TestSample:
    """nginx.conf as it stands."""

    def test_a_camera_gets_its_token_through_it(self, site: Site) -> None:
        provider = site.provider("cam-1", site.device("cam-1"))
        assert provider().access_key_id.startswith("STS.")
        assert provider.place["key_prefix"] == "cams/cam-1/"

    def test_the_answer_is_the_servers_own(self, site: Site) -> None:
        answer = site.send("POST", "/v1/credentials", b"{}")
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "strict-transport-security" in answer.headers
        assert "server" not in answer.headers or "/" not in answer.headers["server"]

    @pytest.mark.parametrize(
        "target",
        [
            "/metrics",
            "/metrics?x=1",
            "//metrics",
            "/%6detrics",
            "/x/../metrics",
            "/./metrics",
            "/metric%73",
            "/metrics#x",
            "/metrics%00",
            "/metrics/",
            "/Metrics",
            "/%2fmetrics",
        ],
    )
    def test_the_figures_are_not_for_everybody(self, site: Site, target: str) -> None:
        answer = site.send("GET", target)
        assert answer.status in (400, 404)
        assert b"ossmedia_" not in answer.body

    def test_the_figures_are_for_the_machine(self, site: Site) -> None:
        answer = send(f"http://127.0.0.1:{site.servers[0].port}", "GET", "/metrics", b"", _to(site))
        assert (answer.status, b"ossmedia_requests_total" in answer.body) == (200, True)

    def test_a_body_above_64_kib(self, site: Site) -> None:
        answer = site.send("POST", "/v1/credentials", b"x" * (64 * 1024 + 1))
        assert (answer.status, answer.code) == (413, "body-too-large")
        at_the_limit = site.send("POST", "/v1/credentials", b"x" * 64 * 1024)
        assert (at_the_limit.status, at_the_limit.code) == (401, "unauthorized")

    @pytest.mark.parametrize(
        "headers", [{"X-A": "a" * 5000}, {f"X-{n}": "a" * 900 for n in range(20)}]
    )
    def test_a_head_above_16_kib(self, site: Site, headers: dict[str, str]) -> None:
        answer = site.send("GET", "/healthz", b"", headers)
        assert (answer.status, answer.code) == (431, "headers-too-large")

    def test_a_head_below_16_kib(self, site: Site) -> None:
        headers = {f"X-{n}": "a" * 900 for n in range(14)}
        assert site.send("GET", "/healthz", b"", headers).status == 200

    def test_other_names_do_not_get_a_certificate(self, site: Site) -> None:
        context = site.context()
        with socket.create_connection(("127.0.0.1", site.port), 10) as plain:
            with pytest.raises(OSError, match="UNRECOGNIZED_NAME"):
                context.wrap_socket(plain, server_hostname="other.example")

    def test_plain_http_is_sent_to_https(self, site: Site) -> None:
        answer = send(f"http://127.0.0.1:{site.plain_port}", "GET", "/a?b", b"", {"Host": NAME})
        assert answer.status == 301
        assert answer.headers["location"] == f"https://{NAME}/a?b"

    def test_what_a_client_says_of_itself_does_not_count(self, site: Site) -> None:
        """Neither its address nor a certificate."""
        lies = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Ossmedia-Client-Verify": "SUCCESS",
            "X-Ossmedia-Client-Cert": "-----BEGIN%20CERTIFICATE-----",
        }
        answer = site.send("GET", "/healthz", b"", lies)
        assert answer.status == 200
        request = answer.headers["ossmedia-request-id"]
        line = site.line(request, *(server.log for server in site.servers))
        assert '"client": "127.0.0.1"' in line

    def test_the_log_holds_no_query_and_no_header(self, site: Site) -> None:
        site.send("GET", "/healthz?canary=1", b"", {"Authorization": "canary-2"})
        site.send("GET", "/healthz/the-last")
        site.line("/healthz/the-last", site.folder / "access.log")
        log = (site.folder / "access.log").read_text()
        assert '"path": "/healthz"' in log
        assert "canary" not in log


def _to(site: Site) -> dict[str, str]:
    return {"Host": site.host}


class TestUnit:
    """ossmedia@.service; its ExecStart line is what every server here was started with."""

    def test_systemd_reads_it(self, tmp_path: Path) -> None:
        analyze = _need_systemd()
        place = tmp_path / "ossmedia@8081.service"
        here = {"/opt/ossmedia/bin/ossmedia": "/bin/true"}
        place.write_text(filled("ossmedia@.service", here))
        done = subprocess.run(
            [analyze, "verify", place], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_it_is_shut_in(self, tmp_path: Path) -> None:
        """systemd's own measure of exposure, 0 best and 10 worst."""
        analyze = _need_systemd()
        place = tmp_path / "ossmedia@8081.service"
        place.write_text(sample("ossmedia@.service"))
        line = [analyze, "security", "--offline=yes", "--threshold=20", place]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def test_it_holds_no_secret(self) -> None:
        for value in unit_lines("Environment"):
            assert "KEY" not in value


def _need_systemd() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    return program
