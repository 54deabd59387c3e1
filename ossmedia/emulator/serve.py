"""A running local cloud, inside this process.

What flows in: a configuration. What flows out: a server in a thread of its own, on a loopback port,
with a temporary or a given data directory, and methods to steer it. It never listens beyond
loopback without explicit access keys, and it leaves nothing behind that it was not told to keep.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from . import buckets as bucket_operations
from .addressing import Addressing
from .app import App
from .callback_key import SIGNED, CallbackKey
from .cloud import Cloud
from .control import Control
from .faults import Counters, Rule
from .identities import ALLOW_ALL, DEFAULT_ACCOUNT, Identities
from .limits import Limits
from .state import Store
from .vod import Vod
from .wire import CloudProtocol

DEFAULT_ROLE = f"acs:ram::{DEFAULT_ACCOUNT}:role/uploader"
_BIG_IDENTITIES = 1024 * 1024


class _Server(uvicorn.Server):
    """uvicorn, saying when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()


class Emulator:
    """OSS, STS and VOD on a local port. Use it as a context manager, or call start and stop.

    Args:
        host: address to listen on; one beyond loopback needs both access key arguments.
        port: 0 for any free one.
        data: directory to keep everything in; None for a temporary one, removed at the end.
        discard: keep lengths and checksums instead of content (for load tests); reading content
            is then answered with 501.
        access_key_id, access_key_secret: of a RAM user who may do everything and assume the role;
            made up when not given, once for each data directory.
        buckets: made at start, if they do not exist.
        role: ARN of the role that may be assumed; it allows everything, session policies narrow it.
        region: without ``oss-``.
        max_session_s: the role's longest session, 3600 to 43200 seconds.
        cnames: customer domain to bucket.
        domains: host names whose sub-domains are buckets, besides localhost and aliyuncs.com.
        tls_cert, tls_key: PEM files; with both the cloud speaks https.

    Raises:
        ValueError: a field that cannot be, by name.
        DirectoryInUse: another process has *data* open.
        OSError: the port cannot be had.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        data: str | Path | None = None,
        discard: bool = False,
        access_key_id: str | None = None,
        access_key_secret: str | None = None,
        buckets: Sequence[str] = (),
        role: str = DEFAULT_ROLE,
        region: str = "cn-hangzhou",
        max_session_s: int = 3600,
        cnames: Mapping[str, str] | None = None,
        domains: Sequence[str] = (),
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
    ) -> None:
        if (access_key_id is None) != (access_key_secret is None):
            raise ValueError("access_key_id and access_key_secret go together")
        if access_key_id is None and not _is_loopback(host):
            raise ValueError(
                f"host {host} is not loopback: access_key_id and access_key_secret must be given"
            )
        if (tls_cert is None) != (tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        self.host, self.region, self.role_arn = host, region, role
        self._made_up = access_key_id is None
        self.access_key_id = access_key_id or "LTAI" + secrets.token_hex(10)
        self.access_key_secret = access_key_secret or secrets.token_urlsafe(22)
        self.buckets = list(buckets)
        self._port, self._data, self._discard = port, data, discard
        self._max_session_s = max_session_s
        self._addressing = Addressing([*domains, host.lower()], dict(cnames or {}))
        self._tls = (str(tls_cert), str(tls_key)) if tls_cert and tls_key else None
        self._temporary: str | None = None
        self._thread: threading.Thread | None = None
        self._saved_revision, self._saved_at = -1, 0.0

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        """Listen; returns when the first request may be sent."""
        listener = _listen(self.host, self._port)
        try:
            self._begin(listener)
        except BaseException:
            listener.close()
            self._clean_up()
            raise
        return self

    def _begin(self, listener: socket.socket) -> None:
        if self._data is None:
            self._temporary = tempfile.mkdtemp(prefix="ossmedia-emulator-")
        store = Store(Path(self._temporary or str(self._data)), discard=self._discard)
        self._store = store
        port = listener.getsockname()[1]
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.endpoint = f"{'https' if self._tls else 'http'}://{name}:{port}"
        key = CallbackKey(f"{self.endpoint}/-/callback_pub_key.pem") if SIGNED else None
        self.cloud = Cloud(
            store,
            self._identities(store),
            self.region,
            self.endpoint,
            addressing=self._addressing,
            callback_key=key,
        )
        self.vod = Vod(self.cloud)
        self._make_buckets()
        self._save_identities()
        self._server = _Server(self._configuration())
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="ossmedia-emulator", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(30):
            raise OSError(f"the local cloud did not start on {self.endpoint} within 30 s")

    def _configuration(self) -> uvicorn.Config:
        control = Control(self.cloud, self._reset_now, self.vod).application()
        config = uvicorn.Config(
            App(self.cloud, control, self._save_identities, self.vod),
            http=CloudProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        if self._tls:
            config.ssl_context_factory = lambda *_: self._tls_context()
        return config

    def _tls_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._tls:
            context.load_cert_chain(*self._tls)
        return context

    def stop(self) -> None:
        """Stop listening and give everything back. Harmless when repeated."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None
            self._save_identities(at_once=True)
        self._clean_up()

    def _clean_up(self) -> None:
        store = getattr(self, "_store", None)
        if store is not None:
            store.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- identities and buckets ------------------------------------------------------------------

    def _identities(self, store: Store) -> Identities:
        text = store.fact("identities")
        identities = Identities.from_json(text) if text else Identities()
        remembered = identities.find_key(store.fact("access_key_id") or "")
        if self._made_up and remembered is not None:
            self.access_key_id, self.access_key_secret = remembered.id, remembered.secret
        store.set_fact("access_key_id", self.access_key_id)
        identities.add_access_key(
            self.access_key_id, self.access_key_secret, kind="user", policies=(ALLOW_ALL,)
        )
        identities.add_role(self.role_arn, max_session_duration=self._max_session_s)
        return identities

    def _save_identities(self, *, at_once: bool = False) -> None:
        """Store keys and sessions when they changed; a very large set at most every 5 seconds."""
        identities = self.cloud.identities
        if identities.revision == self._saved_revision:
            return
        now = time.monotonic()
        if not at_once and now < self._saved_at:
            return
        text = identities.to_json()
        self._saved_at = now + 5 if len(text) > _BIG_IDENTITIES else now
        self._saved_revision = identities.revision
        self._store.set_fact("identities", text)

    def _make_buckets(self) -> None:
        for name in self.buckets:
            if self._store.bucket(name) is None:
                bucket_operations.create(self.cloud, name)

    def _reset_now(self) -> None:
        with self._store.transaction():
            self._store.clear()
            self.vod.reset()
        self.cloud.faults.clear()
        self.cloud.counters = Counters()
        self.cloud.clock.offset_s = 0.0
        self.cloud.limits = Limits()
        self._addressing.cnames.clear()
        self._addressing.forbid_second_level = False
        self._make_buckets()

    # -- what users of it need -------------------------------------------------------------------

    @property
    def sts_endpoint(self) -> str:
        """Where STS answers: the same port."""
        return self.endpoint

    @property
    def vod_endpoint(self) -> str:
        """Where VOD answers: the same port."""
        return self.endpoint

    @property
    def control_endpoint(self) -> str:
        """Where the control API answers."""
        return f"{self.endpoint}/-/control"

    def facts(self) -> dict[str, Any]:
        """What a client has to know, as printed by ``python -m ossmedia.emulator``."""
        return {
            "endpoint": self.endpoint,
            "sts_endpoint": self.sts_endpoint,
            "vod_endpoint": self.vod_endpoint,
            "control_endpoint": self.control_endpoint,
            "access_key_id": self.access_key_id,
            "access_key_secret": self.access_key_secret,
            "region": self.region,
            "buckets": self.buckets,
            "role_arn": self.role_arn,
        }

    @property
    def bucket(self) -> str:
        """The first bucket."""
        return self.buckets[0]

    # -- control ---------------------------------------------------------------------------------

    def fault(self, action: str, **fields: Any) -> Rule:
        """Order a fault; fields as in :class:`ossmedia.emulator.faults.Rule`.

        Returns:
            The rule; ``rule.fired`` tells how often it struck.

        Raises:
            ValueError: a field that is unknown or out of range.
        """
        rule = Rule.from_json({"action": action, **fields})
        self.cloud.faults.add(rule)
        return rule

    def clear_faults(self) -> None:
        """Forget all rules."""
        self.cloud.faults.clear()

    def set_clock(self, offset_s: float) -> None:
        """Move the cloud's time *offset_s* seconds away from the machine's."""
        self.cloud.clock.offset_s = float(offset_s)

    def set_limits(self, **limits: float) -> None:
        """Lower limits, such as ``max_append_size=1048576``."""
        self.cloud.limits.change(limits)

    def counters(self) -> dict[str, Any]:
        """Requests per operation, answers per status, bytes both ways."""
        return self.cloud.counters.to_json()

    def reset_counters(self) -> None:
        """Count from zero."""
        self.cloud.counters = Counters()

    def set_vod(self, **settings: Any) -> None:
        """Change VOD's settings, such as ``ticket_s=3``; fields as in
        :class:`ossmedia.emulator.vod_settings.VodSettings`.

        Raises:
            ValueError: naming the setting.
        """
        self._in_loop(lambda: self.vod.change(settings))

    def reset(self) -> None:
        """Everything as at the start: empty buckets, no media, no faults, the right time."""
        self._in_loop(self._reset_now)

    def _in_loop(self, change: Callable[[], None]) -> None:
        """Run a change between two requests; returns when it is done, or raises as it did."""

        async def run() -> None:
            change()

        asyncio.run_coroutine_threadsafe(run(), self._server.loop).result()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sees TCP, and turns Nagle's delay off.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.set_inheritable(False)
    except BaseException:
        listener.close()
        raise
    return listener
