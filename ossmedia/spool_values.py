"""What the spool tells: its status, what it dropped, what was confirmed. Immutable values.

They hold numbers and names, never media and never a secret.
"""

from __future__ import annotations

from ossmedia.model import Generation, Receipt, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Delivered", "SpoolStatus", "Tombstone", "Totals"]


class Tombstone(Value):
    """Bytes [first, last) of what was written to an object that will never be stored.

    Fields: ``item``: the object's number in the spool; ``key``; ``reason``: "drop_oldest",
    "drop_newest" (by policy), "superseded" (a newer one of the same key was given; the range counts
    all such bytes of the key), "aborted" (by the writer), "discarded" (unfinished, and so wanted),
    "damaged" or "missing" (on the disk; what is left stands in the spool's quarantine).
    """

    __slots__ = ("item", "key", "first", "last", "reason")
    item: int
    key: str
    first: int
    last: int
    reason: str

    def __init__(self, item: int, key: str, first: int, last: int, reason: str) -> None:
        self._set(item=item, key=key, first=first, last=last, reason=reason)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Totals(Value):
    """Bytes of the objects that have left the spool, and the highest number it gave to one."""

    __slots__ = ("written", "acked", "dropped", "last_id")
    written: int
    acked: int
    dropped: int
    last_id: int

    def __init__(self, written: int, acked: int, dropped: int, last_id: int) -> None:
        self._set(written=written, acked=acked, dropped=dropped, last_id=last_id)


class Delivered(Value):
    """An object of the spool that OSS has confirmed.

    Fields: ``id``: its number in the spool; ``bucket``; ``receipt``; ``tombstones``: what of it was
    dropped, () if nothing was.
    """

    __slots__ = ("id", "bucket", "receipt", "tombstones")
    id: int
    bucket: str
    receipt: Receipt
    tombstones: tuple[Tombstone, ...]

    def __init__(
        self, id: int, bucket: str, receipt: Receipt, tombstones: tuple[Tombstone, ...] = ()
    ) -> None:
        self._set(id=id, bucket=bucket, receipt=receipt, tombstones=tombstones)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "bucket": self.bucket,
            "receipt": self.receipt.to_json(),
            "tombstones": [stone.to_json() for stone in self.tombstones],
        }

    @classmethod
    def from_json(
        cls, id: int, bucket: str, receipt: Mapping[str, Any], lost: list[dict[str, Any]]
    ) -> Delivered:
        """From what ``to_json`` gave."""
        parts = tuple(Generation(**part) for part in receipt["generations"])
        whole = Receipt(**{**receipt, "generations": parts})
        return cls(id, bucket, whole, tuple(Tombstone(**stone) for stone in lost))


class SpoolStatus(Value):
    """A spool at one moment. The law: ``written == acked + spooled + dropped``, all in bytes.

    Fields: ``written``: taken by writers, in this spool's whole life; ``acked``: confirmed by OSS;
    ``spooled``: on the disk; ``dropped``: with a tombstone. ``waiting``: objects that have ended
    and are not stored; ``open``: those that are being written; ``parked``: those of both that OSS
    refused, kept and asked for seldom or not at all. ``tombstones``: how many there are.
    ``disk_bytes``: of the data files, quarantine included; ``max_bytes``. ``quarantined``: files in
    the quarantine. ``torn``: bytes that the last opening cut off, which no commit had promised.
    ``sending``: an object is on its way. ``error``: what the last attempt failed with, or why an
    object is parked; "" when all is well.
    """

    __slots__ = (
        "written",
        "acked",
        "spooled",
        "dropped",
        "waiting",
        "open",
        "parked",
        "tombstones",
        "disk_bytes",
        "max_bytes",
        "quarantined",
        "torn",
        "sending",
        "error",
    )
    written: int
    acked: int
    spooled: int
    dropped: int
    waiting: int
    open: int
    parked: int
    tombstones: int
    disk_bytes: int
    max_bytes: int
    quarantined: int
    torn: int
    sending: bool
    error: str

    def __init__(self, **fields: Any) -> None:
        self._set(**{name: fields[name] for name in self.__slots__})

    @property
    def balance(self) -> int:
        """Bytes that the law cannot account for: 0."""
        return self.written - self.acked - self.spooled - self.dropped

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}
