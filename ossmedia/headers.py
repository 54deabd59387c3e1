"""The headers a caller adds to an object: content type, metadata, others; checked, as the core's
"Name: value" lines. And those of an answer, back from such lines.

In flow mappings, out flows one text, or the other way. It never lets a caller set what ossmedia or
HTTP itself sets.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["header_fields", "header_lines"]

METADATA_LIMIT = 8192  # bytes of names and values together
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_OURS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-oss-content-sha256",
        "x-oss-copy-source",
        "x-oss-date",
        "x-oss-forbid-overwrite",
        "x-oss-hash-crc64ecma",
        "x-oss-security-token",
    }
)


def header_lines(
    content_type: str = "",
    metadata: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """One "Name: value\\n" line for each header.

    Args:
        content_type: e.g. "video/mp4"; "": OSS stores application/octet-stream.
        metadata: becomes x-oss-meta-*; letters, digits and "-" in names; at most 8,192 bytes
            together.
        headers: others, e.g. {"Cache-Control": "no-cache"}.

    Raises:
        TypeError, ValueError: naming the header and its limit.
    """
    lines: dict[str, str] = {}
    if content_type:
        lines["content-type"] = _value("content_type", content_type)
    size = 0
    for name, value in (metadata or {}).items():
        lower = _name("metadata", name)
        size += len(lower) + len(_value(f"metadata {name!r}", value))
        _add(lines, f"x-oss-meta-{lower}", value)
    if size > METADATA_LIMIT:
        raise ValueError(
            f"metadata: at most {METADATA_LIMIT} bytes of names and values, not {size}"
        )
    for name, value in (headers or {}).items():
        lower = _name("headers", name)
        if lower in _OURS or lower.startswith("x-oss-meta-"):
            raise ValueError(f"headers: {name!r} is not set this way")
        _add(lines, lower, _value(f"headers {name!r}", value))
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _add(lines: dict[str, str], name: str, value: str) -> None:
    if name in lines:
        raise ValueError(f"headers: {name!r} stands there twice")
    lines[name] = value


def _name(field: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{field}: names must be str, not {type(name).__name__}")
    lower = name.lower()
    if not lower or len(lower) > 200 or not _NAME.issuperset(lower):
        raise ValueError(f"{field}: a name has 1-200 letters, digits and '-', not {name[:60]!r}")
    return lower


def _value(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{field}: must be str, not {type(value).__name__}")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(f"{field}: must be printable ASCII without blanks at the ends")
    if len(value) > METADATA_LIMIT:
        raise ValueError(f"{field}: at most {METADATA_LIMIT} bytes, not {len(value)}")
    return value


def header_fields(head: bytes) -> dict[str, str]:
    """An answer's headers by their lower-case names, from the core's "name: value\\n" lines."""
    lines = head.decode("latin-1").split("\n")
    return dict(line.split(": ", 1) for line in lines if ": " in line)
