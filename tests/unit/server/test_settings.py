"""settings.py: a wrong file names key, value and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ossmedia.server.settings import DeviceDefaults, Settings

GOOD = """
[sts]
role_arn = "acs:ram::1234567890123456:role/uploader"
[oss]
bucket = "cams"
endpoint = "https://oss-cn-hangzhou.aliyuncs.com"
"""


def load(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "ossmedia.toml"
    path.write_text(text, encoding="utf-8")
    return Settings.load(path, environ)


def test_the_least_file(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    assert settings.database == f"sqlite:///{tmp_path}/ossmedia.db"
    assert settings.key_file == f"{tmp_path}/ossmedia.key"
    assert (settings.sts.calls_per_s, settings.http.port) == (80, 8080)
    assert settings.devices.prefix_of("cam-1") == "cams/cam-1"


def test_the_environment_names_what_holds_passwords(tmp_path: Path) -> None:
    url = "postgresql://user:url-canary@host/name"
    settings = load(
        tmp_path, GOOD, OSSMEDIA_DATABASE=url, OSSMEDIA_CACHE="redis://:url-canary@host/0"
    )
    assert settings.database == url
    assert "url-canary" not in repr(settings)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("http.port = 70000", ["http.port", "70000", "0-65535"]),
        ("http.port = '80'", ["http.port", "'80'", "whole number"]),
        ("http.port = true", ["http.port", "True", "whole number"]),
        ("http.prot = 80", ["http.prot", "unknown", "port"]),
        ("htpt.port = 80", ["htpt", "unknown", "[http]"]),
        ("http = 1", ["http", "table", "1"]),
        ("http.hosts = 'a'", ["http.hosts", "list of texts", "'a'"]),
        ("http.metrics_from = ['10.0.0.1/8']", ["http.metrics_from", "10.0.0.1/8"]),
        ("http.tls_cert = 'x.pem'", ["http.tls_cert", "http.tls_key", "both"]),
        ("http.request_timeout_s = 0", ["http.request_timeout_s", "1-60", "0"]),
        ("http.request_timeout_s = nan", ["http.request_timeout_s", "1-60", "nan"]),
        ("sts.calls_per_s = 101", ["sts.calls_per_s", "1-100", "101"]),
        ("sts.max_ttl_s = 3599", ["sts.max_ttl_s", "3600-43200", "3599"]),
        ("sts.secure_transport = 'no'", ["sts.secure_transport", "true or false", "'no'"]),
        ("sts.endpoint = 'ftp://x'", ["sts.endpoint", "http://"]),
        ("oss.region = 'Hangzhou'", ["oss.region"]),
        ("devices.ttl_s = 899", ["devices.ttl_s", "900-43200", "899"]),
        ("devices.ttl_s = 7200", ["devices.ttl_s", "sts.max_ttl_s", "7200"]),
        ("devices.modes = 'rx'", ["devices.mode", "'x'"]),
        ("devices.modes = ''", ["devices.mode", "empty"]),
        ("devices.prefix = '{device}'", ["devices.prefix", "/{device}", "'{device}'"]),
        ("devices.prefix = 'cams'", ["devices.prefix", "/{device}"]),
        ("devices.prefix = '{device}/{device}'", ["devices.prefix", "once"]),
        ("devices.prefix = '*/{device}'", ["devices.", "letters, digits"]),
        ("devices.prefix = '{name}/{device}'", ["devices.prefix"]),
        ("nonces = 'memory'", ["nonces", "'database' or 'cache'", "'memory'"]),
        ("nonces = 'cache'", ["nonces", "redis://"]),
        ("cache = 'memcached://x'", ["cache", "redis://"]),
        ("database = 5", ["database", "text", "5"]),
    ],
)
def test_a_wrong_value_is_told(tmp_path: Path, line: str, parts: list[str]) -> None:
    if line.startswith(("sts.", "oss.")):
        table, rest = line.split(".", 1)
        text = GOOD.replace(f"[{table}]", f"[{table}]\n{rest}")
    else:
        text = line + "\n" + GOOD
    with pytest.raises(ValueError, match=re.escape(parts[0])) as caught:
        load(tmp_path, text)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("key", ["sts.role_arn", "oss.bucket"])
def test_what_is_missing_is_told(tmp_path: Path, key: str) -> None:
    name = key.split(".")[1]
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(name))
    with pytest.raises(ValueError, match=f"{key}: missing"):
        load(tmp_path, text)


def test_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no TOML"):
        load(tmp_path, "[sts")


def test_hash_first() -> None:
    spread = {DeviceDefaults(prefix="{hash}/{device}").prefix_of(f"cam-{n}") for n in range(300)}
    assert len({prefix.split("/")[0] for prefix in spread}) > 100
    assert all(len(prefix.split("/")[0]) == 2 for prefix in spread)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "x", ""])
def test_other_databases_are_refused(url: str) -> None:
    from ossmedia.server.database import parse_url

    with pytest.raises(ValueError, match="database: must be"):
        parse_url(url)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings: Any = load(tmp_path, GOOD)
    with pytest.raises(AttributeError):
        settings.nonces = "cache"
