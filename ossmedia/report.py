"""A camera tells its application server what it stored, so that it is on the page at once.

In flow receipts of uploads, out flows what the server found when it looked. Nothing depends on a
report: what nobody tells of, the server finds by itself some minutes later.
"""

from __future__ import annotations

from ossmedia.clock import to_iso_date
from ossmedia.device_link import DeviceLink
from ossmedia.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ossmedia.model import Receipt

__all__ = ["AppServerReports"]

_WORST_LAST = ("recorded", "different", "missing")


class AppServerReports(DeviceLink):
    """Reports to an application server, signed with the device's key.

    Args:
        all: see ``DeviceLink``.

    Raises:
        TypeError, ValueError: naming the argument and its limit, never the key.
    """

    __slots__ = ()

    def report(
        self, receipt: Receipt, *, start_at: float | None = None, duration_s: float | None = None
    ) -> str:
        """Tells of one upload.

        Args:
            receipt: what ``Bucket.upload`` or a closed writer gave.
            start_at: of the first frame, seconds since 1970; None: the server goes by the object.
            duration_s: seconds; None: not known.

        Returns:
            "recorded"; "different": recorded, but OSS has other bytes than the receipt says;
            "missing": OSS has no such object, or it holds no recording. Of several objects, the
            worst.

        Raises:
            ServiceError: the server refused a field; ``str()`` names it.
            OssMediaError, OSError, ValueError: see ``DeviceLink.ask``.
        """
        objects: list[dict[str, Any]] = [{"key": g.key} for g in receipt.generations]
        if len(objects) < 2:
            # Of one object the server can compare all bytes; a generation may hold foreign ones.
            size, crc64 = receipt.size, str(receipt.crc64)
            objects = [{"key": receipt.key, "size": size, "crc64": crc64}]
        if start_at is not None:
            objects[0]["start"] = _iso(start_at)
        if duration_s is not None and len(objects) == 1:
            objects[0]["duration_s"] = duration_s
        answer = self.ask("/v1/reports", {"objects": objects})
        try:
            states: list[str] = [item["state"] for item in answer["objects"]]
            return max(states, key=_WORST_LAST.index)
        except (KeyError, TypeError, ValueError):
            raise ProtocolError("the application server's answer: no states") from None


def _iso(seconds: float) -> str:
    whole, thousandths = divmod(int(seconds * 1000), 1000)
    return f"{to_iso_date(whole)}.{thousandths:03d}Z"
