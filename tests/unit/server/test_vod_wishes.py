"""vod_wishes.py: what a device asks for, within VOD's limits or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from ossmedia.server.problems import Problem
from ossmedia.server.vod_wishes import VodWish, vod_wish_of

GOOD = {"title": "At the gate", "file_name": "gate.mp4"}


def refused(**changes: Any) -> tuple[str, str]:
    data = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    with pytest.raises(Problem) as caught:
        vod_wish_of(data)
    return caught.value.code, caught.value.detail


def test_the_least() -> None:
    wish = vod_wish_of(dict(GOOD))
    assert (wish.kind, wish.title, wish.file_name) == ("video", "At the gate", "gate.mp4")
    assert (wish.size, wish.tags, wish.category, wish.start) == (None, (), None, None)
    assert len(wish.client_token) == 32
    assert vod_wish_of(dict(GOOD)).client_token != wish.client_token


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"title": "x" * 128}, "title", "x" * 128),
        ({"title": "门" * 128}, "title", "门" * 128),
        ({"file_name": "x" * 1020 + ".MP4"}, "file_name", "x" * 1020 + ".MP4"),
        ({"size": 0}, "size", 0),
        ({"size": 10_000 * 5 << 30}, "size", 10_000 * 5 << 30),
        ({"description": "x" * 1024}, "description", "x" * 1024),
        ({"tags": ["x" * 32] * 16}, "tags", ("x" * 32,) * 16),
        ({"category": 7}, "category", 7),
        ({"cover_url": "https://x/y"}, "cover_url", "https://x/y"),
        ({"start": 1_700_000_000.5}, "start", 1_700_000_000.5),
        ({"client_token": "a-b_c9"}, "client_token", "a-b_c9"),
        ({"kind": "image", "file_name": "a.PNG"}, "image_type", "default"),
        ({"kind": "attached", "file_name": "a.zip"}, "business_type", "material"),
    ],
)
def test_the_limits_themselves(changes: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(vod_wish_of({**GOOD, **changes}), name) == value


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"title": ...}, "title: must not be empty"),
        ({"title": ""}, "title: must not be empty"),
        ({"title": 5}, "title: must be str, not int"),
        ({"title": "x" * 129}, "title: must be at most 128 characters, not 129"),
        ({"title": "a\nb"}, "title: must not hold control characters"),
        ({"title": "a\0b"}, "title: must not hold control characters"),
        ({"file_name": ...}, "file_name: must be str, not NoneType"),
        ({"file_name": "x" * 1021 + ".mp4"}, "file_name: must be at most 1024 characters"),
        ({"file_name": "gate"}, "file_name: must end with a video or audio format"),
        ({"file_name": "gate.exe"}, "file_name: must end with a video or audio format"),
        ({"file_name": ".mp4"}, "file_name: must end with a video or audio format"),
        ({"size": -1}, "size: must be 0-"),
        ({"size": True}, "size: must be int"),
        ({"size": "5"}, "size: must be int"),
        ({"size": (10_000 * 5 << 30) + 1}, "size: must be 0-53687091200000"),
        ({"description": "x" * 1025}, "description: must be at most 1024 characters"),
        ({"tags": "a,b"}, "tags: must be a list"),
        ({"tags": ["a"] * 17}, "tags: at most 16, not 17"),
        ({"tags": ["x" * 33]}, "tags: must be at most 32 characters"),
        ({"tags": ["a,b"]}, "tags: must not hold commas"),
        ({"tags": [5]}, "tags: must be str, not int"),
        ({"category": -1}, "category: must be 0-"),
        ({"cover_url": "x" * 1025}, "cover_url: must be at most 1024 characters"),
        ({"start": -1}, "start: must be seconds since 1970"),
        ({"start": 1_700_000_000_000}, "start: must be seconds since 1970"),
        ({"start": "now"}, "start: must be seconds since 1970"),
        ({"start": True}, "start: must be seconds since 1970"),
        ({"client_token": "short"}, "client_token: must be 6-64"),
        ({"client_token": "x" * 65}, "client_token: must be 6-64"),
        ({"client_token": "a b c d"}, "client_token: must be 6-64"),
        ({"client_token": None}, "client_token: must be str"),
        ({"kind": "film"}, "kind: must be one of video, image, attached"),
        ({"kind": []}, "kind: must be one of"),
        ({"kind": "image"}, "file_name: must end with one of png"),
        ({"kind": "image", "file_name": "a.png", "client_token": "abcdef"}, "client_token: only"),
        ({"kind": "image", "file_name": "a.png", "image_type": "x"}, "image_type: must be one of"),
        ({"kind": "attached", "file_name": "a.exe"}, "file_name: must end with one of jpg"),
        (
            {"kind": "attached", "file_name": "a.png", "business_type": "subtitle"},
            "file_name: must end with one of srt",
        ),
        ({"kind": "attached", "file_name": "a.png", "business_type": "x"}, "business_type: must"),
    ],
)
def test_bad_fields(changes: dict[str, Any], text: str) -> None:
    code, detail = refused(**changes)
    assert code == "invalid-field"
    assert detail.startswith(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"Title": "x"},
        {"user_data": {}},
        {"workflow_id": "x"},
        {"storage_location": "other"},
        {"image_type": "cover"},
        {"kind": "image", "file_name": "a.png", "cover_url": "https://x"},
        {"kind": "attached", "file_name": "a.png", "image_type": "cover"},
        {"reference_id": "abcdef"},
        {"device": "cam-2"},
    ],
)
def test_unknown_fields(changes: dict[str, Any]) -> None:
    """Where media go and how they are processed is the operator's, not a device's."""
    code, detail = refused(**changes)
    assert code == "unknown-field"
    assert repr(list(changes)[-1]) in detail


class Asked:
    """Stands for VOD where a test is about what it is asked."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **fields: (name, args, fields)


PLACES = {"storage_location": "s", "app_id": "app-1", "template_group_id": "t", "workflow_id": "w"}


def asked(**changes: Any) -> Any:
    wish: VodWish = vod_wish_of({**GOOD, **changes})
    return wish.create(Asked(), "om-1" if wish.kind == "video" else "", PLACES)  # type: ignore[arg-type]


def test_what_vod_is_asked_for_a_video() -> None:
    name, args, fields = asked(size=5, tags=["a"], category=3, description="d", cover_url="https:x")
    assert (name, args) == ("create_upload_video", ("At the gate", "gate.mp4"))
    assert fields == {
        **PLACES,
        "file_size": 5,
        "tags": ("a",),
        "cate_id": 3,
        "description": "d",
        "cover_url": "https:x",
        "reference_id": "om-1",
    }


def test_what_vod_is_asked_for_others() -> None:
    where = {"storage_location": "s", "app_id": "app-1", "description": "", "tags": ()}
    name, args, fields = asked(kind="image", file_name="a.JPG", image_type="cover", category=3)
    assert (name, args) == ("create_upload_image", ("cover",))
    assert fields == {**where, "image_ext": "jpg", "title": "At the gate", "cate_id": 3}
    name, args, fields = asked(kind="attached", file_name="a.zip", size=9, category=3)
    assert (name, args) == ("create_upload_attached_media", ("material", "zip"))
    assert fields == {
        **where,
        "title": "At the gate",
        "file_name": "a.zip",
        "file_size": 9,
        "cate_ids": (3,),
    }
