"""The limits of VOD's parameters.

What flows in: the parameters of a call. What flows out: checked values, or the documented refusal.
Text is counted in bytes of UTF-8, the stricter reading of the documents. It looks nothing up.

Source: ApsaraVideo VOD 2017-03-21, CreateUploadVideo, CreateUploadImage, CreateUploadAttachedMedia;
"Upload overview", supported formats.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .cloud import Cloud
from .errors import RpcError
from .rpc import Call
from .vod_media import user_data
from .vod_settings import check_url

# fmt: off
VIDEO_EXTENSIONS = frozenset((
    "mp4", "ts", "3gp", "mpg", "mpeg", "mpe", "dat", "vob", "asf", "avi", "wmv", "flv", "f4v", "rm",
    "rmvb", "mov", "mkv", "m3u8", "dv", "gif", "m2t", "m4v", "mj2", "mjpeg", "mts", "ogg", "qt",
    "swf", "webm",
))
AUDIO_EXTENSIONS = frozenset((
    "mp3", "wma", "wav", "aac", "ra", "m4a", "flac", "ape", "ac3", "amr", "caf", "acm",
))
# fmt: on
IMAGE_EXTENSIONS = ("png", "jpg", "jpeg", "gif")
ATTACHED_EXTENSIONS = {
    "watermark": ("png", "gif", "apng", "mov"),
    "subtitle": ("srt", "ass", "stl", "ttml", "vtt"),
    "material": ("jpg", "gif", "png", "mp4", "mat", "zip"),
}
MAX_TITLE, MAX_DESCRIPTION, MAX_URL = 128, 1024, 1024
MAX_TAGS, MAX_TAG = 16, 32
MAX_EXTEND = 512
MAX_FILE_SIZE = 10_000 * 5 * 1024**3
DEFAULT_APP = "app-1000000"
NO_TRANSCODING = "VOD_NO_TRANSCODE"

_REFERENCE = re.compile(r"[A-Za-z0-9_-]{6,64}")
_APP = re.compile(r"app-[0-9A-Za-z]{1,32}")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


def invalid(name: str, rule: str) -> RpcError:
    """400 InvalidParameter."""
    return RpcError(400, "InvalidParameter", f"The specified parameter {name} {rule}.")


def required(call: Call, name: str) -> str:
    """A parameter that must be there.

    Raises:
        RpcError: 400 MissingParameter.
    """
    value = call.parameters.get(name, "")
    if not value:
        raise RpcError(400, "MissingParameter", f"The parameter {name} is mandatory.")
    return value


def text(call: Call, name: str, most: int, cloud: Cloud) -> str:
    """Free text of at most *most* bytes.

    Raises:
        RpcError: 400 LengthExceededMax or IllegalCharacters.
    """
    value = call.parameters.get(name, "")
    _check_text(name, value, most, cloud)
    return value


def _check_text(name: str, value: str, most: int, cloud: Cloud) -> None:
    if len(value.encode()) > most:
        message = f"The specified {name} has exceeded {most} bytes."
        raise RpcError(400, "LengthExceededMax", message)
    if any(ord(character) > 0xFFFF or not character.isprintable() for character in value):
        cloud.guess("control characters and those beyond the basic plane are IllegalCharacters")
        message = f"The specified {name} contains illegal emoticon or special characters."
        raise RpcError(400, "IllegalCharacters", message)


def one_of(call: Call, name: str, allowed: tuple[str, ...]) -> str:
    """A value of a list, the first when nothing is said.

    Raises:
        RpcError: 400 InvalidParameter.
    """
    value = call.parameters.get(name, "").lower() or allowed[0]
    if value not in allowed:
        raise invalid(name, f"must be one of {', '.join(allowed)}")
    return value


def number(call: Call, name: str, default: int, least: int, most: int) -> int:
    """A whole number.

    Raises:
        RpcError: 400 InvalidParameter.
    """
    value = call.parameters.get(name, "")
    if not value:
        return default
    if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
        raise invalid(name, f"must be a number from {least} to {most}")
    return int(value)


def file_extension(call: Call) -> str:
    """The extension of ``FileName`` in lower case, one that VOD takes for video or audio.

    Raises:
        RpcError: 400 MissingParameter or InvalidFileName.Extension.
    """
    name = required(call, "FileName")
    stem, dot, extension = name.rpartition(".")
    extension = extension.lower()
    if not stem or not dot or extension not in VIDEO_EXTENSIONS | AUDIO_EXTENSIONS:
        message = "The specified FileName's extension is illegal."
        raise RpcError(400, "InvalidFileName.Extension", message)
    return extension


def reference(call: Call) -> str:
    """The caller's own id, or empty.

    Raises:
        RpcError: 400 InvalidParameter.
    """
    value = call.parameters.get("ReferenceId", "")
    if value and not _REFERENCE.fullmatch(value):
        raise invalid("ReferenceId", "must be 6 to 64 letters, digits, '-' and '_'")
    return value


def details(call: Call, cloud: Cloud, storage: str) -> dict[str, str]:
    """What all uploads may say besides: description, tags, categories, cover, application ...

    Args:
        storage: the only storage location there is.

    Raises:
        RpcError: with the documented code of the first wrong parameter.
    """
    checks: dict[str, Callable[[], str]] = {
        "Description": lambda: text(call, "Description", MAX_DESCRIPTION, cloud),
        "Tags": lambda: _tags(call, cloud),
        "CateId": lambda: _whole(call, "CateId"),
        "CateIds": lambda: _categories(call),
        "CoverURL": lambda: text(call, "CoverURL", MAX_URL, cloud),
        "FileSize": lambda: _file_size(call),
        "AppId": lambda: _application(call),
        "UserData": lambda: _user_data(call),
        "StorageLocation": lambda: _storage(call, storage),
        "TemplateGroupId": lambda: _template(call),
        "WorkflowId": lambda: _workflow(call, cloud),
    }
    found = {name: check() for name, check in checks.items() if call.parameters.get(name)}
    return {"AppId": DEFAULT_APP, "StorageLocation": storage, **found}


def _tags(call: Call, cloud: Cloud) -> str:
    tags = call.parameters["Tags"].split(",")
    if len(tags) > MAX_TAGS:
        raise RpcError(400, "TagsExceededMax", f"The Tags exceeded the maximum of {MAX_TAGS}.")
    for tag in tags:
        _check_text("Tags", tag, MAX_TAG, cloud)
    return ",".join(tags)


def _whole(call: Call, name: str) -> str:
    return str(number(call, name, 0, -1, 10**18))


def _categories(call: Call) -> str:
    numbers = call.parameters["CateIds"].split(",")
    if len(numbers) > 5 or not all(map(_NUMBER.fullmatch, numbers)):
        raise invalid("CateIds", "must be at most 5 numbers")
    return ",".join(numbers)


def _file_size(call: Call) -> str:
    return str(number(call, "FileSize", 0, 0, MAX_FILE_SIZE))


def _application(call: Call) -> str:
    if not _APP.fullmatch(call.parameters["AppId"]):
        raise invalid("AppId", f"must be of the form {DEFAULT_APP}")
    return call.parameters["AppId"]


def _user_data(call: Call) -> str:
    value = call.parameters["UserData"]
    try:
        pieces = user_data(value)
        callback = pieces["MessageCallback"]
        url = callback.get("CallbackURL") if isinstance(callback, dict) else None
        if url is not None:
            check_url("CallbackURL", str(url))
    except ValueError:
        raise invalid("UserData", "must be a JSON object with a good CallbackURL") from None
    if len(str(pieces.get("Extend", "")).encode()) > MAX_EXTEND:
        raise invalid("UserData", f"may hold an Extend of {MAX_EXTEND} bytes")
    return value


def _storage(call: Call, storage: str) -> str:
    if call.parameters["StorageLocation"] != storage:
        message = "The specified StorageLocation does not exist."
        raise RpcError(404, "InvalidStorage.NotFound", message)
    return storage


def _template(call: Call) -> str:
    if call.parameters["TemplateGroupId"] != NO_TRANSCODING:
        message = "The specified TemplateGroupId does not exist."
        raise RpcError(404, "InvalidTemplateGroupId.NotFound", message)
    return NO_TRANSCODING


def _workflow(call: Call, cloud: Cloud) -> str:
    cloud.guess("an unknown WorkflowId is InvalidParameter")
    raise invalid("WorkflowId", f"names no workflow: {call.parameters['WorkflowId'][:64]!r}")
