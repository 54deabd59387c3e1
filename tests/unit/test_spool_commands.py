"""``ossmedia spool``: what an operator sees of a spool, and how footage gets out of it."""

from __future__ import annotations

import json
import shutil

import pytest

from ossmedia.cli import main
from tests.spool_rig import content, data_files, lawful, pattern

DATA = pattern(200_000)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def killed(folder, tmp_path):
    """A spool as kill -9 leaves it: a clip that was closed, a stream that was not."""
    with lawful(folder, file_size=65_536) as spool:
        spool.put("cams", "cam-1/clip.mp4", DATA)
        f = spool.open("cams", "cam-1/live.ts", "ab")
        for at in range(0, 200_000, 10_000):
            f.write(DATA[at : at + 10_000])
        shutil.copytree(folder, tmp_path / "killed")
        f.abort()
    return tmp_path / "killed"


def run(*words):
    return main(["spool", *map(str, words)])


def test_status_after_a_killed_recording(killed, capsys):
    before = {path.name: path.read_bytes() for path in data_files(killed)}
    for _ in range(2):
        assert run("status", killed, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["written"], found["spooled"], found["balance"]) == (400_000, 400_000, 0)
        assert (found["waiting"], found["open"]) == (1, 1)
        assert [row["key"] for row in found["objects"]] == ["cam-1/clip.mp4", "cam-1/live.ts"]
    assert run("status", killed) == 0
    text = capsys.readouterr().out
    assert "spooled:" in text
    assert "400,000" in text
    assert "oss://cams/cam-1/live.ts" in text
    assert {path.name: path.read_bytes() for path in data_files(killed)} == before


def test_status_of_a_spool_that_is_in_use(folder, capsys):
    with lawful(folder) as spool, spool.open("cams", "k", "ab") as f:
        f.write(DATA)
        assert run("status", folder, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["written"], found["spooled"], found["open"]) == (200_000, 200_000, 1)


def test_a_key_does_not_steer_the_terminal(folder, capsys):
    with lawful(folder) as spool:
        spool.put("cams", "a\x1b[2Jb", DATA)
    assert run("status", folder) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_verify(killed, capsys):
    assert run("verify", killed) == 0
    assert capsys.readouterr().out == "2 objects, 0 faults\n"
    path = data_files(killed)[-1]
    raw = bytearray(path.read_bytes())
    raw[5000] ^= 1
    path.write_bytes(raw)
    data_files(killed)[0].unlink()
    assert run("verify", killed) == 1
    out = capsys.readouterr().out
    assert "cam-1/clip.mp4: bytes 0 to 200000 are missing" in out


def test_verify_finds_every_flipped_bit(folder, capsys):
    with lawful(folder) as spool:
        spool.put("cams", "k", DATA)
    (path,) = data_files(folder)
    raw = path.read_bytes()
    for at in range(200, len(raw), 9973):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
        assert run("verify", folder, "-q") == 1
        assert "damaged" in capsys.readouterr().out
    path.write_bytes(raw)
    assert run("verify", folder, "-q") == 0


def test_export(killed, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("export", killed, out) == 0
    assert (out / "cam-1" / "clip.mp4").read_bytes() == DATA
    assert (out / "cam-1" / "live.ts").read_bytes() == DATA
    assert "oss://cams/cam-1/live.ts: " in capsys.readouterr().out
    assert run("export", killed, out, "-q") == 0
    assert (out / "cam-1" / "clip.mp4~1").read_bytes() == DATA


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("a/./b", "a/%2E/b"),
        ("a//b", "a/b"),
        ("a\\b\n", "a%5Cb%0A"),
        ("é" * 300, ("%C3%A9" * 300)[:200]),
    ],
)
def test_export_stays_in_its_folder(folder, tmp_path, key, name):
    with lawful(folder) as spool:
        spool.put("cams", key, b"x")
    out = tmp_path / "deep" / "er" / "out"
    assert run("export", folder, out, "-q") == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents]
    assert files == [out / name]


def test_export_of_what_is_left_and_of_the_quarantine(folder, tmp_path, capsys):
    with lawful(folder, file_size=65_536) as spool:
        with spool.open("cams", "live", "ab") as f:
            for at in range(0, 200_000, 10_000):
                f.write(DATA[at : at + 10_000])
        with spool.open("cams", "clip", "wb") as g:
            for at in range(0, 200_000, 10_000):
                g.write(DATA[at : at + 10_000])
    files = data_files(folder)
    files[1].unlink()
    files[-1].unlink()
    with lawful(folder):
        pass
    out = tmp_path / "out"
    assert run("export", folder, out) == 0
    assert (out / "live").read_bytes() == DATA[:70_000] + DATA[140_000:]
    kept = out / "quarantine"
    assert (kept / "clip").read_bytes() == DATA[:70_000]
    assert (kept / "clip.from-70000").read_bytes() == DATA[70_000:140_000]


@pytest.mark.parametrize("action", ["status", "verify", "export"])
def test_no_spool_there(tmp_path, capsys, action):
    more = [tmp_path / "out"] if action == "export" else []
    assert run(action, tmp_path / "none", *more) == 1
    assert "there is no spool" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_drain(cloud, killed, capsys):
    assert run("drain", killed, "--timeout", 30) == 0
    assert capsys.readouterr().out == "400000 bytes stored, 0 left, 0 dropped\n"
    assert content(cloud, "cam-1/clip.mp4") == content(cloud, "cam-1/live.ts") == DATA
    assert data_files(killed) == []
    assert run("drain", killed, "--json") == 0
    assert json.loads(capsys.readouterr().out)["acked"] == 400_000


def test_drain_tells_what_is_left(cloud, killed, capsys):
    cloud.fault("status", status=403, code="AccessDenied", key="*clip*", times=0)
    assert run("drain", killed, "--timeout", 30) == 1
    out = capsys.readouterr().out
    assert "200000 bytes stored, 200000 left, 0 dropped" in out
    assert "AccessDenied" in out


def test_drain_of_a_spool_that_is_in_use(cloud, folder, capsys):
    with lawful(folder):
        assert run("drain", folder) == 1
        assert "owns this spool" in capsys.readouterr().err
