"""What the local cloud remembers of a bucket, an object, an upload and a part.

What flows in: fields. What flows out: immutable-by-habit records that the store writes and the
operations read. They hold no content bytes and no secret.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from .blobs import Segment

STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
BUCKET_ACLS = ("private", "public-read", "public-read-write")
OBJECT_ACLS = ("default", *BUCKET_ACLS)


@dataclass(slots=True)
class Attributes:
    """What a request says about an object besides its bytes.

    Fields:
        headers: lower-case name to value: ``cache-control``, ``x-oss-meta-*`` and such.
        restored: an archived object that was asked for again and may be read.
        encryption: the server-side encryption headers, echoed and otherwise without effect.
    """

    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    acl: str = "default"
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str = "Standard"
    encryption: dict[str, str] = field(default_factory=dict)
    restored: bool = False

    def to_json(self) -> str:
        """The attributes as one JSON text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Attributes:
        """The inverse of :meth:`to_json`."""
        return cls(**json.loads(text))


@dataclass(slots=True)
class Bucket:
    """One bucket; *created_s* in unix seconds, *lifecycle* and *cors* the stored documents or
    None."""

    name: str
    created_s: float
    acl: str = "private"
    storage_class: str = "Standard"
    redundancy: str = "LRS"
    lifecycle: bytes | None = None
    cors: bytes | None = None


@dataclass(slots=True)
class StoredObject:
    """One object, or a symlink (then *symlink_target* is set and there is no content).

    Fields:
        kind: ``Normal``, ``Multipart``, ``Appendable`` or ``Symlink``.
        md5: base64 for Normal objects, else empty.
        sealed_s: when the object was closed for appending, 0 when it was not.
    """

    bucket: str
    key: str
    kind: str
    size: int
    crc: int
    etag: str
    modified_s: float
    attributes: Attributes
    segments: tuple[Segment, ...] = ()
    md5: str = ""
    symlink_target: str = ""
    sealed_s: float = 0.0
    row: int = 0


@dataclass(slots=True)
class Listed:
    """What a list answer shows of an object."""

    key: str
    kind: str
    size: int
    etag: str
    modified_s: float
    storage_class: str


@dataclass(slots=True)
class Upload:
    """A multipart upload under way."""

    id: str
    bucket: str
    key: str
    initiated_s: float
    attributes: Attributes
    sequential: bool = False


@dataclass(slots=True)
class Part:
    """An uploaded part; *crc* and *etag* are of its own bytes."""

    upload: str
    number: int
    size: int
    crc: int
    etag: str
    modified_s: float
    segments: tuple[Segment, ...] = ()


def segments_to_json(segments: tuple[Segment, ...]) -> str:
    """Segments as one JSON text."""
    return json.dumps(segments, separators=(",", ":"))


def segments_from_json(text: str) -> tuple[Segment, ...]:
    """The inverse of :func:`segments_to_json`."""
    return tuple(Segment(*values) for values in json.loads(text))
