"""From the spool into the cloud when something stands in the way: a restart that knows less than
OSS holds, other writers, missing rights, damaged files."""

from __future__ import annotations

import shutil

import pytest

from ossmedia import Credentials, StreamBroken, crc64
from ossmedia.sts import TokenIssuer
from tests.spool_rig import (
    bucket_of,
    check,
    content,
    data_files,
    joined,
    lawful,
    pattern,
    until,
)

BLOCK = 102_400
DATA = pattern(350_000)
UNAVAILABLE = {"action": "status", "status": 503, "code": "ServiceUnavailable"}


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def spool(folder):
    with lawful(folder) as made:
        yield made


def requests(cloud):
    return cloud.counters()["requests"]


# -- a process that is gone, played with a copy of its folder


def interrupted(cloud, folder, copy, mode, **fault):
    """A copy of the spool from the middle of a delivery, which then goes on to its end, so that the
    copy knows less than OSS holds. Returns the object's content in OSS."""
    with lawful(folder) as spool, bucket_of(cloud, spool) as bucket:
        cloud.fault(**UNAVAILABLE, times=0, **fault)
        with bucket.open("k", mode) as f:
            f.write(DATA)
        until(lambda: check(spool).error)
        shutil.copytree(folder, copy)
        cloud.clear_faults()
        assert spool.drain(30)


def test_a_stream_goes_on_where_oss_is(cloud, folder, tmp_path):
    """The copy thinks that two blocks were stored, OSS holds all of them."""
    interrupted(cloud, folder, tmp_path / "copy", "ab", operation="AppendObject", after=2)
    before = requests(cloud)["AppendObject"]
    with lawful(tmp_path / "copy") as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
        (done,) = spool.receipts()
        assert [part.key for part in done.receipt.generations] == ["k"]
    assert content(cloud, "k") == DATA
    assert requests(cloud)["AppendObject"] == before


@pytest.mark.parametrize("extra", [-1, 0, 1], ids=["shorter", "same length", "longer"])
def test_a_stream_that_others_wrote_to_while_nobody_looked_forks(cloud, folder, tmp_path, extra):
    interrupted(cloud, folder, tmp_path / "copy", "ab", operation="AppendObject", after=2)
    foreign = b"x" * (len(DATA) - 2 * BLOCK + extra)
    with bucket_of(cloud) as owner:
        owner.delete("k")
        with owner.open("k", "ab") as f:
            f.write(DATA[: 2 * BLOCK] + foreign)
    with lawful(tmp_path / "copy") as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
        (done,) = spool.receipts()
    assert content(cloud, "k") == DATA[: 2 * BLOCK] + foreign
    assert done.receipt.generations[-1].key == "k~g2"
    assert joined(cloud, done.receipt) == DATA


@pytest.mark.parametrize("how", ["deleted", "replaced", "shortened"])
def test_a_stream_whose_object_is_gone_forks(cloud, folder, tmp_path, how):
    with lawful(folder, file_size=65_536) as spool, bucket_of(cloud, spool) as bucket:
        f = bucket.open("k", "ab", linger_s=0.0)
        f.write(DATA[:80_000])
        f.write(DATA[80_000:160_000])
        assert spool.drain(30)
        with bucket_of(cloud) as owner:
            owner.delete("k")
            if how != "deleted":
                with owner.open("k", "wb" if how == "replaced" else "ab") as other:
                    other.write(b"mine now")
        f.write(DATA[160_000:])
        f.close()
        assert spool.drain(30)
    assert [part.key for part in f.result.generations] == ["k", "k~g2"]
    assert content(cloud, "k~g2") == DATA[160_000:]
    if how != "deleted":
        assert content(cloud, "k") == b"mine now"


def test_a_taken_name_is_passed_over(cloud, spool):
    with bucket_of(cloud) as owner:
        for key in ("k~g2", "k~g3"):
            owner.put(key, b"somebody's")
    with bucket_of(cloud, spool) as bucket:
        f = bucket.open("k", "ab", linger_s=0.0)
        f.write(DATA[:1000])
        assert spool.drain(30)
        with bucket_of(cloud) as owner, owner.open("k", "ab") as other:
            other.write(b"intruder")
        f.write(DATA[1000:])
        f.close()
        assert spool.drain(30)
    assert [part.key for part in f.result.generations] == ["k", "k~g4"]
    assert joined(cloud, f.result) == DATA


def test_a_clip_goes_on_with_its_parts(cloud, folder, tmp_path):
    interrupted(cloud, folder, tmp_path / "copy", "wb", operation="UploadPart", after=2)
    with bucket_of(cloud) as owner:
        owner.delete("k")
    with lawful(tmp_path / "copy") as spool, bucket_of(cloud, spool):
        # The upload was completed: nothing of it is left, and the object was deleted since.
        assert spool.drain(30)
    assert content(cloud, "k") == DATA


def test_parts_that_oss_holds_are_not_sent_again(cloud, folder, tmp_path):
    with lawful(folder) as spool, bucket_of(cloud, spool, parallel=1) as bucket:
        cloud.fault(**UNAVAILABLE, times=0, operation="UploadPart", after=2)
        with bucket.open("k", "wb") as f:
            f.write(DATA)
        until(lambda: check(spool).error)
        shutil.copytree(folder, tmp_path / "copy")
    cloud.clear_faults()
    failed = requests(cloud)["UploadPart"]
    with lawful(tmp_path / "copy") as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
    assert content(cloud, "k") == DATA
    assert requests(cloud)["UploadPart"] == failed + 2
    assert requests(cloud)["InitiateMultipartUpload"] == 1


def test_a_clip_whose_completion_nobody_heard_of(cloud, folder, tmp_path):
    """Completed by a process that is gone: proved by length and CRC-64, nothing is sent."""
    interrupted(cloud, folder, tmp_path / "copy", "wb", operation="CompleteMultipartUpload")
    sent = requests(cloud)
    with lawful(tmp_path / "copy") as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
        assert spool.receipts()[0].receipt.crc64 == crc64(DATA)
    after = requests(cloud)
    assert after["UploadPart"] == sent["UploadPart"]
    assert after["InitiateMultipartUpload"] == 1
    assert content(cloud, "k") == DATA


# -- objects that stand in the way


@pytest.mark.parametrize("size", [1000, 350_000])
def test_xb_over_another_object_is_parked_and_kept(cloud, spool, size):
    with bucket_of(cloud) as owner:
        owner.put("k", b"somebody's")
    with bucket_of(cloud, spool) as bucket:
        with bucket.open("k", "xb") as f:
            f.write(DATA[:size])
        bucket.put("next", b"sent")
        assert not spool.drain(30)
        status = check(spool)
        assert (status.parked, status.spooled, status.acked) == (1, size, 4)
        assert content(cloud, "k") == b"somebody's"
        with bucket_of(cloud) as owner:
            owner.delete("k")
        assert spool.drain(30)
        assert content(cloud, "k") == DATA[:size]


@pytest.mark.parametrize("size", [1000, 350_000])
def test_xb_over_its_own_bytes_is_stored(cloud, spool, size):
    with bucket_of(cloud) as owner:
        owner.put("k", DATA[:size])
    with bucket_of(cloud, spool) as bucket:
        with bucket.open("k", "xb") as f:
            f.write(DATA[:size])
        assert spool.drain(30)
        assert f.result.crc64 == crc64(DATA[:size])


@pytest.mark.parametrize("mode", ["wb", "xb", "ab", "put"])
@pytest.mark.parametrize("action", ["wrong_crc", "drop_crc"])
def test_damage_however_often_is_no_reason_to_give_up(cloud, spool, mode, action):
    """The spool has the bytes whole: they are sent again until OSS's CRC-64 is theirs."""
    operations = {"ab": "AppendObject", "put": "PutObject"}
    cloud.fault(action, operation=operations.get(mode, "UploadPart"), times=6)
    cloud.fault("status", status=500, operation=operations.get(mode, "UploadPart"), times=4)
    with bucket_of(cloud, spool) as bucket:
        if mode == "put":
            bucket.put("k", DATA)
        else:
            with bucket.open("k", mode) as f:
                f.write(DATA)
        assert spool.drain(30), check(spool)
        assert content(cloud, "k") == DATA
        assert check(spool).parked == 0


def test_an_empty_stream_is_made_although_the_first_try_fails(cloud, spool):
    cloud.fault("status", status=500, operation="AppendObject", times=2)
    with bucket_of(cloud, spool) as bucket:
        bucket.open("empty", "ab").close()
        assert spool.drain(30)
    assert content(cloud, "empty") == b""
    (done,) = spool.receipts()
    assert (done.receipt.key, done.receipt.size) == ("empty", 0)


def test_who_is_refused_is_asked_for_again_although_something_was_dropped(cloud, folder):
    """What a policy drops while all of it is refused is no news from OSS."""
    cloud.fault("status", status=403, code="AccessDenied", times=0)
    with lawful(folder) as spool, bucket_of(cloud, spool) as bucket:
        for number in range(3):
            bucket.put(f"{number}", b"x")
        until(lambda: check(spool).parked >= 2)
        first = spool._shelf.all()[0]
        spool._policy.drop_rest(first, "drop_oldest")
        spool._drain.poke()
        until(lambda: first.id not in spool._drain._deliveries)
        cloud.clear_faults()
        assert spool.drain(30)
        assert content(cloud, "1") == content(cloud, "2") == b"x"


def test_append_to_a_normal_object_is_parked(cloud, spool):
    with bucket_of(cloud) as owner:
        owner.put("k", b"normal")
    with bucket_of(cloud, spool) as bucket:
        with bucket.open("k", "ab") as f:
            f.write(DATA)
        assert not spool.drain(30)
        assert "ObjectNotAppendable" in check(spool).error
        assert check(spool).spooled == len(DATA)
    assert content(cloud, "k") == b"normal"


# -- tokens that may only write


def camera(cloud, spool):
    issuer = TokenIssuer(
        cloud.role_arn,
        cloud.buckets[0],
        credentials=Credentials(cloud.access_key_id, cloud.access_key_secret),
        secure_transport=False,
        endpoint=cloud.sts_endpoint,
    )
    token = issuer.get_token("cams/cam-1/*", "a", 900, device="cam-1")
    return bucket_of(cloud, spool, credentials=token)


def test_a_write_only_token_delivers(cloud, spool):
    with camera(cloud, spool) as bucket:
        with bucket.open("cams/cam-1/live", "ab") as f:
            f.write(DATA)
        with bucket.open("cams/cam-1/clip", "wb") as g:
            g.write(DATA)
        assert spool.drain(30)
    assert len(f.result.generations) == 1
    assert content(cloud, "cams/cam-1/live") == content(cloud, "cams/cam-1/clip") == DATA


def test_a_write_only_token_forks_on_doubt(cloud, spool):
    with camera(cloud, spool) as bucket:
        cloud.fault("drop", when="after", operation="AppendObject", after=1)
        with bucket.open("cams/cam-1/live", "ab") as f:
            f.write(DATA)
        assert spool.drain(30)
    keys = [part.key for part in f.result.generations]
    assert keys == ["cams/cam-1/live", "cams/cam-1/live~g2"]
    assert joined(cloud, f.result) == DATA


def test_a_write_only_token_after_a_restart(cloud, folder, tmp_path):
    """OSS refuses a wrong position: what it holds and nobody may ask for goes elsewhere, again."""
    with lawful(folder) as spool, camera(cloud, spool) as bucket:
        f = bucket.open("cams/cam-1/live", "ab", linger_s=0.0)
        f.write(DATA[:1000])
        assert spool.drain(30)
        shutil.copytree(folder, tmp_path / "copy")
        f.close()
    with lawful(tmp_path / "copy") as spool, camera(cloud, spool):
        assert spool.drain(30)
        (done,) = spool.receipts()
    assert joined(cloud, done.receipt) == DATA[:1000]
    assert content(cloud, "cams/cam-1/live") == DATA[:1000]


# -- damage


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 16
    path.write_bytes(raw)


def test_a_flipped_bit_in_a_stream(cloud, folder):
    with lawful(folder, file_size=65_536) as spool:
        with spool.open(cloud.buckets[0], "live", "ab") as f:
            for at in range(0, 350_000, 10_000):
                f.write(DATA[at : at + 10_000])
        spool.put(cloud.buckets[0], "later", b"data")
    flip(data_files(folder)[2], 30_000)
    with lawful(folder) as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
        (stone,) = spool.tombstones()
        assert (stone.reason, stone.key) == ("damaged", "live")
        lost = stone.last - stone.first
        assert lost <= 70_000
        live, later = spool.receipts()
        assert live.tombstones == (stone,)
        assert joined(cloud, live.receipt) == DATA[: stone.first] + DATA[stone.last :]
        assert live.receipt.crc64 == crc64(DATA[: stone.first] + DATA[stone.last :])
        assert later.receipt.size == 4
        status = check(spool)
        assert (status.quarantined, status.dropped, status.spooled) == (1, lost, 0)
        assert "live: bytes" in spool.recovered[0]
    with lawful(folder) as spool:
        assert check(spool).dropped == lost


def test_a_flipped_bit_in_a_clip(cloud, folder):
    with lawful(folder, file_size=65_536) as spool:
        for key in ("first", "second"):
            with spool.open(cloud.buckets[0], key, "wb") as f:
                f.write(DATA)
    flip(data_files(folder)[0], 50_000)
    with lawful(folder) as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
        (stone,) = spool.tombstones()
        assert (stone.reason, stone.key, stone.last) == ("damaged", "first", len(DATA))
        assert check(spool).quarantined >= 1
        assert content(cloud, "second") == DATA
        with pytest.raises(FileNotFoundError):
            content(cloud, "first")
        assert requests(cloud).get("AbortMultipartUpload", 0) <= 1


def test_a_file_that_goes_away_while_it_is_needed(cloud, folder):
    with lawful(folder, file_size=65_536) as spool:
        with spool.open(cloud.buckets[0], "live", "ab") as f:
            for at in range(0, 350_000, 10_000):
                f.write(DATA[at : at + 10_000])
        data_files(folder)[3].unlink()
        with bucket_of(cloud, spool):
            assert spool.drain(30)
        (stone,) = spool.tombstones()
        assert stone.reason == "missing"
        (done,) = spool.receipts()
        assert joined(cloud, done.receipt) == DATA[: stone.first] + DATA[stone.last :]


def test_dropped_while_it_is_being_sent(cloud, folder):
    """By policy, in an outage: the writer of a clip is told, and OSS drops the parts."""
    with lawful(folder, max_bytes=512 << 10, policy="drop_oldest") as spool:
        with bucket_of(cloud, spool) as bucket:
            with bucket.open("old", "wb") as f:
                f.write(DATA)
            cloud.fault(**UNAVAILABLE, times=0, operation="UploadPart")
            until(lambda: requests(cloud).get("InitiateMultipartUpload", 0))
            with bucket.open("new", "wb") as g:
                g.write(DATA)
            with pytest.raises(StreamBroken):
                with bucket.open("huge", "wb") as h:
                    h.write(DATA)
                    h.write(DATA)
            cloud.clear_faults()
            assert spool.drain(30)
        assert {stone.key for stone in spool.tombstones()} >= {"huge"}
        assert f.result is None or content(cloud, "old") == DATA
        assert g.result is None or content(cloud, "new") == DATA


def test_receipts_are_kept_over_restarts_and_bounded(cloud, folder, monkeypatch):
    monkeypatch.setattr("ossmedia.spool_state.MOST_RECEIPTS", 5)
    with lawful(folder) as spool, bucket_of(cloud, spool) as bucket:
        for number in range(8):
            bucket.put(f"{number}", b"x")
        assert spool.drain(30)
        told = spool.receipts()
        assert [done.receipt.key for done in told] == ["3", "4", "5", "6", "7"]
    with lawful(folder) as spool:
        assert spool.receipts() == told
