"""What VOD answers to the application server, as values.

In flow the bodies of answers, out flow grants and plain data. A body that is not what VOD's
documents say raises LookupError, TypeError or ValueError; no credentials are shown by a repr.

Source: ApsaraVideo VOD 2017-03-21.
"""

from __future__ import annotations

import json

from ossmedia.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["UploadGrant", "found", "grant", "kept", "play_info", "video"]

_ID_NAMES = ("VideoId", "ImageId", "MediaId")


class UploadGrant(Value):
    """The right to upload one media file, as VOD gave it: base64 of JSON that only the uploading
    device decodes (``UploadTicket.from_json``).

    Fields: ``id_name`` "VideoId", "ImageId" or "MediaId"; ``media_id``; ``upload_address``;
    ``upload_auth``, never shown by repr; ``url`` where an image or attached medium will stand, "".
    """

    __slots__ = ("id_name", "media_id", "upload_address", "upload_auth", "url")
    _hidden = frozenset({"upload_auth"})
    id_name: str
    media_id: str
    upload_address: str
    upload_auth: str
    url: str

    def __init__(
        self, id_name: str, media_id: str, upload_address: str, upload_auth: str, url: str = ""
    ) -> None:
        if id_name not in _ID_NAMES:
            raise ValueError(f"id_name: must be one of {', '.join(_ID_NAMES)}")
        given = (("media_id", media_id), ("upload_address", upload_address))
        for name, value in (*given, ("upload_auth", upload_auth)):
            if not isinstance(value, str) or not value:
                raise ValueError(f"{name}: must be text and not empty")
        self._set(
            id_name=id_name,
            media_id=media_id,
            upload_address=upload_address,
            upload_auth=upload_auth,
            url=url,
        )

    def to_json(self) -> dict[str, str]:
        """What the device gets. It holds the credentials: for the wire, never for a log."""
        return {
            self.id_name: self.media_id,
            "UploadAddress": self.upload_address,
            "UploadAuth": self.upload_auth,
        }


def _object(body: bytes) -> dict[str, Any]:
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise TypeError
    return answer


def grant(body: bytes) -> UploadGrant:
    """What the three Create calls and RefreshUploadVideo answer."""
    answer = _object(body)
    (id_name,) = (name for name in _ID_NAMES if name in answer)
    address, auth = answer["UploadAddress"], answer["UploadAuth"]
    return UploadGrant(id_name, answer[id_name], address, auth, answer.get("FileURL", ""))


def _numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """VOD writes sizes and lengths sometimes as texts, sometimes as numbers."""
    for name, kind in (("Size", int), ("Duration", float)):
        if name in fields:
            fields[name] = kind(fields[name] or 0)
    return fields


def play_info(body: bytes) -> dict[str, Any]:
    """What GetPlayInfo answers."""
    answer = _object(body)
    streams = [_numbers(stream) for stream in answer["PlayInfoList"]["PlayInfo"]]
    return {"VideoBase": _numbers(answer["VideoBase"]), "PlayInfoList": {"PlayInfo": streams}}


def found(body: bytes) -> dict[str, Any]:
    """One page of SearchMedia."""
    answer = _object(body)
    return {
        "MediaList": [dict(one) for one in answer.get("MediaList", ())],
        "Total": int(answer["Total"]),
        "ScrollToken": str(answer.get("ScrollToken", "")),
    }


def kept(body: bytes) -> list[str]:
    """The ids that DeleteVideo did not delete."""
    answer = _object(body)
    return [*answer.get("NonExistVideoIds", ()), *answer.get("ForbiddenVideoIds", ())]


def video(body: bytes) -> dict[str, Any]:
    """What GetVideoInfo says of a video."""
    return _numbers(_object(body)["Video"])
