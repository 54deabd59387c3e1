"""The store: transactions, content files and who uses them."""

from __future__ import annotations

import pytest

from ossmedia.emulator.blobs import MEMORY_SIZE, Segment, Spool, cut
from ossmedia.emulator.records import Attributes, Bucket, Part, StoredObject, Upload
from ossmedia.emulator.state import DirectoryInUse, Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data")
    yield made
    made.close()


def _stored(store, key, data, bucket="cams"):
    spool = Spool(store.blobs)
    spool.write(data)
    content = spool.finish()
    return StoredObject(
        bucket, key, "Normal", content.size, content.crc, content.etag, 1.5,
        Attributes(tags={"a": "b"}), content.segments, md5="x",
    )  # fmt: skip


def _read(store, key, bucket="cams"):
    found = store.object(bucket, key)
    return b"".join(store.blobs.read(found.segments, 0, found.size))


def test_what_is_put_comes_back_whole(store):
    new = _stored(store, "k\x00ü", b"data")
    with store.transaction():
        store.put_object(new, None)
        store.put_bucket(Bucket("cams", 2.5, lifecycle=b"<x/>"))
    found = store.object("cams", "k\x00ü")
    assert found is not None
    found.row = 0
    assert found == new
    assert store.bucket("cams") == Bucket("cams", 2.5, lifecycle=b"<x/>")


def test_a_failed_transaction_changes_nothing(store):
    with store.transaction():
        store.put_object(_stored(store, "k", b"old"), None)
    with pytest.raises(RuntimeError), store.transaction():
        store.put_object(_stored(store, "k", b"new"), store.object("cams", "k"))
        raise RuntimeError
    assert _read(store, "k") == b"old"
    with store.transaction():
        store.delete_object(store.object("cams", "k"))
    assert store.object("cams", "k") is None


def test_shared_content_goes_with_its_last_user(store):
    first = _stored(store, "a", b"data")
    with store.transaction():
        store.put_object(first, None)
    with store.transaction():
        second = store.object("cams", "a")
        second.key = "b"
        store.put_object(second, None)
        store.put_part(Part("U", 1, 2, 0, "E", 1.0, (first.segments[0]._replace(length=2),)))
    for key in ("a", "b"):
        assert len(list(store.blobs.names())) == 1
        with store.transaction():
            store.delete_object(store.object("cams", key))
    assert len(list(store.blobs.names())) == 1
    with store.transaction():
        store.put_upload(Upload("U", "cams", "m", 1.0, Attributes()))
        store.delete_upload("U")
    assert list(store.blobs.names()) == []


def test_a_pinned_file_outlives_its_object(store):
    with store.transaction():
        store.put_object(_stored(store, "k", b"data"), None)
    stored = store.object("cams", "k")
    store.blobs.pin(stored.segments)
    store.blobs.pin(stored.segments)
    with store.transaction():
        store.delete_object(stored)
    store.blobs.unpin(stored.segments)
    assert b"".join(store.blobs.read(stored.segments, 0, 4)) == b"data"
    store.blobs.unpin(stored.segments)
    assert list(store.blobs.names()) == []


def test_one_process_at_a_time(store, tmp_path):
    with pytest.raises(DirectoryInUse, match="in use"):
        Store(tmp_path / "data")
    store.close()
    Store(tmp_path / "data").close()


def test_files_without_a_row_are_removed_at_the_next_start(tmp_path):
    store = Store(tmp_path)
    with store.transaction():
        store.put_object(_stored(store, "k", b"kept"), None)
    Spool(store.blobs).write(b"x")
    abandoned = Spool(store.blobs)
    abandoned.write(b"x" * (MEMORY_SIZE + 1))
    assert len(list(store.blobs.names())) == 2
    store.close()
    again = Store(tmp_path)
    assert len(list(again.blobs.names())) == 1
    assert _read(again, "k") == b"kept"
    again.close()
    abandoned.drop()


@pytest.mark.parametrize("size", [0, 1, MEMORY_SIZE, MEMORY_SIZE + 1, 3 * MEMORY_SIZE])
def test_a_spool_keeps_every_byte(store, size):
    data = bytes(range(256)) * (size // 256 + 1)
    spool = Spool(store.blobs)
    for start in range(0, size, 100_000):
        spool.write(data[start : min(size, start + 100_000)])
    assert (spool.memory is None) == (size > MEMORY_SIZE)
    content = spool.finish()
    assert content.size == size
    assert b"".join(store.blobs.read(content.segments, 0, size)) == data[:size]


def test_a_dropped_spool_leaves_no_file(store):
    spool = Spool(store.blobs)
    spool.write(b"x" * (MEMORY_SIZE + 1))
    spool.drop()
    spool.drop()
    assert list(store.blobs.names()) == []


def test_cut():
    segments = (Segment("a", 10, 5), Segment("b", 0, 5), Segment("c", 2, 5))
    assert cut(segments, 0, 15) == list(segments)
    assert cut(segments, 4, 3) == [Segment("a", 14, 1), Segment("b", 0, 2)]
    assert cut(segments, 5, 5) == [Segment("b", 0, 5)]
    assert cut(segments, 14, 99) == [Segment("c", 6, 1)]
    assert cut(segments, 3, 0) == []


def test_the_data_is_private_to_its_owner(tmp_path):
    store = Store(tmp_path)
    with store.transaction():
        store.put_object(_stored(store, "k", b"data"), None)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
    store.close()
