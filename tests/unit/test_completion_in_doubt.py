"""A CompleteMultipartUpload whose answer is lost, by credentials that may only write: what counts
as complete is proved, by the C core's writers and by uploads in parts alike."""

from __future__ import annotations

import os
import threading

import pytest

from ossmedia import Bucket, Credentials, Retry, crc64, errors
from ossmedia.checkpoint import read_checkpoint
from ossmedia.gate import Gate
from ossmedia.resumable import Destination, store
from ossmedia.sts import TokenIssuer

BLOCK = 102_400
KEY = "cams/cam-1/clip.mp4"
QUICK = Retry(base_s=0.001, cap_s=0.002, give_up_after_s=0.05)
MISSING = "oss:GetObject is missing"


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


@pytest.fixture
def owner(cloud):
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=key) as made:
        yield made


@pytest.fixture
def blind(cloud):
    """A bucket in the hands of one who may write, list its parts and abort: no more."""
    issuer = TokenIssuer(
        cloud.role_arn,
        "cams",
        credentials=Credentials(cloud.access_key_id, cloud.access_key_secret),
        secure_transport=False,
        endpoint=cloud.sts_endpoint,
        region=cloud.region,
    )
    token = issuer.get_token("cams/cam-1/*", "wm", 900, device="cam-1")
    with Bucket(
        "cams", endpoint=cloud.endpoint, region=cloud.region, credentials=token, retry=QUICK
    ) as made:
        yield made


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(3 * BLOCK + 5))
    return path


def written(bucket, path, mark):
    """Through the C core's stream."""
    with bucket.open(KEY, "wb", block_size=BLOCK) as f:
        f.write(path.read_bytes())
    return f.result


def created(bucket, path, mark):
    """The same, where nothing may be overwritten."""
    with bucket.open(KEY, "xb", block_size=BLOCK) as f:
        f.write(path.read_bytes())
    return f.result


def in_parts(bucket, path, mark):
    """By requests of its own, to be resumed."""
    where = Destination("v1", bucket.endpoint, bucket.name, KEY)
    return store(
        bucket._session, path, where, gate=Gate(), block_size=BLOCK, parallel=2, checkpoint=mark
    )


WAYS = pytest.mark.parametrize("send", [written, created, in_parts])


def lose(cloud, when="after", times=1):
    cloud.fault("drop", operation="CompleteMultipartUpload", when=when, times=times)


def abort_all(cloud, owner):
    for upload in cloud.cloud.store.uploads_from("cams", b"", "", None, 9):
        owner._session.call("DELETE", KEY, f"uploadId={upload.id}")


@WAYS
def test_it_is_complete(cloud, owner, blind, clip, tmp_path, send):
    lose(cloud)
    receipt = send(blind, clip, tmp_path / "mark")
    data = clip.read_bytes()
    assert (receipt.key, receipt.size, receipt.crc64) == (KEY, len(data), crc64(data))
    assert receipt.etag == ""  # nobody could read it
    assert owner.stat(KEY).crc64 == crc64(data)
    counted = cloud.counters()
    assert counted["requests"]["CompleteMultipartUpload"] == 2
    assert counted["requests"]["HeadObject"] == 2  # one was refused, one is this test's
    assert cloud.cloud.store.uploads_from("cams", b"", "", None, 9) == []


@WAYS
def test_the_request_never_came(cloud, owner, blind, clip, tmp_path, send):
    lose(cloud, when="before")
    assert send(blind, clip, tmp_path / "mark").crc64 == crc64(clip.read_bytes())
    assert cloud.counters()["requests"]["CompleteMultipartUpload"] == 2
    assert owner.stat(KEY).crc64 == crc64(clip.read_bytes())


@pytest.mark.parametrize("send", [written, in_parts])
def test_an_object_that_stood_there_proves_nothing(cloud, owner, blind, clip, tmp_path, send):
    """What stands there may be what stood there: one clear error names the right that is
    missing."""
    with owner.open(KEY, "wb") as f:
        f.write(b"before")
    lose(cloud)
    with pytest.raises(errors.StreamBroken, match=MISSING):
        send(blind, clip, tmp_path / "mark")
    assert not (tmp_path / "mark").exists()


@WAYS
def test_aborted_from_outside(cloud, owner, blind, clip, tmp_path, send, monkeypatch):
    """Requests are lost on their way, and the bucket's owner aborts the upload: nothing stands at
    the key, so nothing is claimed."""
    lose(cloud, when="before", times=0)  # all until then: any thread may ask again meanwhile
    recover, one = blind._session.recover, threading.Lock()

    def first_abort(error, attempt):
        with one:
            abort_all(cloud, owner)
            cloud.clear_faults()
        return recover(error, attempt)

    monkeypatch.setattr(blind._session, "recover", first_abort)
    with pytest.raises(errors.StreamBroken) as caught:
        send(blind, clip, tmp_path / "mark")
    assert MISSING not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        owner.stat(KEY)
    assert cloud.cloud.store.uploads_from("cams", b"", "", None, 9) == []


def dead_while_completing(cloud, blind, clip, mark, when):
    """What a process leaves behind that died while it asked OSS to complete."""
    cloud.fault("status", operation="CompleteMultipartUpload", status=403, when=when, times=0)
    with pytest.raises(errors.StreamBroken):
        in_parts(blind, clip, mark)
    cloud.clear_faults()
    assert read_checkpoint(mark).completing
    assert read_checkpoint(mark).fresh
    cloud.reset_counters()


def test_the_next_process_finds_it_complete(cloud, owner, blind, clip, tmp_path):
    mark = tmp_path / "mark"
    dead_while_completing(cloud, blind, clip, mark, "after")
    assert in_parts(blind, clip, mark).crc64 == crc64(clip.read_bytes())
    assert "UploadPart" not in cloud.counters()["requests"]
    assert not mark.exists()


def test_the_next_process_sends_again_what_is_gone(cloud, owner, blind, clip, tmp_path):
    """Days later a lifecycle rule has dropped the parts: a checkpoint that says "completing" is no
    proof."""
    mark = tmp_path / "mark"
    dead_while_completing(cloud, blind, clip, mark, "before")
    abort_all(cloud, owner)
    assert in_parts(blind, clip, mark).crc64 == crc64(clip.read_bytes())
    assert cloud.counters()["requests"]["UploadPart"] == 4
    assert owner.stat(KEY).crc64 == crc64(clip.read_bytes())


def test_the_next_process_sends_again_what_it_cannot_know(cloud, owner, blind, clip, tmp_path):
    mark = tmp_path / "mark"
    dead_while_completing(cloud, blind, clip, mark, "after")
    mark.write_text(mark.read_text().replace('"fresh": true', '"fresh": false'))
    assert in_parts(blind, clip, mark).crc64 == crc64(clip.read_bytes())
    assert cloud.counters()["requests"]["UploadPart"] == 4
    assert owner.stat(KEY).crc64 == crc64(clip.read_bytes())


def test_a_lost_head_is_asked_again(cloud, owner, blind, clip, tmp_path):
    lose(cloud)
    cloud.fault("drop", operation="HeadObject", times=2)
    assert in_parts(blind, clip, tmp_path / "mark").crc64 == crc64(clip.read_bytes())


def test_other_bytes_at_the_key_are_not_ours(cloud, owner, clip, tmp_path, monkeypatch):
    """Who may look compares length and CRC-64."""
    lose(cloud)
    recover = owner._session.recover

    def first_overwrite(error, attempt):
        key = Credentials(cloud.access_key_id, cloud.access_key_secret)
        place = {"endpoint": cloud.endpoint, "region": cloud.region}
        with Bucket("cams", **place, credentials=key) as other:
            with other.open(KEY, "wb") as f:
                f.write(b"theirs")
        return recover(error, attempt)

    monkeypatch.setattr(owner._session, "recover", first_overwrite)
    with pytest.raises(errors.StreamBroken, match="gone from OSS"):
        in_parts(owner, clip, tmp_path / "mark")
