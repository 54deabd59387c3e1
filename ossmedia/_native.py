"""The border: the only module that sees the C core (``_core``), and the only place where a C code
becomes an exception.

Python values go in, Python values or ``errors`` come out. It never retries, renews, waits or logs.
"""

from __future__ import annotations

from ossmedia import answer, errors, process
from ossmedia._core import ffi, lib
from ossmedia.answer import FIELDS, Answer
from ossmedia.libssl import libssl_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from typing_extensions import Buffer

    from ossmedia.model import Credentials

__all__ = [
    "ADDRESS_CNAME",
    "ADDRESS_HOST",
    "ADDRESS_PATH",
    "Handle",
    "Store",
    "c_text",
    "call",
    "crc64",
    "crc64_combine",
    "raise_error",
    "text_of",
    "version",
]

ADDRESS_HOST, ADDRESS_PATH, ADDRESS_CNAME = 0, 1, 2

_NO_BODY = ffi.NULL
_METHODS = {name: name.encode() for name in ("GET", "HEAD", "PUT", "POST", "DELETE")}
# Looked up once: a small request notices each look.
_exchange, put_call = lib.om_store_exchange, lib.om_store_put
_errors: list[Any] = []  # memory for them, used again
_encode = str.encode
_unpack, _FIELDS_SIZE = FIELDS.unpack_from, FIELDS.size


def text_of(field: Any) -> str:
    return str(ffi.string(field).decode("utf-8", "replace"))


def _service(err: Any, message: str) -> errors.ServiceError:
    retry_after = err.retry_after_s
    error = errors.service_error(
        err.http_status,
        text_of(err.oss_code),
        message,
        request_id=text_of(err.request_id),
        ec=text_of(err.ec),
        temporary=err.code == lib.OM_E_EXPIRED,
        maybe_done=bool(err.maybe_done),
        retry_after_s=None if retry_after < 0 else float(retry_after),
    )
    if isinstance(error, errors.ClockSkew):
        error.server_time = err.server_time
    return error


def raise_error(code: int, err: Any) -> NoReturn:
    """Turns a negative code into its exception; the one converter."""
    message = text_of(err.message)
    if code in (lib.OM_E_ARG, lib.OM_E_STATE):
        raise (ValueError if code == lib.OM_E_ARG else answer.StreamBusy)(message)
    if code == lib.OM_E_NOMEM:
        raise MemoryError(message)
    if code in (lib.OM_E_SERVICE, lib.OM_E_EXPIRED, lib.OM_E_CLOCK):
        raise _service(err, message)
    cls = {
        lib.OM_E_NETWORK: errors.NetworkError,
        lib.OM_E_TIMEOUT: errors.RequestTimeout,
        lib.OM_E_TLS: errors.TlsError,
        lib.OM_E_CRC: errors.IntegrityError,
        lib.OM_E_PROTOCOL: errors.ProtocolError,
        lib.OM_E_FOREIGN: answer.StreamForeign,
        lib.OM_E_FULL: answer.StreamFull,
        lib.OM_E_FILE: answer.FileLost,
    }.get(code, errors.OssMediaError)
    raise cls(message, maybe_done=bool(err.maybe_done))


def c_text(what: str, text: str) -> bytes:
    """UTF-8 for C. A NUL would silently end the text there, so it is refused here."""
    if not isinstance(text, str):
        raise TypeError(f"{what}: must be str, not {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"{what}: must not contain NUL")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}: must be valid Unicode, it has a lone surrogate") from None


def call(function: Any, *arguments: Any) -> int:
    """Calls C with error memory of its own as the last argument; the code, if it is no error."""
    try:
        err = _errors.pop()
    except IndexError:
        err = ffi.new("om_error *")
    code = int(function(*arguments, err))
    if code < 0:
        raise_error(code, err)
    _errors.append(err)
    return code


def version() -> str:
    """The C core's version."""
    return text_of(lib.om_version())


def crc64(data: Buffer, crc: int = 0) -> int:
    """CRC-64/XZ of `data`, going on from `crc`; what OSS calls x-oss-hash-crc64ecma."""
    view = ffi.from_buffer(data)
    return int(lib.om_crc64(crc, view, len(view)))


def crc64_combine(crc_a: int, crc_b: int, len_b: int) -> int:
    """CRC-64 of A followed by B from both CRCs and B's length in bytes."""
    return int(lib.om_crc64_combine(crc_a, crc_b, len_b))


def _memory() -> tuple[Any, Any, Any]:
    """For one exchange: an answer, a window on its bytes, an error."""
    filled = ffi.new("om_answer *")
    return filled, ffi.buffer(filled), ffi.new("om_error *")


def put_memory() -> tuple[Any, Any]:
    """For one put: an om_put, and a window on what ``model.stored`` takes."""
    put = ffi.new("om_put *")
    told = ffi.addressof(put.answer, "sent_len")
    size = ffi.sizeof("om_answer") - ffi.offsetof("om_answer", "sent_len")
    return put, ffi.buffer(told, size)


class Handle:
    """What Store and Stream share: a C handle that belongs to the process that made it.

    Not ffi.gc's: of objects in a cycle the collector finishes any first, and a finaliser that
    comes later must find the handle gone, not freed.
    """

    _what = ""
    _free: Any  # the C function

    def __init__(self) -> None:
        self._handle: Any = None
        self._forks = process.forks

    def handle(self) -> Any:
        if self._handle is None:
            raise ValueError(f"{self._what} is closed")
        if self._forks != process.forks:
            raise ValueError(
                f"{self._what} belongs to the process that made it: open a new one after fork()"
            )
        return self._handle

    def close(self) -> None:
        """Frees the handle; idempotent. No other call may be under way."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._free(handle)

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            self._handle = None
            self._free(handle)

    def __reduce__(self) -> Any:
        raise TypeError(f"{self._what} cannot be pickled")


class Store(Handle):
    """One bucket at one endpoint. Any thread may use it; a child after fork() may not.

    Args:
        endpoint: "https://oss-cn-hangzhou.aliyuncs.com", without the bucket.
        ca_file: PEM file of the only authorities to trust; "" for the system's.
        proxy: "http://host:port" for CONNECT; "" for none.
        verify_crc: an answer without OSS's CRC-64 does not count as stored.
        harden: no core dump of this process any more; only root may look into its memory.

    Raises:
        ValueError: naming the field and its limit.
    """

    _what = "bucket"
    _free = lib.om_store_free

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        region: str,
        address: int = ADDRESS_HOST,
        signature: int = 4,
        ca_file: str = "",
        proxy: str = "",
        connect_timeout_ms: int = 10_000,
        io_timeout_ms: int = 20_000,
        total_timeout_ms: int = 300_000,
        verify_crc: bool = True,
        harden: bool = False,
    ) -> None:
        super().__init__()
        texts = {
            "endpoint": endpoint,
            "bucket": bucket,
            "region": region,
            "ca_file": ca_file,
            "proxy": proxy,
            "tls_library": libssl_hint() if endpoint.startswith("https") else "",
        }
        held = {name: ffi.new("char[]", c_text(name, text)) for name, text in texts.items()}
        config = ffi.new("om_config *", held)
        config.product = ffi.NULL
        config.address = address
        config.signature = signature
        config.connect_timeout_ms = connect_timeout_ms
        config.io_timeout_ms = io_timeout_ms
        config.total_timeout_ms = total_timeout_ms
        config.verify_crc = verify_crc
        config.harden = harden
        out = ffi.new("om_store **")
        call(lib.om_store_new, out, config)
        self._handle = out[0]
        # Memory for one exchange, one put each; pop and append are atomic.
        self._spare: list[tuple[Any, Any, Any]] = []
        self.spare_puts: list[tuple[Any, Any]] = []
        self._token_size = 0

    def set_credentials(self, credentials: Credentials) -> None:
        """Replaces all fields together; exchanges under way keep the old ones."""
        names = ("access_key_id", "access_key_secret", "security_token")
        held = [ffi.new("char[]", c_text(name, getattr(credentials, name))) for name in names]
        self._token_size = len(credentials.security_token)
        try:
            call(lib.om_store_set_credentials, self.handle(), ffi.new("om_credentials *", held))
        finally:
            for memory in held:
                ffi.buffer(memory)[:] = bytes(len(memory))

    def set_clock(self, seconds_ahead: int) -> None:
        """How far OSS's clock is ahead of this machine's; for signing only."""
        lib.om_store_set_clock(self.handle(), seconds_ahead)

    def sign_url(self, method: str, key: str, query: str, headers: str, expires_s: int) -> str:
        """A presigned URL; it holds the token, so it is a secret."""
        named = {"method": method, "key": key, "query": query, "headers": headers}
        texts = [c_text(name, text) for name, text in named.items()]
        # Percent-encoding triples at most; the token is the part without a limit.
        size = 4096 + 3 * (sum(map(len, texts)) + self._token_size)
        out = ffi.new("char[]", size)
        call(lib.om_store_sign_url, self.handle(), *texts, expires_s, out, size)
        return text_of(out)

    def put(self, key: str, headers: str, body: Buffer, out: Buffer | None = None) -> bytes:
        """One PutObject, as ``transfer`` makes it, whose CRC-64 OSS confirmed; for callers that
        know they are in no child. Returns what ``model.stored`` takes.

        Raises:
            errors.OssMediaError: see errors.py; ValueError, TypeError: a field that must not go
                out.
        """
        handle = self._handle or self.handle()  # which says what is wrong
        key_c = _encode(key)
        # Behind the bytes of a bytes object stands a NUL.
        lines = ffi.from_buffer(c_text("headers", headers)) if headers else None
        plain = type(body) is bytes
        body_c: Any = body if plain else ffi.from_buffer(body)
        out_c = None if out is None else ffi.from_buffer(out, require_writable=True)
        try:
            memory = self.spare_puts.pop()
        except IndexError:
            memory = put_memory()
        put, window = memory
        try:
            if lines is not None:
                put.headers = lines
            if out_c is not None:
                put.out, put.out_size = out_c, len(out_c)
            rc = put_call(handle, key_c, len(key_c), body_c, len(body_c), put)
            if rc < 0:
                raise_error(rc, put.err)
            told: bytes = window[:rc]
            return told
        finally:
            if lines is not None:
                put.headers = ffi.NULL
            if out_c is not None:
                put.out, put.out_size = ffi.NULL, 0
                ffi.release(out_c)
            self.spare_puts.append(memory)
            if not plain:  # why: see ``transfer``
                ffi.release(body_c)

    def exchange(self, *request: Any, **rest: Any) -> Answer:
        """One signed request and its answer; takes what ``transfer`` takes."""
        return Answer(*self.transfer(*request, **rest))

    def transfer(
        self,
        method: str,
        key: str,
        query: str = "",
        headers: str = "",
        body: Buffer = b"",
        out: Buffer | None = None,
    ) -> tuple[tuple[Any, ...], bytes]:
        """One signed request; never repeated here. Returns what ``Answer`` is made of.

        Args:
            query: percent-encoded, "append&position=5".
            headers: "Name: value\\n" lines.
            body: read in place.
            out: writable memory for the body of a 2xx answer; a longer body is a ProtocolError.

        Raises:
            errors.OssMediaError: see errors.py; ValueError: a field that must not go out.
        """
        handle, spare = self._handle, self._spare
        if handle is None or self._forks != process.forks:
            handle = self.handle()  # says what is wrong
        try:
            memory = spare.pop()
        except IndexError:
            memory = _memory()
        filled, window, err = memory
        # cffi takes bytes as they are, at a third of the price of from_buffer.
        body_c = body if type(body) is bytes else ffi.from_buffer(body)
        out_c = _NO_BODY if out is None else ffi.from_buffer(out, require_writable=True)
        try:
            rc = _exchange(
                handle,
                _METHODS.get(method) or c_text("method", method),
                c_text("key", key) if key else b"",
                c_text("query", query) if query else b"",
                c_text("headers", headers) if headers else b"",
                body_c,
                len(body_c),
                out_c,
                0 if out is None else len(out_c),
                filled,
                err,
            )
            if rc < 0:
                raise_error(rc, err)
            fields = _unpack(window)
            return fields, window[_FIELDS_SIZE : _FIELDS_SIZE + fields[6]]
        finally:
            spare.append(memory)
            # A raised error's traceback keeps these alive, and CPython 3.11's collector crashes on
            # a memoryview and a cffi view of it in one cycle.
            if type(body) is not bytes:
                ffi.release(body_c)
            if out is not None:
                ffi.release(out_c)

    def stats(self) -> dict[str, int]:
        """Counters since the start: requests, connections, bytes_sent, bytes_received."""
        out = ffi.new("om_store_stats *")
        lib.om_store_get_stats(self.handle(), out)
        names = ("requests", "connections", "bytes_sent", "bytes_received")
        return {name: getattr(out, name) for name in names}

    def drop_connections(self) -> None:
        """Closes idle connections."""
        lib.om_store_drop_connections(self.handle())
