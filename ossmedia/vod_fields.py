"""The limits of VOD's upload parameters, checked before a call is made.

In flow what a caller wrote, out flow the texts VOD wants. Text is counted in characters, as VOD's
newer documents do; where VOD counts bytes, it refuses by itself. It never talks to anybody.

Source: ApsaraVideo VOD 2017-03-21, CreateUploadVideo, CreateUploadImage, CreateUploadAttachedMedia;
"Upload overview", supported formats.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = [
    "check_file_name",
    "common",
    "count",
    "extension_of",
    "one_of",
    "plain",
    "reference",
    "several",
    "text",
    "video",
]

LONGEST_TITLE, LONGEST_DESCRIPTION, LONGEST_NAME = 128, 1024, 1024
MOST_TAGS, LONGEST_TAG = 16, 32
LARGEST_FILE = 10_000 * 5 * 1024**3
# fmt: off
EXTENSIONS = frozenset((
    "3gp", "aac", "ac3", "acm", "amr", "ape", "asf", "avi", "caf", "dat", "dv", "f4v", "flac",
    "flv", "gif", "m2t", "m3u8", "m4a", "m4v", "mj2", "mjpeg", "mkv", "mov", "mp3", "mp4", "mpe",
    "mpeg", "mpg", "mts", "ogg", "qt", "ra", "rm", "rmvb", "swf", "ts", "vob", "wav", "webm", "wma",
    "wmv",
))
# fmt: on
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def text(field: str, value: object, most: int) -> str:
    """Free text of one line, at most ``most`` characters.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    if not isinstance(value, str):
        raise TypeError(f"{field}: must be str, not {type(value).__name__}")
    if len(value) > most:
        raise ValueError(f"{field}: must be at most {most} characters, not {len(value)}")
    if not value.isprintable():
        raise ValueError(f"{field}: must not hold control characters")
    return value


def extension_of(file_name: str) -> str:
    """The ending of a name in lower case, without its dot; "" when there is none."""
    stem, dot, ending = file_name.rpartition(".")
    return ending.lower() if stem and dot else ""


def check_file_name(file_name: object) -> str:
    """A file name whose ending is one of a video or audio format that VOD takes.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    name = text("file_name", file_name, LONGEST_NAME)
    if extension_of(name) not in EXTENSIONS:
        raise ValueError(
            f"file_name: must end with a video or audio format that VOD takes, not {name[-40:]!r}"
        )
    return name


def count(field: str, value: object, most: int = 10**18) -> str:
    """A whole number from 0 on as text; "" for None."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field}: must be int, not {type(value).__name__}")
    if not 0 <= value <= most:
        raise ValueError(f"{field}: must be 0-{most}, not {value}")
    return str(value)


def one_of(field: str, value: object, allowed: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{field}: must be one of {', '.join(allowed)}, not {value!r}")
    return value


def plain(field: str, value: object, least: int = 1, most: int = 128) -> str:
    """An id of letters, digits, "-" and "_"."""
    if not isinstance(value, str):
        raise TypeError(f"{field}: must be str, not {type(value).__name__}")
    if not least <= len(value) <= most or not _PLAIN.issuperset(value):
        raise ValueError(
            f"{field}: must be {least}-{most} letters, digits, '-' and '_', not {value[:70]!r}"
        )
    return value


def reference(value: object) -> str:
    """The caller's own id of a medium; "" for none."""
    return plain("reference_id", value, 6, 64) if value != "" else ""


def several(field: str, values: Iterable[str]) -> list[str]:
    """Texts that will be joined by commas."""
    if isinstance(values, str):
        raise TypeError(f"{field}: must be several texts, not one")
    found = list(values)
    for value in found:
        if "," in text(field, value, LONGEST_NAME):
            raise ValueError(f"{field}: must not hold commas")
    return found


def video(video_id: str, reference_id: str) -> dict[str, str]:
    """The fields that name one video, by VOD's id or the caller's own."""
    if bool(video_id) == bool(reference_id):
        raise ValueError("video_id, reference_id: exactly one of them")
    if reference_id:
        return {"ReferenceId": reference(reference_id)}
    return {"VideoId": plain("video_id", video_id)}


def common(
    title: str,
    description: str,
    tags: Iterable[str],
    storage_location: str,
    app_id: str,
    user_data: Mapping[str, Any] | None,
) -> dict[str, str]:
    """The fields that all uploads share.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    words = several("tags", tags)
    if len(words) > MOST_TAGS:
        raise ValueError(f"tags: at most {MOST_TAGS}, not {len(words)}")
    for word in words:
        text("tags", word, LONGEST_TAG)
    try:
        data = "" if user_data is None else json.dumps(dict(user_data), allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("user_data: must be a mapping that JSON can hold") from None
    return {
        "Title": text("title", title, LONGEST_TITLE),
        "Description": text("description", description, LONGEST_DESCRIPTION),
        "Tags": ",".join(words),
        "StorageLocation": text("storage_location", storage_location, 256),
        "AppId": text("app_id", app_id, 64),
        "UserData": data,
    }
