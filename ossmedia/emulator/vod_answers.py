"""How VOD shows a medium.

What flows in: a medium and its state. What flows out: the documented fields that are known here;
what only a look into the video could tell (its length, its codec) is left out rather than made up.

Source: ApsaraVideo VOD 2017-03-21, GetVideoInfo, GetPlayInfo, SearchMedia.
"""

from __future__ import annotations

import hashlib
from typing import Any

from .canonical import iso_seconds
from .vod_media import Medium

_ID_NAMES = {"video": "VideoId", "audio": "AudioId", "image": "ImageId", "attached": "MediaId"}
_TITLES = {"video": "Video", "audio": "Audio", "image": "Image", "attached": "AttachedMedia"}
_BASIC = ("Title", "Status", "CreationTime")
_SHOWN = ("Description", "Tags", "CoverURL", "TemplateGroupId", "StorageLocation", "AppId")


def video(medium: Medium, status: str, region: str) -> dict[str, Any]:
    """The ``Video`` of GetVideoInfo."""
    shown: dict[str, Any] = {
        "VideoId": medium.id,
        "Title": medium.title,
        "Status": status,
        "Size": medium.size,
        "CreationTime": iso_seconds(medium.created_s),
        "ModificationTime": iso_seconds(medium.modified_s),
        "RegionId": region,
    }
    shown |= {name: medium.details[name] for name in _SHOWN if name in medium.details}
    if "CateId" in medium.details:
        shown["CateId"] = int(medium.details["CateId"])
    if medium.reference:
        shown["ReferenceId"] = medium.reference
    if "UserData" in medium.details:
        shown["UserData"] = medium.details["UserData"]
    return shown


def play_info(medium: Medium, url: str) -> dict[str, Any]:
    """The whole answer of GetPlayInfo: the uploaded file is the one stream."""
    created, changed = iso_seconds(medium.created_s), iso_seconds(medium.modified_s)
    base = {
        "VideoId": medium.id,
        "Title": medium.title,
        "MediaType": medium.kind,
        "Status": "Normal",
        "CreationTime": created,
    }
    if "CoverURL" in medium.details:
        base["CoverURL"] = medium.details["CoverURL"]
    stream = {
        "PlayURL": url,
        "Format": medium.ext,
        "Definition": "OD",
        "Size": medium.size,
        "Encrypt": 0,
        "StreamType": medium.kind,
        "JobId": hashlib.sha256(medium.id.encode()).hexdigest()[:32],
        "Status": "Normal",
        "Specification": "Original",
        "CreationTime": changed,
        "ModificationTime": changed,
    }
    return {"VideoBase": base, "PlayInfoList": {"PlayInfo": [stream]}}


def hit(medium: Medium, status: str, region: str, url: str, names: list[str]) -> dict[str, Any]:
    """One medium of SearchMedia's ``MediaList``.

    Args:
        names: fields wanted besides the basic ones.
    """
    fields = video(medium, status, region)
    del fields["VideoId"]
    if medium.kind in ("image", "attached"):
        fields["URL"] = url
        fields |= {k: v for k, v in medium.details.items() if k == "BusinessType"}
    id_name = _ID_NAMES[medium.kind]
    shown = {name: fields[name] for name in (*_BASIC, *names) if name in fields}
    return {
        "MediaId": medium.id,
        "MediaType": medium.kind,
        "CreationTime": iso_seconds(medium.created_s),
        _TITLES[medium.kind]: {id_name: medium.id, **shown},
    }
