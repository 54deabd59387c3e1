"""Camera video into Alibaba Cloud OSS under temporary credentials.

The public names. Each is loaded on first use, so that a camera pays only for what it uses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia._native import crc64, crc64_combine
    from ossmedia.app_server import AppServerCredentials
    from ossmedia.bucket import Bucket
    from ossmedia.credentials import EnvironmentCredentials, StaticCredentials
    from ossmedia.errors import (
        AccessDenied,
        CallbackFailed,
        ClockSkew,
        Conflict,
        CredentialsError,
        CredentialsExpired,
        IntegrityError,
        NetworkError,
        NotFound,
        ObjectExists,
        ObjectTooLarge,
        OssMediaError,
        PreconditionFailed,
        ProtocolError,
        RequestTimeout,
        ServiceError,
        StreamBroken,
        TlsError,
        Unavailable,
    )
    from ossmedia.model import Credentials, Generation, ObjectStat, Receipt
    from ossmedia.reader import Reader
    from ossmedia.retry import Retry
    from ossmedia.ticket import UploadTicket
    from ossmedia.writer import Writer

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AppServerCredentials",
    "Bucket",
    "CallbackFailed",
    "ClockSkew",
    "Conflict",
    "Credentials",
    "CredentialsError",
    "CredentialsExpired",
    "EnvironmentCredentials",
    "Generation",
    "IntegrityError",
    "NetworkError",
    "NotFound",
    "ObjectExists",
    "ObjectStat",
    "ObjectTooLarge",
    "OssMediaError",
    "PreconditionFailed",
    "ProtocolError",
    "Reader",
    "Receipt",
    "RequestTimeout",
    "Retry",
    "ServiceError",
    "StaticCredentials",
    "StreamBroken",
    "TlsError",
    "Unavailable",
    "UploadTicket",
    "Writer",
    "__version__",
    "crc64",
    "crc64_combine",
]

_HOMES = {
    "AppServerCredentials": "app_server",
    "Bucket": "bucket",
    "Credentials": "model",
    "EnvironmentCredentials": "credentials",
    "Generation": "model",
    "ObjectStat": "model",
    "Reader": "reader",
    "Receipt": "model",
    "Retry": "retry",
    "StaticCredentials": "credentials",
    "UploadTicket": "ticket",
    "Writer": "writer",
    "crc64": "_native",
    "crc64_combine": "_native",
}  # every other public name is an error


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ossmedia' has no attribute {name!r}")
    home = __import__(f"ossmedia.{_HOMES.get(name, 'errors')}", fromlist=[name])
    value: object = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
