"""Reading objects back from the spool's files: what many readers may share."""

from __future__ import annotations

from ossmedia.spool_reading import Sheet
from tests.spool_rig import bucket_of, lawful, pattern


def test_cursors_that_share_their_memory_do_not_mix_their_bytes(tmp_path):
    """Two objects with blocks at the same places of their files, read in turns."""
    sheet, wrote = Sheet(), {}
    with lawful(tmp_path / "spool", commit_interval=3600.0) as spool:
        for number, key in enumerate("abc"):
            wrote[key] = pattern(700_000, number)
            with spool.open("cams", key, "ab") as file:
                for at in range(0, 700_000, 22_000):
                    file.write(wrote[key][at : at + 22_000])
        items = {item.key: item for item in spool._shelf.all()}
        cursors = {key: item.cursor(sheet) for key, item in items.items()}
        found = {key: bytearray() for key in items}
        room = memoryview(bytearray(30_000))
        while any(len(found[key]) < 700_000 for key in found):
            for key, cursor in cursors.items():
                start, count = cursor.read(room, 700_000)
                assert start == len(found[key])
                found[key] += room[:count]
        for cursor in cursors.values():
            cursor.close()
    assert {key: bytes(value) for key, value in found.items()} == wrote


def test_a_hundred_open_objects_share_one_sheet(oss_emulator, tmp_path):
    """What a delivery needs for itself is not memory that is read into."""
    with lawful(tmp_path / "spool") as spool, bucket_of(oss_emulator, spool) as bucket:
        files = [bucket.open(f"shared/{number}", "ab", linger_s=0.0) for number in range(100)]
        for file in files:
            file.write(b"frame")
        assert spool.drain(30), spool.status()
        sheets = {id(one._cursor._window._sheet) for one in spool._drain._deliveries.values()}
        assert len(spool._drain._deliveries) == 100
        assert len(sheets) == 1
        for file in files:
            file.close()
        assert spool.drain(30), spool.status()
