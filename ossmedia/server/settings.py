"""What an operator can set, from one TOML file.

In flows the file, out flow frozen values, each checked; an error names the key, the value and what
is allowed. Secrets do not belong into the file: the server's own access key comes from the
environment, and a database or cache URL with a password may come from OSSMEDIA_DATABASE and
OSSMEDIA_CACHE. No URL is shown by a repr.
"""

from __future__ import annotations

import hashlib
import os
import string
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ossmedia.address import Address
from ossmedia.model import Credentials
from ossmedia.policy import device_prefix, parse_modes, path_grant
from ossmedia.server.setting_checks import check_url as _check_url
from ossmedia.server.setting_checks import flag as _flag
from ossmedia.server.setting_checks import networks as _networks
from ossmedia.server.setting_checks import number as _number
from ossmedia.server.setting_checks import one_of as _one_of
from ossmedia.server.setting_checks import origins as _origins
from ossmedia.server.setting_checks import setting as _set
from ossmedia.server.setting_checks import text as _text
from ossmedia.server.setting_checks import texts as _texts
from ossmedia.server.vod_settings import VodSettings
from ossmedia.sts import ENDPOINT, LEAST_TTL_S, MOST_TTL_S, TokenIssuer

__all__ = [
    "DeviceDefaults",
    "HttpSettings",
    "OssSettings",
    "PageSettings",
    "RecordingSettings",
    "Settings",
    "StsSettings",
    "VodSettings",
]

CALLBACK_KEYS = "https://gosspublic.alicdn.com/"
_DATABASE, _KEY_FILE = "sqlite:///ossmedia.db", "ossmedia.key"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """``[http]``: where the server listens and what it puts up with.

    Attributes:
        hosts: names that requests may be addressed to, as in the Host header; none: any.
        trusted_proxies: networks whose X-Forwarded-For, and client certificates, are believed.
        client_cert_header: the header in which they hand on the PEM text of a client's certificate
            in URL form (nginx: ``$ssl_client_escaped_cert``); "": none is looked for.
        client_verify_header: the one that says SUCCESS when they have verified it.
        metrics_from: networks that may read /metrics.
        request_timeout_s: for the head and for the body of a request, each.
    """

    host: str = _set("127.0.0.1", _text)
    port: int = _set(8080, _number(0, 65_535, int))
    hosts: tuple[str, ...] = _set((), _texts)
    tls_cert: str = _set("", _text)
    tls_key: str = _set("", _text)
    trusted_proxies: tuple[str, ...] = _set((), _networks)
    client_cert_header: str = _set("", _text)
    client_verify_header: str = _set("x-ossmedia-client-verify", _text)
    metrics_from: tuple[str, ...] = _set(("127.0.0.0/8", "::1/128"), _networks)
    request_timeout_s: float = _set(10.0, _number(1, 60, float))
    connections: int = _set(4096, _number(16, 65_536, int))
    stop_timeout_s: int = _set(15, _number(1, 300, int))


@dataclass(frozen=True, slots=True)
class StsSettings:
    """``[sts]``: the role whose rights are cut down for devices, and how often STS is asked.

    Attributes:
        calls_per_s: in no second more calls than this, by all processes that share a cache. An
            account has 100.
        wait_s: how long a request waits for its turn before it is told to come again.
        secure_transport: tokens work over https only; false for a local cloud that speaks http.
    """

    role_arn: str = _set("", _text)
    endpoint: str = _set(ENDPOINT, _text)
    region: str = _set("cn-hangzhou", _text)
    ca_file: str = _set("", _text)
    max_ttl_s: int = _set(3600, _number(3600, MOST_TTL_S, int))
    calls_per_s: int = _set(80, _number(1, 100, int))
    threads: int = _set(8, _number(1, 64, int))
    wait_s: float = _set(1.0, _number(0, 10, float))
    secure_transport: bool = _set(True, _flag)
    source_ip: tuple[str, ...] = _set((), _networks)


@dataclass(frozen=True, slots=True)
class OssSettings:
    """``[oss]``: the bucket that tokens are for, and what cameras are told of it.

    Attributes:
        server_endpoint: where the server itself reaches the bucket; "": by ``endpoint``, as
            cameras and browsers do.
        ca_file: PEM file of the authorities to trust; "": the usual ones.
    """

    bucket: str = _set("", _text)
    endpoint: str = _set("", _text)
    region: str = _set("", _text)
    server_endpoint: str = _set("", _text)
    ca_file: str = _set("", _text)


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """``[recordings]``: how recordings become known, and how long they stay.

    Attributes:
        keep_days: recordings older than this are deleted, unless they are kept; 0: never.
        lifecycle_days: after this many days a rule of the bucket itself deletes them, which
            ``ossmedia recordings lifecycle --set`` writes; what is kept is tagged so that the rule
            passes it by. 0: there is none.
        reconcile_s: how often the bucket is listed to find what nobody told of; 0: never.
        callback_url: this server's own /v1/callbacks/oss as OSS reaches it; with it cameras are
            told how to ask OSS to call. "": no callbacks.
        callback_keys_from: where keys that sign callbacks may be fetched; another than OSS's own
            is for a local cloud.
    """

    keep_days: float = _set(0.0, _number(0, 36_500, float))
    lifecycle_days: int = _set(0, _number(0, 36_500, int))
    reconcile_s: int = _set(900, _number(0, 7 * 86_400, int))
    callback_url: str = _set("", _text)
    callback_keys_from: str = _set(CALLBACK_KEYS, _text)


@dataclass(frozen=True, slots=True)
class PageSettings:
    """``[page]``: how long people stay signed in, and from where the page may play.

    Attributes:
        idle_timeout_s: without use a session ends after this time.
        session_life_s: in any case it ends after this.
        media_origins: besides the bucket: where VOD's play addresses lead, and where the keys of
            encrypted segments are.
    """

    idle_timeout_s: int = _set(12 * 3600, _number(60, 30 * 86_400, int))
    session_life_s: int = _set(7 * 86_400, _number(60, 366 * 86_400, int))
    media_origins: tuple[str, ...] = _set((), _origins)


@dataclass(frozen=True, slots=True)
class DeviceDefaults:
    """``[devices]``: what a new device gets, and how often one may ask.

    Attributes:
        prefix: of its keys; ``{device}`` is its id and must be the last part, ``{hash}`` two hex
            digits that spread a fleet over the bucket.
        requests_per_15_min: of one device; more are told to come again.
        authentication: "hmac": requests are signed with the device's key; "mtls": they come with
            its certificate (and a signature, where there is one, must hold); "both".
    """

    prefix: str = _set("cams/{device}", _text)
    modes: str = _set("rwam", _text)
    ttl_s: int = _set(3600, _number(LEAST_TTL_S, MOST_TTL_S, int))
    requests_per_15_min: int = _set(900, _number(10, 100_000, int))
    authentication: str = _set("hmac", _one_of("hmac", "mtls", "both"))

    def prefix_of(self, device_id: str) -> str:
        """The prefix by the template."""
        spread = hashlib.sha256(device_id.encode()).hexdigest()[:2]
        head = self.prefix.removesuffix("{device}").removesuffix("/").format(hash=spread)
        return device_prefix(device_id, head)

    def check(self) -> None:
        """Raises ValueError for a template or modes that cannot be."""
        names = [part[1] for part in string.Formatter().parse(self.prefix) if part[1] is not None]
        if not self.prefix.endswith("/{device}") or set(names) - {"device", "hash"}:
            raise ValueError(
                "prefix: must end with '/{device}' and may hold '{hash}' before, not "
                f"{self.prefix!r}"
            )
        if names.count("device") != 1:
            raise ValueError(f"prefix: must hold '{{device}}' once, not {self.prefix!r}")
        path_grant(self.prefix_of("a") + "/*", parse_modes(self.modes), "bucket")


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it.

    Attributes:
        database: "sqlite:///ossmedia.db" or "postgresql://user@host/name".
        cache: "" for this process's memory, or "redis://host/0" for what several processes share:
            tokens, the STS budget, and nonces if ``nonces`` says so.
        nonces: "database" or "cache": where used nonces are kept; a cache must then keep its data
            across restarts by itself.
        key_file: the server's key, made by ``ossmedia db upgrade``.
    """

    database: str = _set(_DATABASE, _text, shown=False)
    cache: str = _set("", _text, shown=False)
    nonces: str = _set("database", _text)
    key_file: str = _set(_KEY_FILE, _text)
    http: HttpSettings = HttpSettings()
    sts: StsSettings = StsSettings()
    oss: OssSettings = OssSettings()
    devices: DeviceDefaults = DeviceDefaults()
    page: PageSettings = PageSettings()
    recordings: RecordingSettings = RecordingSettings()
    vod: VodSettings = field(default_factory=VodSettings)

    @classmethod
    def load(cls, path: str | Path, environ: Mapping[str, str] | None = None) -> Settings:
        """Reads a file. File names in it stand relative to its folder.

        Raises:
            OSError: it cannot be read.
            ValueError: naming key, value and what is allowed.
        """
        with Path(path).open("rb") as file:
            try:
                data = tomllib.load(file)
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"{path}: no TOML: {error}") from None
        environ = os.environ if environ is None else environ
        for name in ("database", "cache"):
            if environ.get(f"OSSMEDIA_{name.upper()}"):
                data[name] = environ[f"OSSMEDIA_{name.upper()}"]
        return cls.from_dict(data, Path(path).parent)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], folder: Path = Path()) -> Settings:
        """From the same keys as plain data; see ``load``."""
        tables: dict[str, type[Any]] = {
            "http": HttpSettings,
            "sts": StsSettings,
            "oss": OssSettings,
            "devices": DeviceDefaults,
            "page": PageSettings,
            "recordings": RecordingSettings,
            "vod": VodSettings,
        }
        plain = {name: value for name, value in data.items() if name not in tables}
        values = _checked("", cls, plain, tables)
        for name, kind in tables.items():
            given = data.get(name, {})
            if not isinstance(given, dict):
                raise ValueError(f"{name}: must be a table, [{name}], not {given!r}")
            values[name] = kind(**_checked(f"{name}.", kind, given))
        made = cls(**_placed(values, folder))
        _check_all(made)
        return made


def check_ttl(name: str, value: int) -> int:
    """A life of tokens in seconds that STS can give."""
    return int(_number(LEAST_TTL_S, MOST_TTL_S, int)(name, value))


def _checked(
    where: str, kind: type[Any], data: Mapping[str, Any], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    known = {item.name: item.metadata for item in fields(kind) if "check" in item.metadata}
    for name in data:
        if name not in known:
            names = ", ".join([*known, *(f"[{table}]" for table in more or ())])
            raise ValueError(f"{where}{name}: unknown; known here: {names}")
    return {name: known[name]["check"](where + name, value) for name, value in data.items()}


def _placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative file names, made relative to the settings' folder."""
    values["key_file"] = str(folder / values.get("key_file", _KEY_FILE))
    url = values.get("database", _DATABASE)
    head, mark, name = url.partition(":///")
    if mark and head.startswith("sqlite") and name and not name.startswith("/"):
        url = f"{head}:///{folder / name}"
    return {**values, "database": url}


def _check_all(settings: Settings) -> None:
    """What one value alone cannot tell."""
    if settings.nonces not in ("database", "cache"):
        raise ValueError(f"nonces: must be 'database' or 'cache', not {settings.nonces!r}")
    if settings.cache and not settings.cache.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("cache: must be '' or redis://HOST:PORT/NUMBER")
    if settings.nonces == "cache" and not settings.cache:
        raise ValueError("nonces: 'cache' needs cache = 'redis://...'")
    http, sts, oss = settings.http, settings.sts, settings.oss
    if bool(http.tls_cert) != bool(http.tls_key):
        raise ValueError("http.tls_cert, http.tls_key: only both or none")
    if http.client_cert_header and not http.trusted_proxies:
        raise ValueError("http.client_cert_header: needs http.trusted_proxies")
    if settings.devices.authentication != "hmac" and not http.client_cert_header:
        word = settings.devices.authentication
        raise ValueError(f"devices.authentication: {word!r} needs http.client_cert_header")
    for name, value in (("sts.role_arn", sts.role_arn), ("oss.bucket", oss.bucket)):
        if not value:
            raise ValueError(f"{name}: missing")
    if settings.devices.ttl_s > sts.max_ttl_s:
        raise ValueError(
            f"devices.ttl_s: must be at most sts.max_ttl_s = {sts.max_ttl_s}, not "
            f"{settings.devices.ttl_s}"
        )
    nobody = Credentials("none", "none")
    _named("sts", lambda: TokenIssuer(sts.role_arn, "bucket", credentials=nobody))
    _named("sts", lambda: Address("sts", sts.endpoint, sts.region, region_needed=False))
    _named("oss", lambda: Address(oss.bucket, oss.endpoint, oss.region))
    _check_places(settings)
    _named("devices", settings.devices.check)
    _named("vod", settings.vod.check)


def _check_places(settings: Settings) -> None:
    """Where the server itself goes, and where OSS is told to call."""
    oss = settings.oss
    if oss.server_endpoint:
        try:
            Address(oss.bucket, oss.server_endpoint, oss.region)
        except ValueError as error:
            text = str(error).removeprefix("endpoint: ")
            raise ValueError(f"oss.server_endpoint: {text}") from None
    for name in ("callback_url", "callback_keys_from"):
        _check_url(f"recordings.{name}", getattr(settings.recordings, name))


def _named(table: str, check: Callable[[], object]) -> None:
    """Errors of the library's own checks, with the table's name before the field's."""
    try:
        check()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{table}.{error}") from None
