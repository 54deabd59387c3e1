"""Opening what another process left: torn ends, flipped bits, missing files, a damaged or newer
state. One clear error, or a report and everything else delivered; never twice the same trouble."""

from __future__ import annotations

import os
import shutil
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossmedia import Spool, SpoolError
from ossmedia.spool_blocks import BLOCK_HEADER
from ossmedia.spool_reading import Damaged
from tests.spool_rig import check, data_files, lawful, pattern
from tests.unit.test_spool import held

DATA = pattern(200_000)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def leave(folder, to, *, sync_at=0, mode="ab", **options):
    """A spool as kill -9 leaves it while an object is open: a copy of the folder, taken then."""
    with lawful(folder, commit_interval=3600.0, **options) as spool:
        f = spool.open("cams", "k", mode)
        for at in range(0, len(DATA), 5000):
            f.write(DATA[at : at + 5000])
            if at + 5000 == sync_at:
                f.sync()
        shutil.copytree(folder, to)
        f.abort()
    return to


def test_killed_before_the_first_byte(folder, tmp_path):
    with lawful(folder) as spool:
        f = spool.open("cams", "k", "ab")
        shutil.copytree(folder, tmp_path / "copy")
        f.abort()
    for _ in range(2):
        with lawful(tmp_path / "copy") as spool:
            assert check(spool).waiting == 0
            assert spool.recovered == ()


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
def test_an_unfinished_object_is_delivered_as_it_is(folder, tmp_path, mode):
    copy = leave(folder, tmp_path / "copy", mode=mode, file_size=65_536)
    with lawful(copy) as spool:
        assert held(spool, "k") == DATA
        assert spool.recovered == ("k: was not closed; its 200000 bytes will be delivered",)
        assert check(spool).waiting == 1
    with lawful(copy) as spool:  # once is enough
        assert held(spool, "k") == DATA
        assert spool.recovered == ()


def test_an_unfinished_clip_is_discarded_if_so_wanted(folder, tmp_path):
    copy = leave(folder, tmp_path / "copy", mode="wb")
    with lawful(copy, unfinished="discard") as spool:
        status = check(spool)
        assert (status.waiting, status.dropped, status.written) == (0, 200_000, 200_000)
        assert [stone.reason for stone in spool.tombstones()] == ["discarded"]
        assert data_files(copy) == []


def test_an_unfinished_stream_is_never_discarded(folder, tmp_path):
    copy = leave(folder, tmp_path / "copy", mode="ab")
    with lawful(copy, unfinished="discard") as spool:
        assert held(spool, "k") == DATA


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_torn_end_is_cut_off(tmp_path_factory, data):
    """The last bytes were never promised: cut, zeroed or garbled, what stands before them stays."""
    base = tmp_path_factory.mktemp("torn")
    sync_at = data.draw(st.sampled_from([0, 50_000, 100_000, 195_000]))
    copy = leave(base / "spool", base / "copy", sync_at=sync_at)
    (path,) = data_files(copy)
    raw = bytearray(path.read_bytes())
    count = data.draw(st.integers(1, 4096))
    how = data.draw(st.sampled_from(["cut", "zero", "garble"]))
    at = len(raw) - count
    if how == "cut":
        del raw[at:]
    else:
        raw[at:] = bytes(count) if how == "zero" else bytes(b ^ 0x5A for b in raw[at:])
    path.write_bytes(raw)
    with lawful(copy) as spool:
        found = held(spool, "k")
        assert found == DATA[: len(found)]
        assert sync_at <= len(found) < len(DATA)
        assert len(DATA) - len(found) <= 65_536 + count
        assert check(spool).torn > 0 or how == "cut"
        assert check(spool).written == len(found)
    with lawful(copy) as spool:
        assert held(spool, "k") == found
        assert check(spool).torn == 0


def test_what_fills_a_page_is_not_torn(folder, tmp_path):
    """A commit fills the last page with zeros; behind them goes on what is written later."""
    with lawful(folder, commit_interval=3600.0) as spool:
        f = spool.open("cams", "k", "ab")
        for number in range(3):
            f.write(DATA[number * 10_000 : (number + 1) * 10_000])
            f.sync()
            (path,) = data_files(folder)
            assert path.stat().st_size % 4096 == 0
            assert check(spool).disk_bytes == path.stat().st_size
            shutil.copytree(folder, tmp_path / str(number))
        f.close()
    for number in range(3):
        with lawful(tmp_path / str(number)) as spool:
            assert held(spool, "k") == DATA[: (number + 1) * 10_000]
            assert check(spool).torn == 0
            assert spool.recovered == (
                f"k: was not closed; its {(number + 1) * 10_000} bytes will be delivered",
            )


def test_what_was_promised_is_not_cut_off(folder, tmp_path):
    """A fault in the middle of an open file, with a later commit behind it, is damage: what stands
    behind it stays."""
    copy = leave(folder, tmp_path / "copy", sync_at=150_000)
    (path,) = data_files(copy)
    raw = bytearray(path.read_bytes())
    raw[30_000] ^= 1
    path.write_bytes(raw)
    with lawful(copy) as spool:
        assert check(spool).written == len(DATA)
        with pytest.raises(Damaged) as caught:
            held(spool, "k")
        assert caught.value.first == 0
        assert caught.value.last < 100_000


def test_a_fault_before_nothing_promised_ends_it(folder, tmp_path):
    """The same without a commit: a power cut writes pages in any order, so it is a torn end."""
    copy = leave(folder, tmp_path / "copy")
    (path,) = data_files(copy)
    raw = bytearray(path.read_bytes())
    raw[100_000] ^= 1
    path.write_bytes(raw)
    with lawful(copy) as spool:
        found = held(spool, "k")
        assert 30_000 < len(found) < 100_000
        assert found == DATA[: len(found)]
        assert check(spool).torn > 100_000


def spoiled(folder, mode, change):
    """A spool with one object in several files, one of which was changed, and one behind it."""
    with lawful(folder, file_size=65_536) as spool:
        for key in ("first", "second"):
            with spool.open("cams", key, mode) as f:
                for at in range(0, len(DATA), 5000):
                    f.write(DATA[at : at + 5000])
    change(data_files(folder)[1])


def test_a_missing_file_of_a_stream(folder):
    spoiled(folder, "ab", lambda path: path.unlink())
    for _ in range(2):
        with lawful(folder) as spool:
            (stone,) = spool.tombstones()
            assert (stone.key, stone.reason) == ("first", "missing")
            lost = stone.last - stone.first
            assert lost == 70_000
            assert held(spool, "first") == DATA[: stone.first] + DATA[stone.last :]
            assert held(spool, "second") == DATA
            assert check(spool).dropped == lost


def test_a_missing_file_of_a_clip(folder):
    spoiled(folder, "wb", lambda path: path.unlink())
    with lawful(folder) as spool:
        (stone,) = spool.tombstones()
        assert (stone.key, stone.reason, stone.last) == ("first", "missing", len(DATA))
        assert held(spool, "second") == DATA
        assert spool.recovered == ("first: 200000 bytes are missing",)
        assert check(spool).quarantined == 2
    with lawful(folder) as spool:
        assert spool.recovered == ()


def held_or_damaged(spool, key):
    try:
        return held(spool, key)
    except Damaged as damage:
        return damage


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found_when_it_is_read(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("bits") / "spool"
    with lawful(folder) as spool:
        with spool.open("cams", "k", "ab") as f:
            for at in range(0, 20_000, 1000):
                f.write(DATA[at : at + 1000])
                f.sync()
    (path,) = data_files(folder)
    raw = bytearray(path.read_bytes())
    at = int(place * len(raw))
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    with lawful(folder) as spool:
        found = held_or_damaged(spool, "k")
        if isinstance(found, Damaged):
            assert found.last - found.first <= 2000
        else:
            assert found == DATA[:20_000]  # between the blocks, or in the file's header


def test_the_file_header_is_not_needed_to_read_a_sealed_file(folder):
    spoiled(folder, "ab", lambda path: damage(path, 12))
    with lawful(folder) as spool:
        assert held(spool, "first") == DATA


def damage(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def test_a_key_with_a_flipped_bit_is_not_believed(folder):
    spoiled(folder, "ab", lambda path: None)
    with sqlite3.connect(folder / "state.db") as db:
        db.execute("UPDATE items SET key = 'firsu' WHERE key = 'first'")
    db.close()
    with lawful(folder) as spool:
        assert held(spool, "first") == DATA


def test_an_unsealed_file_with_a_damaged_header_is_kept(folder, tmp_path):
    copy = leave(folder, tmp_path / "copy")
    damage(data_files(copy)[0], 30)
    with lawful(copy) as spool:
        assert check(spool).quarantined == 1
        assert data_files(copy) == []
        assert "damaged, went into the quarantine" in spool.recovered[0]


def test_leftovers_go(folder):
    """Files of objects that were confirmed, and of a put() that never returned."""
    with lawful(folder) as spool:
        spool.put("cams", "k", DATA)
        with spool.open("cams", "gone", "wb") as f:
            f.write(DATA)
        kept, gone = data_files(folder)
        shutil.copy(gone, folder / "data" / gone.name.replace("2-", "9-"))
        raw = gone.read_bytes()
        spool._policy.drop_rest(f._item, "drop_oldest")
    gone.write_bytes(raw)
    with lawful(folder) as spool:
        assert data_files(folder) == [kept]
        assert held(spool, "k") == DATA


# -- the state


def test_a_newer_format_is_refused_and_nothing_changes(folder):
    spoiled(folder, "ab", lambda path: None)
    with sqlite3.connect(folder / "state.db") as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    before = {path.name: path.read_bytes() for path in data_files(folder)}
    for _ in range(2):
        with pytest.raises(SpoolError, match="format 2 is newer than 1"):
            Spool(folder)
    assert {path.name: path.read_bytes() for path in data_files(folder)} == before


@pytest.mark.parametrize("how", ["garbage", "a damaged page", "missing"])
def test_without_its_state_everything_is_kept(folder, how):
    spoiled(folder, "ab", lambda path: None)
    state = folder / "state.db"
    if how == "garbage":
        state.write_bytes(b"no database" * 1000)
    elif how == "a damaged page":
        raw = bytearray(state.read_bytes())
        raw[1024 : len(raw)] = bytes(b ^ 0xFF for b in raw[1024:])
        state.write_bytes(raw)
    else:
        state.unlink()
    count = len(data_files(folder))
    with lawful(folder) as spool:
        assert data_files(folder) == []
        assert check(spool).quarantined == count + (how != "missing")
        assert check(spool).disk_bytes >= 400_000
        assert spool.recovered
        spool.put("cams", "next", DATA)
        assert held(spool, "next") == DATA
    with lawful(folder) as spool:
        assert spool.recovered == ()
        assert held(spool, "next") == DATA


def test_a_state_that_cannot_be_opened(folder):
    with lawful(folder):
        pass
    (folder / "state.db").unlink()
    (folder / "state.db").mkdir()
    with pytest.raises(SpoolError, match=r"state\.db"):
        Spool(folder)
    (folder / "state.db").rmdir()
    with lawful(folder):
        pass


def test_a_block_header_fits_a_sector():
    assert 4096 % BLOCK_HEADER == 0
    assert os.sysconf("SC_PAGESIZE") % BLOCK_HEADER == 0
