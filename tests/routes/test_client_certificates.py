"""Client certificates that end at nginx, and whose devices' tokens they get."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ossmedia import errors
from tests.routes.certificates import Authority
from tests.routes.deployment import Site
from tests.unit.server.rig import send


def _made(folder: Path, cloud: Any, mode: str) -> Site:
    changes = {'authentication = "hmac"': f'authentication = "{mode}"'}
    return Site(folder, cloud, database=f"sqlite:///{folder}/server.db", changes=changes)


@pytest.fixture(scope="module")
def site(oss_emulator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """authentication = "mtls": the certificate in place of the signature."""
    made = _made(tmp_path_factory.mktemp("site"), oss_emulator, "mtls")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def keys(site: Site) -> dict[str, str]:
    """Two devices with keys and certificates."""
    for device in ("cam-1", "cam-2"):
        site.devices_ca.sign(device)
    return {device: site.device(device) for device in ("cam-1", "cam-2")}


def test_it_is_enough(site: Site, keys: dict[str, str]) -> None:
    provider = site.provider("cam-1", None, "cam-1")
    assert provider().access_key_id.startswith("STS.")
    assert provider.place["key_prefix"] == "cams/cam-1/"


def test_each_gets_its_own(site: Site, keys: dict[str, str]) -> None:
    told = [site.provider(name, None, name)().access_key_id for name in ("cam-1", "cam-2")]
    assert told[0] != told[1]


def test_none_is_not_enough(site: Site, keys: dict[str, str]) -> None:
    with pytest.raises(errors.AccessDenied, match="unauthorized"):
        site.provider("cam-1", keys["cam-1"])()
    assert site.send("POST", "/v1/credentials", b"{}").status == 401


def test_another_devices(site: Site, keys: dict[str, str]) -> None:
    """Whatever the body or the signature names, the certificate's device is asked for."""
    answer = site.send("POST", "/v1/credentials", b'{"device": "cam-1"}', certificate="cam-2")
    assert (answer.status, answer.code) == (403, "wrong-device")
    prefix = b'{"prefix": "cams/cam-1"}'
    answer = site.send("POST", "/v1/credentials", prefix, certificate="cam-2")
    assert (answer.status, answer.code) == (403, "prefix-outside")
    with pytest.raises(errors.AccessDenied, match="unauthorized"):
        site.provider("cam-1", keys["cam-1"], "cam-2")()


def test_a_signature_that_is_there_must_hold(site: Site, keys: dict[str, str]) -> None:
    assert site.provider("cam-1", keys["cam-1"], "cam-1")().access_key_id.startswith("STS.")
    bent = site.signer("cam-1", keys["cam-1"]).claim().header()[:-4] + "0000"
    heads = {"Authorization": bent}
    assert site.send("POST", "/v1/credentials", b"{}", heads, certificate="cam-1").status == 401


def test_a_disabled_device(site: Site, keys: dict[str, str]) -> None:
    site.device("cam-3")
    site.devices_ca.sign("cam-3")
    provider = site.provider("cam-3", None, "cam-3")
    provider()
    site.command("device", "disable", "cam-3")
    with pytest.raises(errors.AccessDenied, match="device-disabled"):
        provider()


def test_a_device_that_nobody_registered(site: Site, keys: dict[str, str]) -> None:
    site.devices_ca.sign("nobody")
    with pytest.raises(errors.AccessDenied, match="unauthorized"):
        site.provider("nobody", None, "nobody")()


def test_certificates_of_others(site: Site, keys: dict[str, str]) -> None:
    """Of another authority, over, for servers, signed by itself in effect: nginx refuses."""
    (site.folder / "other").mkdir(exist_ok=True)
    stranger = Authority(site.folder / "other", "devices-ca")
    stranger.sign("cam-1")
    site.devices_ca.sign("over", common=["cam-1"], days=-1)
    site.devices_ca.sign("server-like", common=["cam-1"], use="server")
    for stem in ("other/cam-1", "over", "server-like"):
        answer = site.send("POST", "/v1/credentials", b"{}", certificate=stem)
        assert (answer.status, answer.code) == (401, "unauthorized"), stem


def test_the_server_believes_nobody_but_nginx(site: Site, keys: dict[str, str]) -> None:
    """The same headers on the server's own port, where this machine is a proxy, but without the
    word that nginx verified; and with a text that is no certificate."""
    pem = quote((site.folder / "cam-1.pem").read_text())
    url = f"http://127.0.0.1:{site.servers[0].port}"
    for verified, text in (
        ("NONE", pem),
        ("FAILED:certificate has expired", pem),
        ("success", pem),
        ("", pem),
        ("SUCCESS", "x"),
        ("SUCCESS", ""),
    ):
        heads = {"Host": site.host, "X-Ossmedia-Client-Verify": verified}
        heads["X-Ossmedia-Client-Cert"] = text
        assert send(url, "POST", "/v1/credentials", b"{}", heads).status == 401, verified


def test_both_together(oss_emulator: Any, tmp_path: Path) -> None:
    """authentication = "both": neither is enough alone, and they must be of one device."""
    site = _made(tmp_path, oss_emulator, "both")
    site.start()
    try:
        keys = {name: site.device(name) for name in ("cam-1", "cam-2")}
        for name in keys:
            site.devices_ca.sign(name)
        assert site.provider("cam-1", keys["cam-1"], "cam-1")().access_key_id.startswith("STS.")
        for name, key, stem in (
            ("cam-1", keys["cam-1"], ""),
            ("cam-1", None, "cam-1"),
            ("cam-1", keys["cam-1"], "cam-2"),
            ("cam-1", keys["cam-2"], "cam-1"),
            ("cam-2", keys["cam-1"], "cam-2"),
        ):
            with pytest.raises(errors.AccessDenied, match="unauthorized"):
                site.provider(name, key, stem)()
    finally:
        site.stop()
