"""checkpoint.py: there entirely or not at all, and nothing secret in it."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.checkpoint import Checkpoint, read_checkpoint

FIELDS = {
    "name": "v1",
    "endpoint": "https://oss-cn-shanghai.aliyuncs.com",
    "bucket": "outin-1",
    "key": "sv/ü.mp4",
    "upload_id": "ABC",
    "path": "/clips/ü.mp4",
    "block_size": 102_400,
    "size": 500_000,
    "mtime_ns": 1_700_000_000_000_000_001,
}


def test_there_and_back(tmp_path):
    file = tmp_path / "one.json"
    assert read_checkpoint(file) is None
    made = Checkpoint(file, **FIELDS)
    made.save()
    assert os.listdir(tmp_path) == ["one.json"]
    found = read_checkpoint(file)
    assert {name: getattr(found, name) for name in FIELDS} == FIELDS
    assert not found.completing
    found.completing = True
    found.save()
    assert read_checkpoint(file).completing
    found.forget()
    found.forget()
    assert os.listdir(tmp_path) == []


def test_a_save_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    made = Checkpoint(tmp_path / "one.json", **FIELDS)
    made.save()
    made.upload_id = "NEW"

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        made.save()
    assert read_checkpoint(tmp_path / "one.json").upload_id == "ABC"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"upload_id": ""},
        {"upload_id": 5},
        {"size": -1},
        {"size": "5"},
        {"size": True},
        {"block_size": 0},
        {"block_size": 1 << 31},
        {"completing": "yes"},
        {"more": 1},
        {"key": None},
    ],
)
def test_what_is_damaged_counts_for_nothing(tmp_path, changes):
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"version": 1, **FIELDS, "completing": False, **changes}))
    assert read_checkpoint(file) is None


@given(st.binary() | st.text().map(str.encode) | st.just(b"[" * 60_000) | st.just(b"{}"))
def test_any_bytes(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(data)
    assert read_checkpoint(file) is None


def test_every_cut_of_a_file_counts_for_nothing(tmp_path):
    file = tmp_path / "one.json"
    Checkpoint(file, **FIELDS).save()
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert read_checkpoint(file) is None


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(OSError, match="directory"):
        read_checkpoint(tmp_path)


def test_wrong_fields():
    with pytest.raises(TypeError, match="more: unknown"):
        Checkpoint("x", **FIELDS, more=1)
    with pytest.raises(TypeError, match="size: must be int"):
        Checkpoint("x", **{**FIELDS, "size": "5"})
