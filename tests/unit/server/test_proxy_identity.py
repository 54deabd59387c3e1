"""Headers of a proxy: who may send them, and which device a certificate names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ossmedia.device_auth import Claim
from ossmedia.server.authentication import Attempt, Authenticator
from ossmedia.server.problems import Problem
from ossmedia.server.proxy_identity import PEER, ProxyIdentity, read_certificate
from ossmedia.server.settings import HttpSettings, Settings
from tests.routes.certificates import Authority
from tests.unit.server.rig import ROLE, Time, World, send

HTTP = HttpSettings(trusted_proxies=("127.0.0.1", "10.0.0.0/8"), client_cert_header="X-Cert")
VERIFIED = b"x-ossmedia-client-verify"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "devices-ca")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> x509.Certificate:
    return authority.make(["cam-1"], [])


def escaped(certificate: x509.Certificate) -> bytes:
    return quote(certificate.public_bytes(Encoding.PEM).decode()).encode()


def scope(*headers: tuple[bytes, bytes], peer: str | None = "127.0.0.1") -> dict[str, Any]:
    return {"headers": list(headers), **({} if peer is None else {PEER: peer})}


def life(certificate: x509.Certificate) -> Time:
    """A clock that stands within a certificate's life."""
    time = Time()
    time.seconds = certificate.not_valid_before_utc.timestamp() + 60
    return time


def found(certificate: x509.Certificate, **changes: Any) -> str:
    heads = ((VERIFIED, b"SUCCESS"), (b"x-cert", escaped(certificate)))
    return ProxyIdentity(HTTP, life(certificate)).find(scope(*heads, **changes))


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.200.3.4", "::ffff:10.0.0.1"])
def test_a_trusted_proxy_is_believed(certificate: x509.Certificate, peer: str) -> None:
    assert found(certificate, peer=peer) == "cam-1"


@pytest.mark.parametrize("peer", [None, "", "127.0.0.2", "11.0.0.1", "::1", "localhost", "/run/x"])
@pytest.mark.parametrize("heads", [[0, 1], [0], [1]])
def test_nobody_else_is(certificate: x509.Certificate, peer: str | None, heads: list[int]) -> None:
    """Either header alone is refused as well."""
    both = ((VERIFIED, b"NONE"), (b"x-cert", escaped(certificate)))
    with pytest.raises(Problem) as caught:
        ProxyIdentity(HTTP).find(scope(*(both[number] for number in heads), peer=peer))
    assert caught.value.code == "forbidden"


def test_a_request_without_the_headers_comes_from_anywhere() -> None:
    assert ProxyIdentity(HTTP).find(scope((b"host", b"a"), peer="203.0.113.9")) == ""


def test_without_the_setting_no_certificate_is_looked_for(certificate: x509.Certificate) -> None:
    heads = ((VERIFIED, b"SUCCESS"), (b"x-cert", escaped(certificate)))
    http = replace(HTTP, client_cert_header="")
    assert ProxyIdentity(http).find(scope(*heads, peer="203.0.113.9")) == ""


@pytest.mark.parametrize("verified", [b"NONE", b"FAILED:expired", b"", b"success", b"SUCCESS "])
def test_it_must_be_verified(certificate: x509.Certificate, verified: bytes) -> None:
    heads = ((VERIFIED, verified), (b"x-cert", escaped(certificate)))
    assert ProxyIdentity(HTTP).find(scope(*heads)) == ""


@pytest.mark.parametrize("twice", [VERIFIED, b"x-cert"])
def test_a_header_that_stands_twice(certificate: x509.Certificate, twice: bytes) -> None:
    heads = {VERIFIED: b"SUCCESS", b"x-cert": escaped(certificate)}
    with pytest.raises(Problem) as caught:
        ProxyIdentity(HTTP).find(scope(*heads.items(), (twice, heads[twice])))
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True), (90_000, True)])
def test_its_life(certificate: x509.Certificate, seconds: float, good: bool) -> None:
    time = Time()
    time.seconds = certificate.not_valid_before_utc.timestamp() + seconds
    heads = ((VERIFIED, b"SUCCESS"), (b"x-cert", escaped(certificate)))
    identity = ProxyIdentity(HTTP, time)
    if good:
        assert identity.find(scope(*heads)) == "cam-1"
    time.seconds += 0 if seconds < 0 else certificate.not_valid_after_utc.timestamp()
    with pytest.raises(Problem) as caught:
        identity.find(scope(*heads))
    assert caught.value.code == "unauthorized"


@pytest.mark.parametrize(
    ("common", "dns"),
    [
        (["cam-1"], []),
        (["something else"], ["cam-1"]),  # the alternative name stands above the subject
        (["cam-2"], ["cam-1"]),
    ],
)
def test_the_name(authority: Authority, common: list[str], dns: list[str]) -> None:
    assert read_certificate(escaped(authority.make(common, dns))).device_id == "cam-1"


@pytest.mark.parametrize(
    ("common", "dns"),
    [
        ([], []),
        (["cam-1", "cam-2"], []),
        (["cam-1"], ["cam-1", "cam-2"]),
        (["cam-1,CN=cam-2"], []),
        (["*"], []),
        (["cam-1"], ["*.cams"]),
        (["cam-1\0"], []),
        (["cam-1/../cam-2"], []),
        ([" cam-1"], []),
        (["c" * 64], []),
    ],
)
def test_a_name_that_is_no_device(authority: Authority, common: list[str], dns: list[str]) -> None:
    made = authority.make(common, dns)
    with pytest.raises(ValueError, match=r"certificate|device_id"):
        read_certificate(escaped(made))
    with pytest.raises(Problem) as caught:
        found(made)
    assert caught.value.code == "unauthorized"


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda text: text[:-200],
        lambda text: text[100:],
        lambda text: text.replace(b"CERTIFICATE", b"PRIVATE%20KEY"),
        lambda text: b"%" * 3000,
        lambda text: bytes(range(256)),
    ],
)
def test_a_text_that_is_no_certificate(certificate: x509.Certificate, damage: Damage) -> None:
    with pytest.raises(ValueError, match="certificate"):
        read_certificate(damage(escaped(certificate)))


class TestJudged:
    """What the authenticator makes of it: signature, certificate, both."""

    MODES = {
        # mode: verdicts for signed, certified, signed and certified, signed by one for another
        "hmac": ["", "unauthorized", "", ""],
        "mtls": ["unauthorized", "", "", "unauthorized"],
        "both": ["unauthorized", "unauthorized", "", "unauthorized"],
    }

    @staticmethod
    def judge(world: World, mode: str, attempts: list[Attempt]) -> list[Any]:
        parts = world.parts()
        try:
            nonces = parts.admission._work.__self__._nonces
            limit = parts.settings.devices.requests_per_15_min
            judge = Authenticator(
                parts.database, parts.vault, nonces, limit=limit, mode=mode, clock=world.time
            )
            return judge.judge(attempts)
        finally:
            parts.close()

    @staticmethod
    def attempt(claim: Claim, certificate: str) -> Attempt:
        return Attempt(claim, "POST", "/v1/credentials", "server", b"{}", certificate)

    @staticmethod
    def bare(device_id: str) -> Claim:
        return Claim(device_id, "", "", "", "0" * 32)

    @pytest.mark.parametrize("mode", MODES)
    def test_modes(self, world: World, mode: str) -> None:
        camera, other = (world.camera("http://server", name) for name in ("cam-1", "cam-2"))
        attempts = [
            self.attempt(camera.claim(), ""),
            self.attempt(self.bare("cam-1"), "cam-1"),
            self.attempt(camera.claim(), "cam-1"),
            self.attempt(camera.claim(), other.id),
        ]
        verdicts = self.judge(world, mode, attempts)
        assert [verdict.code for verdict in verdicts] == self.MODES[mode]
        for verdict in verdicts:
            assert (verdict.device is None) == (verdict.code == "unauthorized")

    @pytest.mark.parametrize("mode", ["mtls", "both"])
    def test_a_wrong_signature_is_not_made_good(self, world: World, mode: str) -> None:
        camera = world.camera("http://server")
        bent = camera.claim(body=b"other")
        assert self.judge(world, mode, [self.attempt(bent, "cam-1")])[0].code == "unauthorized"

    def test_without_a_signature_nothing_is_signed(self, world: World) -> None:
        world.camera("http://server")
        (verdict,) = self.judge(world, "mtls", [self.attempt(self.bare("cam-1"), "cam-1")])
        assert (verdict.code, verdict.secret) == ("", b"")

    def test_an_unknown_and_a_disabled_device(self, world: World) -> None:
        world.camera("http://server")
        world.registry().disable("cam-1")
        attempts = [self.attempt(self.bare(name), name) for name in ("cam-1", "nobody")]
        codes = [verdict.code for verdict in self.judge(world, "mtls", attempts)]
        assert codes == ["device-disabled", "unauthorized"]

    def test_a_device_without_a_key(self, world: World) -> None:
        world.registry().add("cam-9", key=False)
        (verdict,) = self.judge(world, "mtls", [self.attempt(self.bare("cam-9"), "cam-9")])
        assert verdict.code == ""

    def test_the_number_of_requests_is_bounded(self, world: World) -> None:
        world.tables["devices"] = {"requests_per_15_min": 10}
        world.camera("http://server")
        bare = [Claim("cam-1", "", "", "", f"{number:032x}") for number in range(12)]
        verdicts = self.judge(world, "mtls", [self.attempt(claim, "cam-1") for claim in bare])
        codes = [verdict.code for verdict in verdicts]
        assert codes == [""] * 10 + ["too-many-requests"] * 2


def test_from_elsewhere_a_request_is_refused(world: World) -> None:
    """A real server that trusts another machine: the headers of this one end the request."""
    world.tables["http"] = {
        "trusted_proxies": ["192.0.2.1"],
        "client_cert_header": "x-ossmedia-client-cert",
    }
    camera = world.camera(world.start().url)
    for name in ("x-ossmedia-client-cert", "x-ossmedia-client-verify"):
        for path in ("/v1/credentials", "/healthz"):
            heads = {name: "SUCCESS", "X-Forwarded-For": "192.0.2.1"}
            answer = send(camera.url, "POST", path, b"{}", heads)
            assert (answer.status, answer.code) == (403, "forbidden")
    assert camera.ask().status == 200


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"http": {"client_cert_header": "x-c"}}, "http.client_cert_header: needs http.trusted_p"),
        ({"devices": {"authentication": "mtls"}}, "'mtls' needs http.client_cert_header"),
        ({"devices": {"authentication": "both"}}, "'both' needs http.client_cert_header"),
        ({"devices": {"authentication": "none"}}, "must be one of hmac, mtls, both, not 'none'"),
        ({"devices": {"authentication": []}}, "must be one of hmac, mtls, both"),
    ],
)
def test_settings(tables: dict[str, Any], text: str, tmp_path: Path) -> None:
    data = {"sts": {"role_arn": ROLE}, "oss": {"bucket": "cams", "region": "cn-hangzhou"}}
    with pytest.raises(ValueError, match=r"http|devices") as caught:
        Settings.from_dict({**data, **tables}, tmp_path)
    assert text in str(caught.value)
