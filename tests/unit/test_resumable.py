"""resumable.py and multipart.py: parts, what OSS holds of them, and every way an upload can end."""

from __future__ import annotations

import os

import pytest

from ossmedia import Bucket, Credentials, Retry, crc64, errors
from ossmedia.checkpoint import read_checkpoint
from ossmedia.gate import Canceled, Gate
from ossmedia.resumable import Destination, store, unfinished

BLOCK = 102_400
SIZE = 1_000_003  # ten parts, the last one short
QUICK = Retry(base_s=0.001, cap_s=0.002, give_up_after_s=0.05)


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def bucket(cloud):
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    with Bucket(
        "cams", endpoint=cloud.endpoint, region=cloud.region, credentials=key, retry=QUICK
    ) as made:
        yield made


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "clip.mp4"
    made.write_bytes(os.urandom(SIZE))
    return made


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "clip.json"


def put(bucket, path, key="k", **options):
    where = Destination("v1", bucket.endpoint, bucket.name, key)
    given = {"gate": Gate(), "block_size": BLOCK, "parallel": 3, **options}
    return store(bucket._session, path, where, **given)


def requests(cloud):
    return cloud.counters()["requests"]


def uploads(cloud):
    return len(cloud.cloud.store.uploads_from("cams", b"", "", None, 10))


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 2 * BLOCK, SIZE])
def test_files_of_all_sizes(cloud, bucket, path, mark, size):
    path.write_bytes(os.urandom(size))
    told = []
    cloud.reset_counters()
    receipt = put(bucket, path, progress=lambda *at: told.append(at), checkpoint=mark)
    data = path.read_bytes()
    assert (receipt.size, receipt.crc64, receipt.key) == (size, crc64(data), "k")
    assert receipt.requests == sum(requests(cloud).values())
    assert receipt.etag == bucket.stat("k").etag
    assert receipt.request_id
    with bucket.open("k") as back:
        assert back.read() == data
    assert told[-1] == (size, size)
    assert told == sorted(set(told))
    assert not mark.exists()
    assert uploads(cloud) == 0


def test_what_arrives_is_what_headers_say(bucket, path):
    put(bucket, path, headers="content-type: video/mp4\nx-oss-meta-cam: gate\n")
    stat = bucket.stat("k")
    assert (stat.content_type, stat.metadata) == ("video/mp4", (("cam", "gate"),))


def interrupted(cloud, bucket, path, mark, after=4):
    """An upload that ends after some parts and leaves its checkpoint."""
    rule = cloud.fault("status", operation="UploadPart", status=403, after=after, times=0)
    with pytest.raises(errors.StreamBroken):
        put(bucket, path, checkpoint=mark, parallel=1)
    cloud.clear_faults()
    cloud.reset_counters()
    return rule


def test_it_goes_on_where_it_was(cloud, bucket, path, mark):
    interrupted(cloud, bucket, path, mark)
    assert unfinished(mark, path) == "v1"
    told = []
    receipt = put(bucket, path, checkpoint=mark, progress=lambda *at: told.append(at))
    assert requests(cloud) == {"ListParts": 1, "UploadPart": 6, "CompleteMultipartUpload": 1}
    assert receipt.crc64 == crc64(path.read_bytes())
    assert told[0] == (4 * BLOCK, SIZE)
    assert not mark.exists()
    assert unfinished(mark, path) == ""


def test_the_block_size_is_the_first_ones(cloud, bucket, path, mark):
    interrupted(cloud, bucket, path, mark)
    put(bucket, path, checkpoint=mark, block_size=3 * BLOCK)
    assert requests(cloud)["UploadPart"] == 6
    with bucket.open("k") as back:
        assert back.read() == path.read_bytes()


@pytest.mark.parametrize("change", ["content", "longer", "other key", "other name", "damaged"])
def test_it_begins_anew_for_anything_else(cloud, bucket, path, mark, change):
    interrupted(cloud, bucket, path, mark)
    key = "k"
    if change == "content":
        path.write_bytes(os.urandom(SIZE))
    elif change == "longer":
        path.write_bytes(os.urandom(SIZE + 1))
    elif change == "other key":
        key = "k2"
    elif change == "other name":
        mark.write_text(mark.read_text().replace('"v1"', '"v2"'))
    else:
        mark.write_text(mark.read_text()[:-2])
    put(bucket, path, key, checkpoint=mark)
    assert requests(cloud)["InitiateMultipartUpload"] == 1
    with bucket.open(key) as back:
        assert back.read() == path.read_bytes()
    if change in ("content", "longer"):
        assert unfinished(mark, path) == ""


def test_parts_that_are_not_the_files_are_sent_again(cloud, bucket, path, mark):
    interrupted(cloud, bucket, path, mark)
    upload = read_checkpoint(mark).upload_id
    query = f"partNumber=2&uploadId={upload}"
    bucket._session.call("PUT", "k", query, body=os.urandom(BLOCK))
    bucket._session.call("PUT", "k", f"partNumber=3&uploadId={upload}", body=b"short")
    cloud.reset_counters()
    put(bucket, path, checkpoint=mark)
    assert requests(cloud)["UploadPart"] == 8
    with bucket.open("k") as back:
        assert back.read() == path.read_bytes()


def test_an_upload_that_oss_forgot_begins_anew(cloud, bucket, path, mark):
    interrupted(cloud, bucket, path, mark)
    bucket._session.call("DELETE", "k", f"uploadId={read_checkpoint(mark).upload_id}")
    put(bucket, path, checkpoint=mark)
    with bucket.open("k") as back:
        assert back.read() == path.read_bytes()


def test_parts_that_vanish_under_way_end_it(cloud, bucket, path, mark):
    def abort(done, total):
        upload = read_checkpoint(mark).upload_id
        bucket._session.call("DELETE", "k", f"uploadId={upload}")

    with pytest.raises(errors.StreamBroken, match="the parts sent so far are gone") as caught:
        put(bucket, path, checkpoint=mark, parallel=1, progress=abort)
    assert isinstance(caught.value.__cause__, errors.NotFound)
    assert not mark.exists()


def test_a_completion_without_an_answer(cloud, bucket, path, mark):
    cloud.fault("drop", operation="CompleteMultipartUpload", when="after")
    receipt = put(bucket, path, checkpoint=mark)
    assert requests(cloud)["CompleteMultipartUpload"] == 2
    assert (receipt.size, receipt.crc64) == (SIZE, crc64(path.read_bytes()))
    assert receipt.etag == bucket.stat("k").etag
    assert not mark.exists()


@pytest.mark.parametrize("completed", [True, False])
def test_a_checkpoint_of_a_completion_under_way(cloud, bucket, path, mark, completed):
    """The process died while OSS was asked to complete: whether OSS did so or not, all is well."""
    when = "after" if completed else "before"
    cloud.fault("status", operation="CompleteMultipartUpload", status=403, when=when, times=0)
    with pytest.raises(errors.StreamBroken):
        put(bucket, path, checkpoint=mark)
    assert read_checkpoint(mark).completing
    cloud.clear_faults()
    cloud.reset_counters()
    receipt = put(bucket, path, checkpoint=mark)
    assert (receipt.size, receipt.crc64) == (SIZE, crc64(path.read_bytes()))
    assert "UploadPart" not in requests(cloud)
    assert requests(cloud).get("CompleteMultipartUpload", 0) == (0 if completed else 1)
    with bucket.open("k") as back:
        assert back.read() == path.read_bytes()
    assert not mark.exists()


@pytest.mark.parametrize("action", ["drop", "reset", "garbage", "wrong_crc", "status"])
@pytest.mark.parametrize(
    "operation", ["InitiateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]
)
def test_one_fault_anywhere_is_survived(cloud, bucket, path, action, operation):
    options = {"status": 503} if action in ("garbage", "status") else {}
    rule = cloud.fault(action, operation=operation, **options)
    if action == "wrong_crc" and operation == "CompleteMultipartUpload":
        with pytest.raises(errors.IntegrityError):
            put(bucket, path)
        return
    receipt = put(bucket, path)
    assert rule.fired == 1
    assert receipt.crc64 == crc64(path.read_bytes())
    with bucket.open("k") as back:
        assert back.read() == path.read_bytes()


def test_without_a_checkpoint_nothing_stays(cloud, bucket, path):
    cloud.fault("status", operation="UploadPart", status=403, after=4, times=0)
    with pytest.raises(errors.StreamBroken) as caught:
        put(bucket, path)
    assert isinstance(caught.value.__cause__, errors.AccessDenied)
    assert uploads(cloud) == 0


def test_an_outage_ends_it_and_the_next_try_goes_on(cloud, bucket, path, mark):
    cloud.fault("status", operation="UploadPart", status=503, after=4, times=0)
    with pytest.raises(errors.StreamBroken) as caught:
        put(bucket, path, checkpoint=mark)
    assert isinstance(caught.value.__cause__, errors.Unavailable)
    cloud.clear_faults()
    cloud.reset_counters()
    put(bucket, path, checkpoint=mark)
    assert requests(cloud)["UploadPart"] == 6


def test_canceled(cloud, bucket, path, mark):
    gate = Gate()
    with pytest.raises(Canceled):
        put(bucket, path, gate=gate, checkpoint=mark, progress=lambda *_: gate.cancel())
    assert uploads(cloud) == 0
    assert not mark.exists()


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_leaves_nothing(cloud, bucket, path, mark, change):
    def act(done, total):
        if change == "grow":
            path.write_bytes(path.read_bytes() + b"x")
        elif change == "shrink":
            os.truncate(path, 2 * BLOCK)
        else:
            os.utime(path, ns=(1, 1))

    with pytest.raises(errors.OssMediaError, match="changed"):
        put(bucket, path, checkpoint=mark, parallel=1, progress=act)
    assert uploads(cloud) == 0
    assert not mark.exists()


def test_a_progress_callback_that_raises_is_forgotten(bucket, path, caplog):
    def bad(done, total):
        raise RuntimeError("canary")

    assert put(bucket, path, progress=bad).size == SIZE
    assert "progress callback raised RuntimeError" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"<x/>",
        b"no xml",
        b"<!DOCTYPE x><ListPartsResult/>",
        b"<ListPartsResult><Part><HashCrc64ecma>x</HashCrc64ecma></Part></ListPartsResult>",
        b"<ListPartsResult><Part><HashCrc64ecma>1</HashCrc64ecma></Part></ListPartsResult>",
        b"<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
        b"<ListPartsResult>\0</ListPartsResult>",
    ],
)
def test_lists_of_parts_that_are_none(cloud, bucket, path, mark, monkeypatch, body):
    interrupted(cloud, bucket, path, mark)
    exchange = bucket._session.store.exchange

    class Lying:
        def __getattr__(self, name):
            return getattr(real, name)

        def exchange(self, method, key, query="", headers="", sent=b"", out=None):
            answer = exchange(method, key, query, headers, sent, out)
            if method == "GET":
                out[: len(body)] = body
                answer.body_len = len(body)
            return answer

    real = bucket._session.store
    monkeypatch.setattr(bucket._session, "store", Lying())
    with pytest.raises(errors.ProtocolError):
        put(bucket, path, checkpoint=mark)


def test_more_parts_than_one_list_shows(cloud, bucket, path, mark, monkeypatch):
    monkeypatch.setattr("ossmedia.multipart._PAGE", 3)
    interrupted(cloud, bucket, path, mark, after=8)
    put(bucket, path, checkpoint=mark)
    assert requests(cloud) == {"ListParts": 3, "UploadPart": 2, "CompleteMultipartUpload": 1}
