"""The headers of an upload that describe the object, and the checks on names and values.

What flows in: headers of a request or fields of a form. What flows out: attributes to store, or 400
with the argument's name. It never reads a body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from .errors import OssError
from .limits import Limits
from .records import OBJECT_ACLS, STORAGE_CLASSES, Attributes
from .request import invalid

CONTENT_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_ENCRYPTION = (
    "x-oss-server-side-encryption",
    "x-oss-server-side-data-encryption",
    "x-oss-server-side-encryption-key-id",
)
_REFUSED = ("if-modified-since", "if-unmodified-since", "if-match", "if-none-match")
_BUCKET_NAME = re.compile("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_TAG_TEXT = re.compile(r"[\w+\-=.:/ ]*", re.ASCII)
_TRAFFIC_MIN, _TRAFFIC_MAX = 819_200, 838_860_800


def check_bucket_name(name: str) -> None:
    """Refuse what cannot be a bucket's name.

    Raises:
        OssError: 400 InvalidBucketName.
    """
    if not _BUCKET_NAME.fullmatch(name):
        message = "The specified bucket is not valid."
        raise OssError(400, "InvalidBucketName", message, extra={"BucketName": name})


def check_key(key: str, limits: Limits) -> None:
    """Refuse what cannot be a key: 1 to 1023 bytes, not beginning with a slash or backslash.

    Raises:
        OssError: 400 InvalidObjectName.
    """
    if not 1 <= len(key.encode("utf-8", "surrogateescape")) <= limits.max_key_bytes:
        message = f"The length of object name must be 1 to {limits.max_key_bytes} bytes."
        raise OssError(400, "InvalidObjectName", message)
    if key[0] in "/\\":
        message = "The object name must not begin with a slash or backslash."
        raise OssError(400, "InvalidObjectName", message, extra={"Key": key})


def check_traffic_limit(text: str | None) -> None:
    """Refuse a traffic limit outside 819200 to 838860800 bit/s.

    Raises:
        OssError: 400 InvalidArgument.
    """
    if text is None:
        return
    if not text.isdecimal() or not _TRAFFIC_MIN <= int(text) <= _TRAFFIC_MAX:
        reason = f"must be {_TRAFFIC_MIN} to {_TRAFFIC_MAX} bit/s"
        raise invalid("x-oss-traffic-limit", text, reason)


def refuse_conditions(headers: Mapping[str, str]) -> None:
    """Uploads know no If-* header.

    Raises:
        OssError: 400 NotImplemented.
    """
    for name in _REFUSED:
        if name in headers:
            message = "A header you provided implies functionality that is not implemented."
            raise OssError(400, "NotImplemented", message, extra={"Header": name})


def read_attributes(values: Mapping[str, str], limits: Limits) -> Attributes:
    """Attributes from headers or form fields, names in lower case.

    Raises:
        OssError: 400 for an ACL, storage class, encryption, tag or metadata that is not allowed.
    """
    kept = {name: values[name] for name in CONTENT_HEADERS if name in values}
    meta = {name: text for name, text in values.items() if name.startswith("x-oss-meta-")}
    size = sum(len(name) - len("x-oss-meta-") + len(text) for name, text in meta.items())
    if size > limits.max_metadata_bytes:
        reason = f"may hold {limits.max_metadata_bytes} bytes in all"
        raise invalid("x-oss-meta-*", str(size), reason)
    return Attributes(
        content_type=values.get("content-type") or "application/octet-stream",
        headers=kept | meta,
        acl=read_acl(values.get("x-oss-object-acl", "default"), "x-oss-object-acl"),
        tags=read_tagging_header(values.get("x-oss-tagging", "")),
        storage_class=read_storage_class(values.get("x-oss-storage-class", "Standard")),
        encryption=_read_encryption(values),
    )


def read_acl(text: str, name: str, allowed: tuple[str, ...] = OBJECT_ACLS) -> str:
    """A known ACL.

    Raises:
        OssError: 400 InvalidArgument.
    """
    if text not in allowed:
        raise invalid(name, text, f"must be one of {', '.join(allowed)}")
    return text


def read_storage_class(text: str) -> str:
    """A known storage class.

    Raises:
        OssError: 400 InvalidArgument.
    """
    if text not in STORAGE_CLASSES:
        reason = f"must be one of {', '.join(STORAGE_CLASSES)}"
        raise invalid("x-oss-storage-class", text, reason)
    return text


def _read_encryption(values: Mapping[str, str]) -> dict[str, str]:
    algorithm = values.get("x-oss-server-side-encryption")
    if algorithm is not None and algorithm not in ("AES256", "KMS", "SM4"):
        message = "The server side encryption algorithm must be AES256, KMS or SM4."
        raise OssError(400, "InvalidEncryptionAlgorithmError", message)
    return {name: values[name] for name in _ENCRYPTION if name in values}


def read_tagging_header(text: str) -> dict[str, str]:
    """Tags of ``x-oss-tagging: k1=v1&k2=v2``, URL-encoded.

    Raises:
        OssError: 400 InvalidTag.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise _bad_tag("must be UTF-8") from None
    return checked_tags(pairs)


def checked_tags(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """At most ten different tags of allowed characters and lengths.

    Raises:
        OssError: 400 InvalidTag.
    """
    if len(pairs) > 10:
        raise _bad_tag("An object has at most 10 tags")
    for key, value in pairs:
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise _bad_tag("A tag key has 1 to 128 characters and a value up to 256")
        if not _TAG_TEXT.fullmatch(key) or not _TAG_TEXT.fullmatch(value):
            raise _bad_tag("A tag holds letters, digits, space and + - = . _ : / only")
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise _bad_tag("Tag keys must differ")
    return tags


def _bad_tag(reason: str) -> OssError:
    return OssError(400, "InvalidTag", f"The tag is invalid: {reason}.")
