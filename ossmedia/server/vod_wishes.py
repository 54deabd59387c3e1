"""What a device's request for an upload into VOD says, understood strictly.

In flow bodies, out flow wishes whose every field is within VOD's limits. Anything doubtful is
refused with the field's name and its limit, before VOD is asked.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from ossmedia import vod_fields as check
from ossmedia.server.problems import Problem
from ossmedia.vod_answers import UploadGrant
from ossmedia.vod_api import ATTACHED_EXTENSIONS, IMAGE_EXTENSIONS, IMAGE_TYPES, VodService

__all__ = ["KINDS", "VodWish", "vod_wish_of"]

KINDS = ("video", "image", "attached")
_FOR_ALL = ("kind", "title", "file_name", "size", "description", "tags", "start", "client_token")
_FOR_ONE = {
    "video": ("cover_url", "category"),
    "image": ("category", "image_type"),
    "attached": ("category", "business_type"),
}
_LAST_START = 32_503_680_000  # the year 3000: no time of a recording, but of a wrong unit


@dataclass(frozen=True, slots=True)
class VodWish:
    """A medium that a device wants to upload.

    Attributes:
        size: in bytes; None: not known.
        category: VOD's CateId, or None.
        start: of the recording, seconds since 1970; None: not told.
        client_token: the device's own name of this request; the same one brings the same medium.
    """

    kind: str
    title: str
    file_name: str
    size: int | None
    description: str
    tags: tuple[str, ...]
    category: int | None
    cover_url: str
    image_type: str
    business_type: str
    start: float | None
    client_token: str

    def create(self, service: VodService, reference: str, places: dict[str, Any]) -> UploadGrant:
        """Asks VOD.

        Args:
            reference: the name for VOD, where it takes one: videos only.
            places: storage_location, app_id and, for videos, the processing, by VOD's settings.
        """
        common: dict[str, Any] = {"description": self.description, "tags": self.tags}
        where: dict[str, Any] = {name: places[name] for name in ("storage_location", "app_id")}
        ending = check.extension_of(self.file_name)
        if self.kind == "video":
            return service.create_upload_video(
                self.title,
                self.file_name,
                file_size=self.size,
                cover_url=self.cover_url,
                cate_id=self.category,
                reference_id=reference,
                **common,
                **places,
            )
        if self.kind == "image":
            return service.create_upload_image(
                self.image_type,
                image_ext=ending,
                title=self.title,
                cate_id=self.category,
                **common,
                **where,
            )
        return service.create_upload_attached_media(
            self.business_type,
            ending,
            title=self.title,
            file_name=self.file_name,
            file_size=self.size,
            cate_ids=() if self.category is None else (self.category,),
            **common,
            **where,
        )


def vod_wish_of(data: dict[str, Any]) -> VodWish:
    """The wish.

    Raises:
        Problem: unknown-field, invalid-field, naming the field and its limit.
    """
    try:
        kind = check.one_of("kind", data.get("kind", "video"), KINDS)
        known = (*_FOR_ALL, *_FOR_ONE[kind])
        for name in data:
            if name not in known:
                raise Problem("unknown-field", f"{name[:60]!r}; known: {', '.join(known)}")
        wish = _wish(kind, data)
        _check_ending(wish)
    except (TypeError, ValueError) as error:
        raise Problem("invalid-field", str(error)[:300]) from None
    return wish


def _wish(kind: str, data: dict[str, Any]) -> VodWish:
    tags = data.get("tags", [])
    if not isinstance(tags, list):
        raise TypeError("tags: must be a list of texts")
    title = check.text("title", data.get("title", ""), check.LONGEST_TITLE)
    if not title:
        raise ValueError("title: must not be empty")
    description = check.text("description", data.get("description", ""), check.LONGEST_DESCRIPTION)
    check.common(title, description, tags, "", "", None)
    size, category = data.get("size"), data.get("category")
    check.count("size", size, check.LARGEST_FILE)
    check.count("category", category)
    return VodWish(
        kind=kind,
        title=title,
        file_name=check.text("file_name", data.get("file_name"), check.LONGEST_NAME),
        size=size,
        description=description,
        tags=tuple(tags),
        category=category,
        cover_url=check.text("cover_url", data.get("cover_url", ""), 1024),
        image_type=check.one_of("image_type", data.get("image_type", "default"), IMAGE_TYPES),
        business_type=check.one_of(
            "business_type", data.get("business_type", "material"), tuple(ATTACHED_EXTENSIONS)
        ),
        start=_start(data.get("start")),
        client_token=_client_token(kind, data.get("client_token", "")),
    )


def _start(value: object) -> float | None:
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _LAST_START:  # type: ignore[operator]
        raise ValueError("start: must be seconds since 1970")
    return float(value)  # type: ignore[arg-type]


def _client_token(kind: str, value: object) -> str:
    if value == "":
        return secrets.token_hex(16)
    if kind != "video":
        raise ValueError("client_token: only for videos; VOD gives images no name of the caller's")
    return check.plain("client_token", value, 6, 64)


def _check_ending(wish: VodWish) -> None:
    if wish.kind == "video":
        check.check_file_name(wish.file_name)
        return
    endings = IMAGE_EXTENSIONS if wish.kind == "image" else ATTACHED_EXTENSIONS[wish.business_type]
    if check.extension_of(wish.file_name) not in endings:
        raise ValueError(f"file_name: must end with one of {', '.join(endings)}")
