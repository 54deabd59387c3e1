"""vod_events.py: whether VOD speaks, and of which medium."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ossmedia.server.vod_events import is_signed, media_id_of

URL, KEY, NOW = "https://cams.example.com/v1/callbacks/vod", "QJC7sYAWC82N", 1_750_000_000.0


def head(url: str = URL, time: str = "1750000000", key: str = KEY) -> dict[str, str]:
    signature = hashlib.md5(f"{url}|{time}|{key}".encode()).hexdigest()
    return {"x-vod-timestamp": time, "x-vod-signature": signature}


def test_the_documents_example() -> None:
    """The published one, among the signature vectors."""
    path = Path(__file__).parents[2] / "vectors" / "signature-vectors.json"
    vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    (vector,) = (one for one in vectors if one["id"] == "vod-callback-01")
    time = vector["headers"]["X-VOD-TIMESTAMP"]
    given = {"x-vod-timestamp": time, "x-vod-signature": vector["expected"]["signature"]}
    url, key = vector["extra"]["callback_url"], vector["access_key_secret"]
    assert is_signed(given, url, [key], float(time))
    assert not is_signed(given, url, [key + "4"], float(time))


@pytest.mark.parametrize("off", [0, 300, -300, 299.9])
def test_the_window(off: float) -> None:
    assert is_signed(head(), URL, [KEY], NOW + off)


@pytest.mark.parametrize("off", [300.5, -300.5, 86_400, -86_400])
def test_outside_the_window(off: float) -> None:
    assert not is_signed(head(), URL, [KEY], NOW + off)


@pytest.mark.parametrize("keys", [[KEY, "another0key"], ["another0key", KEY]])
def test_two_keys_while_one_is_changed(keys: list[str]) -> None:
    assert is_signed(head(), URL, keys, NOW)
    assert is_signed(head(key="another0key"), URL, keys, NOW)
    assert not is_signed(head(key="third00key"), URL, keys, NOW)


def test_capital_digits() -> None:
    good = head()
    good["x-vod-signature"] = good["x-vod-signature"].upper()
    assert is_signed(good, URL, [KEY], NOW)


def bent(**changes: str) -> dict[str, str]:
    return {**head(), **{name.replace("_", "-"): value for name, value in changes.items()}}


@pytest.mark.parametrize(
    "given",
    [
        {},
        head(url=URL + "/"),
        head(url=URL.replace("https", "http")),
        head(key=""),
        bent(x_vod_signature=""),
        bent(x_vod_signature="0" * 32),
        bent(x_vod_signature=head()["x-vod-signature"][:-1]),
        bent(x_vod_signature=head()["x-vod-signature"] + " "),
        bent(x_vod_signature="é" * 32),
        bent(x_vod_signature="\udcff" * 32),
        bent(x_vod_timestamp="1750000001"),
        bent(x_vod_timestamp=""),
        head(time="1750000000.0"),
        head(time=" 1750000000"),
        head(time="+175000000"),
        head(time="01750000000"),
        head(time="\u0661" * 10),
        head(time="nan"),
    ],
)
def test_not_vod(given: dict[str, str]) -> None:
    assert not is_signed(given, URL, [KEY], NOW)


def test_without_a_key_nobody_is_believed() -> None:
    assert not is_signed(head(key=""), URL, [], NOW)


@pytest.mark.parametrize(
    ("event", "media_id"),
    [
        ({"EventType": "FileUploadComplete", "VideoId": "43q9"}, "43q9"),
        ({"EventType": "ImageUploadComplete", "ImageId": "bbc6"}, "bbc6"),
        ({"EventType": "AttachedMediaUploadComplete", "MediaId": "a-1"}, "a-1"),
        ({"EventType": "AttachedMediaUploadComplete", "AttachedMediaId": "a_1"}, "a_1"),
        ({"VideoId": ""}, ""),
        ({"VideoId": None}, ""),
        ({"VideoId": ["x"]}, ""),
        ({"VideoId": "a/b"}, ""),
        ({"VideoId": "x" * 129}, ""),
        ({}, ""),
    ],
)
def test_the_medium(event: dict[str, object], media_id: str) -> None:
    assert media_id_of(event) == media_id
