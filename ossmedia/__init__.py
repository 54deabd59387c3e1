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
        MediaError,
        NetworkError,
        NotFound,
        ObjectExists,
        ObjectTooLarge,
        OssMediaError,
        PreconditionFailed,
        ProtocolError,
        RequestTimeout,
        ServiceError,
        SpoolBusy,
        SpoolError,
        SpoolFull,
        StreamBroken,
        TlsError,
        Unavailable,
    )
    from ossmedia.hls import Recorder
    from ossmedia.hls_keys import SegmentKey
    from ossmedia.model import Credentials, Generation, ObjectStat, Receipt
    from ossmedia.reader import Reader
    from ossmedia.report import AppServerReports
    from ossmedia.retry import Retry
    from ossmedia.spool import Spool
    from ossmedia.spool_values import Delivered, SpoolStatus, Tombstone
    from ossmedia.ticket import UploadTicket
    from ossmedia.vod_tickets import AppServerTickets
    from ossmedia.writer import Writer

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AppServerCredentials",
    "AppServerReports",
    "AppServerTickets",
    "Bucket",
    "CallbackFailed",
    "ClockSkew",
    "Conflict",
    "Credentials",
    "CredentialsError",
    "CredentialsExpired",
    "Delivered",
    "EnvironmentCredentials",
    "Generation",
    "IntegrityError",
    "MediaError",
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
    "Recorder",
    "RequestTimeout",
    "Retry",
    "SegmentKey",
    "ServiceError",
    "Spool",
    "SpoolBusy",
    "SpoolError",
    "SpoolFull",
    "SpoolStatus",
    "StaticCredentials",
    "StreamBroken",
    "TlsError",
    "Tombstone",
    "Unavailable",
    "UploadTicket",
    "Writer",
    "__version__",
    "crc64",
    "crc64_combine",
]

_HOMES = {
    "AppServerCredentials": "app_server",
    "AppServerReports": "report",
    "AppServerTickets": "vod_tickets",
    "Bucket": "bucket",
    "Credentials": "model",
    "Delivered": "spool_values",
    "EnvironmentCredentials": "credentials",
    "Generation": "model",
    "ObjectStat": "model",
    "Reader": "reader",
    "Receipt": "model",
    "Recorder": "hls",
    "Retry": "retry",
    "SegmentKey": "hls_keys",
    "Spool": "spool",
    "SpoolStatus": "spool_values",
    "StaticCredentials": "credentials",
    "Tombstone": "spool_values",
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
