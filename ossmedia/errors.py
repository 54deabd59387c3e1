"""Every exception of ossmedia, and the one table that makes them from a service's answer.

Each is also the builtin that a Python user expects::

    OssMediaError (OSError)
    |-- NetworkError (ConnectionError)      no answer: DNS, connect, reset
    |   |-- RequestTimeout (TimeoutError)   no answer in time
    |   `-- TlsError                        certificate refused, or no TLS library; never retried
    |-- ProtocolError                       an answer that breaks HTTP or OSS's rules
    |-- IntegrityError                      OSS holds other bytes than were sent
    |-- ServiceError                        an answer with an error: .status .code .request_id .ec
    |   |-- AccessDenied (PermissionError)
    |   |   |-- CredentialsExpired          renewed by ossmedia itself; seen only when renewal fails
    |   |   `-- ClockSkew                   corrected by ossmedia itself; seen only when that fails
    |   |-- NotFound (FileNotFoundError)
    |   |-- Conflict                        409: the object's state forbids it
    |   |   `-- ObjectExists (FileExistsError)
    |   |-- PreconditionFailed              412: the object changed
    |   |-- Unavailable                     408, 429, 5xx: worth another try
    |   `-- CallbackFailed                  203: the object is stored, its callback failed
    |-- CredentialsError (PermissionError)  a provider raised, or gave rubbish
    |-- StreamBroken (BrokenPipeError)      a writer gave up; __cause__ says why
    |-- MediaError (ValueError)             an access unit or audio frame that is refused
    |-- SpoolError                          the spool's directory or its disk
    |   |-- SpoolBusy                       another process owns the directory
    |   `-- SpoolFull (BlockingIOError)     no room; nothing is lost but what was not taken
    `-- ObjectTooLarge (OSError)            more bytes than OSS (or the block size) allows

Wrong arguments are ``ValueError`` and ``TypeError``, a call a stream cannot do is
``io.UnsupportedOperation``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AccessDenied",
    "CallbackFailed",
    "ClockSkew",
    "Conflict",
    "CredentialsError",
    "CredentialsExpired",
    "IntegrityError",
    "MediaError",
    "NetworkError",
    "NotFound",
    "ObjectExists",
    "ObjectTooLarge",
    "OssMediaError",
    "PreconditionFailed",
    "ProtocolError",
    "RequestTimeout",
    "ServiceError",
    "SpoolBusy",
    "SpoolError",
    "SpoolFull",
    "StreamBroken",
    "TlsError",
    "Unavailable",
    "service_error",
]


class OssMediaError(OSError):
    """Base of all. ``retryable`` says whether the same call may succeed later; ``maybe_done``
    whether the request may have taken effect although no good answer came; ``retry_after_s`` is the
    service's own wish, or None."""

    retryable = False

    def __init__(
        self,
        message: str = "",
        *,
        retryable: bool | None = None,
        maybe_done: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable
        self.maybe_done = maybe_done
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's own way calls the class with positional arguments only; the fields travel as
        # state.
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(
    cls: type[OssMediaError], args: tuple[Any, ...], state: dict[str, Any]
) -> OssMediaError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class NetworkError(OssMediaError, ConnectionError):
    """No answer: name resolution, connect, reset, or a connection that ended early."""

    retryable = True


class RequestTimeout(NetworkError, TimeoutError):
    """No answer in time; no byte moved for ``io_timeout_s``, or the whole exchange took too
    long."""


class TlsError(NetworkError):
    """The peer's certificate was refused, or no usable TLS library was found. Final."""

    retryable = False


class ProtocolError(OssMediaError):
    """The answer breaks HTTP or OSS's rules, or holds more bytes than were asked for."""

    retryable = True


class IntegrityError(OssMediaError):
    """CRC-64 of what OSS holds differs from what was written."""

    retryable = True


class CredentialsError(OssMediaError, PermissionError):
    """A credentials provider raised, or returned something that is no valid ``Credentials``."""

    retryable = True


class StreamBroken(OssMediaError, BrokenPipeError):
    """A writer gave up; ``__cause__`` holds the last error. Raised by the next write, sync or
    close."""


class MediaError(OssMediaError, ValueError):
    """An access unit, audio frame or setting of a recording that no player could use; it was
    refused, and a recording goes on with the next good one."""


class SpoolError(OssMediaError):
    """The spool's directory cannot be used, or its disk failed."""


class SpoolBusy(SpoolError):
    """Another process owns the spool's directory."""


class SpoolFull(SpoolError, BlockingIOError):
    """The spool has no room, and its policy does not make any. ``characters_written`` bytes were
    taken; what was taken stays."""

    characters_written = 0


class ObjectTooLarge(OssMediaError):
    """The object would pass a limit: 5 GiB when appended, 10,000 parts of one block each
    otherwise."""


class ServiceError(OssMediaError):
    """The service answered with an error.

    Attributes: ``status`` (HTTP), ``code`` ("NoSuchKey"; "BadErrorResponse" when the body was not
    the service's XML or JSON), ``message``, ``request_id``, ``ec`` (OSS's extended code, for
    diagnosis only).
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        ec: str = "",
        retryable: bool | None = None,
        maybe_done: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(
            message, retryable=retryable, maybe_done=maybe_done, retry_after_s=retry_after_s
        )
        self.status = status
        self.code = code
        self.request_id = request_id
        self.ec = ec

    def __str__(self) -> str:
        text = f"{self.code or 'error'} (HTTP {self.status}): {super().__str__()}"
        if self.request_id:
            text += f" [request id {self.request_id}]"
        if self.ec:
            text += f" [EC {self.ec}]"
        return text


class AccessDenied(ServiceError, PermissionError):
    """401, 403: the credentials do not allow it."""


class CredentialsExpired(AccessDenied):
    """The token is past its end, or is not the key's."""

    retryable = True


class ClockSkew(AccessDenied):
    """The request's time is more than 15 minutes off; ``server_time`` is the service's, in seconds
    since 1970."""

    retryable = True
    server_time = 0


class NotFound(ServiceError, FileNotFoundError):
    """404: no such bucket, key or upload."""


class Conflict(ServiceError):
    """409: the object's present state forbids it, e.g. ObjectNotAppendable."""


class ObjectExists(Conflict, FileExistsError):
    """409 FileAlreadyExists: ``xb`` never overwrites. (An object with the very same bytes counts as
    stored: it may be what an earlier try left.)"""


class PreconditionFailed(ServiceError):
    """412: the object is not the one that was named (its ETag changed)."""


class Unavailable(ServiceError):
    """408, 429, 5xx and delivery failures: the same call may succeed later."""

    retryable = True


class CallbackFailed(ServiceError):
    """203: the object is stored, but the callback server did not answer as it should."""


_BY_CODE: dict[str, type[ServiceError]] = {
    "SecurityTokenExpired": CredentialsExpired,
    "InvalidSecurityToken": CredentialsExpired,
    "InvalidSecurityToken.Expired": CredentialsExpired,
    "InvalidSecurityToken.MismatchWithAccessKey": CredentialsExpired,
    "AccessKeyIdAndSecurityTokenNotMatch": CredentialsExpired,
    "RequestTimeTooSkewed": ClockSkew,
    "FileAlreadyExists": ObjectExists,
    "ObjectAlreadyExists": ObjectExists,
    "RequestTimeout": Unavailable,
    "BadRequest": Unavailable,
    "InvalidDigest": Unavailable,
}
_BY_STATUS: dict[int, type[ServiceError]] = {
    203: CallbackFailed,
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    412: PreconditionFailed,
    424: Unavailable,
    429: Unavailable,
}
# STS and VOD answer 400 or 404 to a wrong key, where OSS says 403.
_REFUSED = (
    *("InvalidAccessKeyId", "InvalidAccessKeySecret"),
    *("InvalidSecurityToken", "SignatureDoesNotMatch"),
)


def _class_for(status: int, code: str, temporary: bool) -> type[ServiceError]:
    if temporary and code == "InvalidAccessKeyId":
        return CredentialsExpired
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status >= 500 or code.startswith("Throttling"):
        return Unavailable
    if code.startswith(_REFUSED):
        return AccessDenied
    return _BY_STATUS.get(status, ServiceError)


def service_error(
    status: int,
    code: str,
    message: str,
    *,
    request_id: str = "",
    ec: str = "",
    temporary: bool = False,
    maybe_done: bool = False,
    retry_after_s: float | None = None,
) -> ServiceError:
    """The exception for a service's error answer; one table for OSS, STS and VOD.

    Args:
        temporary: the request carried a security token, so an unknown access key id means an
        expired one.
    """
    cls = _class_for(status, code, temporary)
    return cls(
        message,
        status=status,
        code=code,
        request_id=request_id,
        ec=ec,
        maybe_done=maybe_done,
        retry_after_s=retry_after_s,
    )
