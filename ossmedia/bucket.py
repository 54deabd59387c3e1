"""A bucket: the entry point. Opens objects as files, uploads, lists, deletes, signs.

In flow names and options, checked before a byte is sent; out flow files and values. It never holds
object bytes itself and never shows a secret.
"""

from __future__ import annotations

import os

from ossmedia.address import Address, check_key
from ossmedia.arguments import between, existing_file, milliseconds
from ossmedia.clock import SYSTEM, chance
from ossmedia.credentials import EnvironmentCredentials, Renewer
from ossmedia.headers import header_lines
from ossmedia.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Literal, NoReturn, Self, overload

    from typing_extensions import Buffer

    from ossmedia.appender import Appender
    from ossmedia.clock import Clock
    from ossmedia.hls import Recorder
    from ossmedia.model import Credentials, ObjectStat, Receipt
    from ossmedia.reader import Reader
    from ossmedia.retry import Retry
    from ossmedia.spool import Spool
    from ossmedia.spool_writer import SpoolWriter
    from ossmedia.writer import Writer

    Opened = Reader | Writer | SpoolWriter | Appender

__all__ = ["Bucket"]

MODES = ("rb", "wb", "xb", "ab")
MIB, LARGEST_BLOCK, LONGEST_URL_S = 1 << 20, 1 << 30, 604_800
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")


class Bucket:
    """One bucket of OSS.

    Args:
        name: 3-63 of a-z, 0-9 and "-".
        endpoint: host with an optional port; https unless it begins with "http://". "": by region.
        region: e.g. "cn-hangzhou"; needed for V4 unless the endpoint tells it.
        credentials: ``Credentials``, or a callable that returns them and is asked again before they
            end; None: the environment's (``EnvironmentCredentials``).
        path_style, cname, internal, accelerate: see ``ossmedia.address.Address``.
        signature: "v4", or "v1".
        ca_file: PEM file of the authorities to trust instead of the system's.
        proxy: "http://host:port"; the environment is never asked.
        connect_timeout_s: for name, connect and TLS together. io_timeout_s: without a byte moving.
            total_timeout_s: one request, from its beginning to its end.
        retry: waiting times; None: ``Retry()``. clock: see ``ossmedia.clock.Clock``.
        block_size: bytes of one block of a writer, 102,400 to 1 GiB. blocks: how many a writer has,
            2-1024. parallel: parts sent at once. A writer's memory is block_size * blocks.
        verify_crc: an answer without CRC-64 counts as not stored.
        harden: this process dumps no core any more, and only root may look into its memory.
        spool: what is written goes to the disk first, and to OSS from there; see ``Spool``.

    Raises:
        TypeError, ValueError: naming the field and its limit. FileNotFoundError: ca_file.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: str = "",
        region: str = "",
        credentials: Credentials | Callable[[], Credentials] | None = None,
        path_style: bool = False,
        cname: bool = False,
        internal: bool = False,
        accelerate: bool = False,
        signature: str = "v4",
        ca_file: str | os.PathLike[str] = "",
        proxy: str = "",
        connect_timeout_s: float = 10.0,
        io_timeout_s: float = 20.0,
        total_timeout_s: float = 300.0,
        retry: Retry | None = None,
        clock: Clock = SYSTEM,
        block_size: int = MIB,
        blocks: int = 4,
        parallel: int = 2,
        verify_crc: bool = True,
        harden: bool = False,
        spool: Spool | None = None,
    ) -> None:
        if signature not in ("v4", "v1"):
            raise ValueError(f'signature: must be "v4" or "v1", not {signature!r}')
        self._address = Address(
            name,
            endpoint,
            region,
            path_style=path_style,
            cname=cname,
            internal=internal,
            accelerate=accelerate,
            region_needed=signature == "v4",
        )
        provider = EnvironmentCredentials() if credentials is None else credentials
        renewer = Renewer(provider, clock, chance)
        limits = {
            "connect_timeout_ms": milliseconds("connect_timeout_s", connect_timeout_s),
            "io_timeout_ms": milliseconds("io_timeout_s", io_timeout_s),
            "total_timeout_ms": milliseconds("total_timeout_s", total_timeout_s),
        }
        self._writing = {
            "block_size": between("block_size", block_size, 102_400, LARGEST_BLOCK),
            "blocks": between("blocks", blocks, 2, 1024),
            "parallel": between("parallel", parallel, 1, 64),
        }
        from ossmedia._native import Store
        from ossmedia.put import body_of, plain_put, put_object

        self._store = Store(
            endpoint=self._address.endpoint,
            bucket=self._address.bucket,
            region=self._address.region,
            address=self._address.style,
            signature=int(signature[1]),
            ca_file=existing_file("ca_file", ca_file),
            proxy=proxy,
            verify_crc=verify_crc,
            harden=harden,
            **limits,
        )
        self._verify_crc = verify_crc
        self._closed = False
        self._session = Session(self._store, renewer, retry, clock, chance)
        self._spool = spool
        self._plain = plain_put(self._session) if spool is None else None
        self._body_of, self._put_object = body_of, put_object  # once: import statements are dear
        if spool is not None:
            spool.attach(self.name, self._session, parallel, verify_crc)

    @property
    def name(self) -> str:
        return self._address.bucket

    @property
    def endpoint(self) -> str:
        """With scheme, e.g. "https://oss-cn-hangzhou.aliyuncs.com"."""
        return self._address.endpoint

    @property
    def region(self) -> str:
        return self._address.region

    if TYPE_CHECKING:

        @overload
        def open(self, key: str, mode: Literal["rb"] = "rb", **options: Any) -> Reader: ...

        @overload
        def open(
            self, key: str, mode: Literal["ab"], *, buffering: Literal[0], **options: Any
        ) -> Appender: ...

        @overload
        def open(
            self, key: str, mode: Literal["wb", "xb", "ab"], **options: Any
        ) -> Writer | SpoolWriter: ...

        @overload
        def open(self, key: str, mode: str, **options: Any) -> Opened: ...

    def open(self, key: str, mode: str = "rb", **options: Any) -> Opened:
        """An object as a binary file.

        Args:
            key: 1-1023 bytes of UTF-8.
            mode: "rb" reads by ranges; "wb" replaces the object; "xb" creates it and never
                overwrites; "ab" appends, the object can be read while it grows.
            options: for "rb" block_size (see ``Reader``); for the others content_type, metadata,
                headers (of the object) and those of ``Writer`` (block_size, blocks, parallel,
                linger_s, write_timeout_s, on_error, append_limit, on_full, ...); for "ab" also
                buffering=0: each write is one request and stored when it returns (``Appender``).

        Raises:
            TypeError, ValueError: naming the field. NotFound, AccessDenied, ...: "rb" asks at once.
        """
        self._check()
        check_key(key)
        if mode not in MODES:
            raise ValueError(f'mode: must be "rb", "wb", "xb" or "ab", not {mode!r}')
        if mode == "rb":
            from ossmedia.reader import Reader

            return Reader(self._session, key, **{"verify_crc": self._verify_crc, **options})
        pop = options.pop
        lines = header_lines(pop("content_type", ""), pop("metadata", None), pop("headers", None))
        if "buffering" in options:
            from ossmedia.appender import unbuffered

            return unbuffered(self._session, key, mode, self._spool, headers=lines, **options)
        options = {"headers": lines, **self._writing, **options}
        if self._spool is not None:
            return self._spool.open(self.name, key, mode, **options)
        from ossmedia.writer import Writer

        return Writer(self._session, key, mode, **options)

    def upload(
        self,
        path: str | os.PathLike[str],
        key: str,
        *,
        progress: Callable[[int, int], object] | None = None,
        overwrite: bool = True,
        content_type: str = "",
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Receipt | None:
        """Stores a local file.

        Args:
            path: a regular file. It must not change meanwhile; if it does, nothing is stored.
            progress: called with bytes done and bytes in all; "done" never falls, and ends at "all"
                once, when OSS has confirmed everything.
            overwrite: False: an object that is there stays, ObjectExists is raised.
            content_type, metadata, headers: of the object.

        Returns:
            What OSS confirmed; None while a spool alone has it, on stable storage.

        Raises:
            OSError: the file cannot be read, or changed. ObjectTooLarge: above 9.7 TiB.
        """
        from ossmedia.upload import copy_file, store_file

        self._check()
        if self._spool is None:
            check_key(key)
            lines = header_lines(content_type, metadata, headers)
            how = self._writing
            return store_file(self._session, path, key, progress, overwrite, lines, **how)
        named = {"content_type": content_type, "metadata": metadata, "headers": headers}
        mode: Literal["wb", "xb"] = "wb" if overwrite else "xb"
        least = self._writing["block_size"]
        return copy_file(path, lambda **how: self.open(key, mode, **named, **how), least, progress)

    def put(
        self,
        key: str,
        data: Buffer,
        *,
        content_type: str = "",
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        overwrite: bool = True,
        replaceable: bool = False,
        timeout_s: float | None = None,
    ) -> Receipt | None:
        """Stores bytes in memory with one PutObject; see ``ossmedia.put.put_object``. None with a
        spool: it has them on stable storage; see ``Spool.put`` for ``replaceable``.

        Args:
            data: at most 5 GiB, read in place. content_type, metadata, headers: of the object.
            overwrite: False: an object that is there stays, ObjectExists is raised.
            timeout_s: tries go on for so long; None: for ``Retry.attempts`` tries.
        """
        named = content_type or metadata or headers
        if not named and overwrite and timeout_s is None and type(data) is bytes and self._plain:
            receipt = self._plain(key, data)
            if receipt is not None:
                return receipt
        if self._closed or self._spool is not None:
            self._check()
        lines = header_lines(content_type, metadata, headers) if named else ""
        if timeout_s is not None:
            milliseconds("timeout_s", timeout_s)
        check_key(key)
        body = data if type(data) is bytes and len(data) < MIB else self._body_of(data)
        if self._spool is None:
            return self._put_object(self._session, key, body, lines, overwrite, timeout_s)
        how: dict[str, Any] = {"overwrite": overwrite, "timeout_s": timeout_s, "headers": lines}
        self._spool.put(self.name, key, body, replaceable=replaceable, **how)
        return None

    def record_hls(self, prefix: str, mode: str = "live", **options: Any) -> Recorder:
        """Records frames as HLS below ``prefix``; see ``ossmedia.hls.Recorder`` for the options."""
        from ossmedia.hls import Recorder

        self._check()
        return Recorder(self, self._session, self._spool, prefix, mode, **options)

    def stat(self, key: str) -> ObjectStat:
        """What OSS says of an object. Needs oss:GetObject.

        Raises:
            NotFound: there is none.
        """
        from ossmedia.reader import stat_object

        self._check()
        return stat_object(self._session, check_key(key))

    def list(
        self, prefix: str = "", delimiter: str | None = None, *, page_size: int = 1000
    ) -> Iterator[ObjectStat]:
        """All objects whose keys begin with ``prefix``, in the order of their keys, page by page.

        Args:
            delimiter: usually "/": keys that hold it behind the prefix come as one row of type
                "Prefix".
            page_size: rows asked for at once, 1-1000.

        Raises:
            AccessDenied, ProtocolError and other OssMediaError, while iterating.
        """
        self._check()
        if prefix:
            check_key(prefix)
        if delimiter is not None and delimiter != "":
            check_key("x" + delimiter)
        between("page_size", page_size, 1, 1000)
        from ossmedia.listing import rows

        def ask(query: str, room: memoryview) -> int:
            self._check()
            return self._session.call("GET", "", query, out=room).body_len

        return rows(ask, prefix, delimiter or "", page_size)

    def delete(self, key: str) -> None:
        """Deletes an object; no error if there is none."""
        self._check()
        self._session.call("DELETE", check_key(key))

    def presign(
        self,
        key: str,
        method: str = "GET",
        expires_s: int = 3600,
        *,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """A URL that allows one kind of request without credentials. It is a secret while it lives.

        Args:
            method: GET, HEAD, PUT, POST or DELETE.
            expires_s: 1-604,800 seconds; one signed with a token ends with the token, if that is
                earlier.
            content_type, headers: signed; the request must send them alike.

        Raises:
            ValueError: naming the field and its limit. CredentialsError: there are none.
        """
        self._check()
        check_key(key)
        if method not in _METHODS:
            raise ValueError(f"method: must be one of {', '.join(_METHODS)}, not {method!r}")
        between("expires_s", expires_s, 1, LONGEST_URL_S)
        lines = header_lines(content_type, None, headers)
        self._session.prepare()
        return self._store.sign_url(method, key, "", lines, expires_s)

    def stats(self) -> dict[str, int]:
        """Counted so far: requests (repeats included), connections, bytes_sent, bytes_received."""
        self._check()
        return self._store.stats()

    def close(self) -> None:
        """Ends the use of the bucket; close its files first. Doing it twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._session.check_process()
        except ValueError:
            return  # the connections are the parent's
        if self._spool is None or self._spool.detach(self.name):
            self._store.close()

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, endpoint={self.endpoint!r}, region={self.region!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Bucket cannot be pickled: it holds connections and credentials")

    def _check(self) -> None:
        if self._closed:
            raise ValueError("the bucket is closed")
        self._session.check_process()
