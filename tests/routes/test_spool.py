"""From the spool into the cloud: everything, once, in order, whatever the network and OSS do."""

from __future__ import annotations

import pytest

from ossmedia import Retry, crc64
from ossmedia.clock import Clock
from ossmedia.spool_link import Link
from tests.spool_rig import (
    bucket_of,
    check,
    content,
    data_files,
    joined,
    lawful,
    pattern,
    tokens,
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


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 350_000])
def test_what_is_written_arrives(cloud, spool, folder, mode, size):
    with bucket_of(cloud, spool) as bucket:
        with bucket.open("a/b", mode, content_type="video/mp4", metadata={"cam": "7"}) as f:
            for at in range(0, size, 9999):
                f.write(DATA[at : min(at + 9999, size)])
        assert spool.drain(30)
        assert f.result.size == size
        assert f.result.crc64 == crc64(DATA[:size])
        assert content(cloud, "a/b") == DATA[:size]
        stat = bucket.stat("a/b")
        assert (stat.content_type, stat.metadata) == ("video/mp4", (("cam", "7"),))
    spool.commit()
    status = check(spool)
    assert (status.acked, status.spooled, status.waiting) == (size, 0, 0)
    assert data_files(folder) == []
    assert [done.receipt for done in spool.receipts()] == [f.result]


def test_one_put_is_one_request(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        assert bucket.put("segment.ts", DATA * 8) is None
        assert spool.drain(30)
    assert requests(cloud) == {"PutObject": 1}
    assert content(cloud, "segment.ts") == DATA * 8


def test_upload_copies_the_file(cloud, spool, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(DATA)
    seen = []
    with bucket_of(cloud, spool) as bucket:
        result = bucket.upload(path, "clip", progress=lambda *told: seen.append(told))
        path.unlink()
        assert spool.drain(30)
        assert result in (None, spool.receipts()[0].receipt), "None while the spool still has it"
    assert content(cloud, "clip") == DATA
    assert seen == sorted(set(seen))
    assert seen[-1] == (len(DATA), len(DATA))


def test_an_object_under_a_limit_of_appends_rolls(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        with bucket.open("roll", "ab", append_limit=2 * BLOCK) as f:
            f.write(DATA)
        assert spool.drain(30)
    keys = [part.key for part in f.result.generations]
    assert keys == ["roll", "roll~g2"]
    assert joined(cloud, f.result) == DATA


def test_appends_go_on_from_what_is_there(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        for part in (b"one,", b"two,", b"three"):
            with bucket.open("log", "ab") as f:
                f.write(part)
        assert spool.drain(30)
        assert content(cloud, "log") == b"one,two,three"
        assert f.result.generations[0].base == 8


def test_a_stream_is_sent_while_it_grows(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        f = bucket.open("live", "ab", linger_s=0.0)
        for at in range(0, 30_000, 10_000):
            f.write(DATA[at : at + 10_000])
            assert spool.drain(30)
            assert content(cloud, "live") == DATA[: at + 10_000]
        assert check(spool).acked == 30_000
        f.close()


def test_a_stream_lingers(cloud, spool):
    """Frames are gathered into few appends."""
    with bucket_of(cloud, spool) as bucket:
        with bucket.open("live", "ab", linger_s=3600.0) as f:
            for at in range(0, 350_000, 1000):
                f.write(DATA[at : at + 1000])
        assert spool.drain(30)
    assert content(cloud, "live") == DATA
    assert requests(cloud)["AppendObject"] <= 5


def test_parts_are_sent_while_a_clip_grows(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        f = bucket.open("clip", "wb")
        f.write(DATA)
        until(lambda: requests(cloud).get("UploadPart", 0) == 3)
        assert check(spool).acked == 0, "an object counts as a whole"
        f.close()
        assert spool.drain(30)
        assert requests(cloud)["UploadPart"] == 4
        assert content(cloud, "clip") == DATA


def test_an_aborted_clip_leaves_no_parts(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        with pytest.raises(KeyError), bucket.open("clip", "wb") as f:
            f.write(DATA)
            until(lambda: requests(cloud).get("UploadPart", 0) == 3)
            raise KeyError
        until(lambda: requests(cloud).get("AbortMultipartUpload", 0) == 1)
        assert f.result is None
        with pytest.raises(FileNotFoundError):
            content(cloud, "clip")


def test_objects_of_one_key_keep_their_order(cloud, folder):
    """Newest first, but never an older one over a newer one."""
    with lawful(folder, order="lifo") as spool:
        with bucket_of(cloud, spool) as bucket:
            cloud.fault("status", status=503, times=1)
            for number in range(3):
                bucket.put("same", b"%d" % number)
                bucket.put(f"other-{number}", b"x")
            assert spool.drain(30)
        assert content(cloud, "same") == b"2"


@pytest.mark.parametrize(("order", "expected"), [("fifo", "0123"), ("lifo", "3210")])
def test_the_order_of_sending(cloud, folder, monkeypatch, order, expected):
    sent: list[str] = []
    send = Link.send

    def sending(self, method, key, *rest):
        sent.append(key)
        return send(self, method, key, *rest)

    monkeypatch.setattr(Link, "send", sending)
    with lawful(folder, order=order) as spool:
        for number in range(4):
            spool.put(cloud.buckets[0], str(number), b"x")
        with bucket_of(cloud, spool):
            assert spool.drain(30)
    assert "".join(sent) == expected


def test_two_buckets_share_a_spool(cloud, spool):
    with bucket_of(cloud, spool) as cams:
        cams.put("k", b"cams")
        spool.put("clips", "k", b"clips")
        until(lambda: check(spool).waiting == 1)
        with pytest.raises(ValueError, match="attached already"):
            bucket_of(cloud, spool)
        assert not spool.drain(0.01)
    assert check(spool).spooled == 5
    assert content(cloud, "k") == b"cams"


def test_a_bucket_that_was_closed_and_made_anew(cloud, spool):
    with bucket_of(cloud, spool) as bucket:
        f = bucket.open("live", "ab", linger_s=0.0)
        f.write(DATA[:1000])
        assert spool.drain(30)
    f.write(DATA[1000:2000])
    with bucket_of(cloud, spool):
        assert spool.drain(30)
        f.write(DATA[2000:])
        f.close()
        assert spool.drain(30)
    assert content(cloud, "live") == DATA
    assert len(f.result.generations) == 1


# -- offline, and without a token


def test_recording_needs_neither_network_nor_token(cloud, folder):
    asked = []

    def no_token():
        asked.append(1)
        raise ConnectionError("nobody there")

    with lawful(folder) as spool, bucket_of(cloud, spool, credentials=no_token) as bucket:
        with bucket.open("clip", "wb") as f:
            f.write(DATA)
        until(lambda: len(asked) > 3)
        assert "credentials provider raised" in check(spool).error
        assert check(spool).spooled == len(DATA)
    with lawful(folder) as spool, bucket_of(cloud, spool):
        assert spool.drain(30)
    assert content(cloud, "clip") == DATA


class Simulated(Clock):
    """Waiting takes no time; the clock jumps instead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def wait(self, condition, seconds):
        if seconds is not None and seconds > 0.05:
            self.ahead += seconds
            seconds = 0.0005
        super().wait(condition, seconds)


def test_an_outage_is_knocked_at_seldom(cloud, folder):
    """However many objects wait, one request at a time, and full-jitter pauses between."""
    clock = Simulated()
    cloud.fault(**UNAVAILABLE, times=0)
    with lawful(folder, clock=clock) as spool:
        for number in range(30):
            spool.put(cloud.buckets[0], str(number), b"x")
        retry = Retry(base_s=0.2, cap_s=20.0, give_up_after_s=1e9)
        with bucket_of(cloud, spool, retry=retry):
            until(lambda: clock.ahead > 600)
            assert requests(cloud).get("PutObject", 0) < 600 / 5
            cloud.clear_faults()
            until(lambda: check(spool).waiting == 0)
    assert all(content(cloud, str(number)) == b"x" for number in range(30))


def test_who_is_refused_asks_seldom_and_keeps_all(cloud, folder):
    clock = Simulated()
    cloud.fault("status", status=403, code="AccessDenied", times=0)
    with lawful(folder, clock=clock) as spool:
        for number in range(20):
            spool.put(cloud.buckets[0], str(number), b"x")
        with bucket_of(cloud, spool):
            until(lambda: clock.ahead > 3600)
            asked, hours = requests(cloud).get("PutObject", 0), clock.ahead / 3600
            assert asked <= 12 * hours + 3
            assert check(spool).spooled == 20
            assert check(spool).parked > 0
            cloud.clear_faults()
            assert not spool.drain(0.0)  # asks at once
            until(lambda: check(spool).waiting == 0)


def test_one_refused_object_does_not_stop_the_others(cloud, spool):
    cloud.fault("status", status=403, code="AccessDenied", key="denied", times=0)
    with bucket_of(cloud, spool) as bucket:
        bucket.put("denied", b"kept")
        bucket.put("next", b"sent")
        assert not spool.drain(30)
        status = check(spool)
        assert (status.parked, status.acked, status.spooled) == (1, 4, 4)
        assert "AccessDenied" in spool._shelf.all()[0].error
        assert content(cloud, "next") == b"sent"
        cloud.clear_faults()
        assert spool.drain(30)


class Boot1970(Clock):
    """A camera without a battery: the wall clock counts from 1970."""

    def now(self) -> float:
        return self.monotonic() % 1000


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
def test_a_boot_at_1970(cloud, folder, mode):
    """Recording needs no clock; the delivery learns OSS's from one refusal, for all objects."""
    clock = Boot1970()
    with lawful(folder, clock=clock) as spool:
        for number in range(3):
            with spool.open(cloud.buckets[0], f"{number}", mode) as f:
                f.write(DATA[: 1000 + number])
        with bucket_of(cloud, spool, clock=clock):
            assert spool.drain(30), check(spool)
    each = {"wb": 1, "xb": 1, "ab": 2}[mode]  # an appended object is looked at first
    assert sum(requests(cloud).values()) <= 3 * each + 1, requests(cloud)
    assert all(content(cloud, f"{number}") == DATA[: 1000 + number] for number in range(3))


def test_an_answer_without_a_crc_counts_only_where_so_wanted(cloud, folder):
    cloud.fault("drop_crc", times=0)
    with lawful(folder) as spool:
        with bucket_of(cloud, spool) as bucket:
            bucket.put("k", DATA)
            until(lambda: "other bytes" in check(spool).error)
            assert check(spool).acked == 0
        with bucket_of(cloud, spool, verify_crc=False):
            assert spool.drain(30), check(spool)
    cloud.clear_faults()
    assert content(cloud, "k") == DATA


# -- answers that are lost, tokens that end


@pytest.mark.parametrize("mode", ["wb", "xb", "ab", "put"])
@pytest.mark.parametrize(
    "fault",
    [
        {"action": "drop", "when": "after"},
        {"action": "drop", "when": "before"},
        {"action": "reset", "body_bytes": 1000},
        {"action": "status", "status": 500, "when": "after"},
        {"action": "garbage", "status": 502, "when": "after"},
        {"action": "drop_crc", "operation": "[!H]*"},
        {"action": "wrong_crc", "operation": "[!H]*"},
        {"action": "expire"},
        {"action": "skew", "seconds": 0},
        UNAVAILABLE,
    ],
    ids=lambda fault: f"{fault['action']} {fault.get('when', '')}",
)
def test_each_request_fails_once(cloud, folder, mode, fault):
    """The n-th request of the delivery, for every n."""
    for number in range(9):
        cloud.reset()
        at = folder.with_name(f"{number}")
        with lawful(at) as spool, bucket_of(cloud, spool, credentials=tokens(cloud)) as bucket:
            cloud.fault(**fault, after=number, times=1)
            if mode == "put":
                bucket.put("k", DATA[:9000])
            else:
                with bucket.open("k", mode) as f:
                    f.write(DATA)
            assert spool.drain(30), check(spool)
            (done,) = spool.receipts()
            cloud.clear_faults()
            size = 9000 if mode == "put" else len(DATA)
            assert [part.key for part in done.receipt.generations] == ["k"]
            assert content(cloud, "k") == DATA[:size]
            assert check(spool).acked == size
