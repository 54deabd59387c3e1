"""Bytes of another writer in our object: neither built on nor overwritten, and the receipt says
where ours stand."""

import pytest

from ossmedia import Bucket, Credentials, crc64
from ossmedia.sts import TokenIssuer

OURS = [b"a" * 5000, b"b" * 5000, b"c" * 5000]


@pytest.fixture
def owner(oss_emulator):
    oss_emulator.reset()
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
    ) as bucket:
        yield bucket
    oss_emulator.clear_faults()


def read(bucket, key):
    with bucket.open(key) as f:
        return f.read()


def joined(bucket, receipt):
    return b"".join(
        read(bucket, part.key)[part.base : part.base + part.size] for part in receipt.generations
    )


def intrude(bucket, key, data):
    with bucket.open(key, "ab") as f:
        f.write(data)


@pytest.mark.parametrize("size", [1, 4999, 5000, 5001, 20_000], ids=lambda n: f"{n} foreign bytes")
@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
def test_a_foreign_append_forks(owner, oss_emulator, size, lost):
    """Shorter, longer, and of the very length that ours would have."""
    foreign = b"x" * size
    with owner.open("shared", "ab", linger_s=3600) as f:
        f.write(OURS[0])
        f.sync(10)
        intrude(owner, "shared", foreign)
        if lost:  # our append is refused or not, but nobody hears it
            oss_emulator.fault(action="drop", when="after", operation="AppendObject", key="shared")
        f.write(OURS[1])
        f.sync(10)
        f.write(OURS[2])
    assert read(owner, "shared") == OURS[0] + foreign
    assert [part.key for part in f.result.generations] == ["shared", "shared~g2"]
    assert joined(owner, f.result) == b"".join(OURS)
    assert f.result.crc64 == crc64(b"".join(OURS))


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_an_object_that_vanishes_forks(owner, how):
    with owner.open("gone", "ab", linger_s=3600) as f:
        f.write(OURS[0])
        f.sync(10)
        owner.delete("gone")
        if how == "replaced":
            with owner.open("gone", "wb") as other:
                other.write(b"mine now")
        f.write(OURS[1])
    assert [part.key for part in f.result.generations] == ["gone", "gone~g2"]
    assert read(owner, "gone~g2") == OURS[1]
    if how == "replaced":
        assert read(owner, "gone") == b"mine now"


def test_a_taken_name_is_passed_over(owner):
    intrude(owner, "busy~g2", b"somebody's")
    with owner.open("busy", "ab", linger_s=3600) as f:
        f.write(OURS[0])
        f.sync(10)
        intrude(owner, "busy", b"x")
        f.write(OURS[1])
    assert [part.key for part in f.result.generations] == ["busy", "busy~g3"]
    assert read(owner, "busy~g2") == b"somebody's"
    assert joined(owner, f.result) == OURS[0] + OURS[1]


def test_a_lost_answer_of_our_own_is_settled(owner, oss_emulator):
    oss_emulator.fault(action="drop", when="after", operation="AppendObject", key="mine", times=3)
    with owner.open("mine", "ab", linger_s=3600) as f:
        for piece in OURS:
            f.write(piece)
            f.sync(10)
    assert read(owner, "mine") == b"".join(OURS)
    assert len(f.result.generations) == 1


def test_a_write_only_token_forks_on_doubt(owner, oss_emulator):
    """Without oss:GetObject nobody can say whether the bytes arrived: they go into the next
    object."""
    issuer = TokenIssuer(
        oss_emulator.role_arn,
        oss_emulator.buckets[0],
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
        secure_transport=False,
        endpoint=oss_emulator.sts_endpoint,
    )
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=issuer.get_token("cams/cam-1/*", "a", 900, device="cam-1"),
    ) as camera:
        with camera.open("cams/cam-1/live", "ab", linger_s=3600) as f:
            f.write(OURS[0])
            f.sync(10)
            oss_emulator.fault(action="drop", when="after", operation="AppendObject")
            f.write(OURS[1])
            f.sync(10)
            f.write(OURS[2])
    keys = [part.key for part in f.result.generations]
    assert keys == ["cams/cam-1/live", "cams/cam-1/live~g2"]
    assert joined(owner, f.result) == b"".join(OURS)
    assert read(owner, keys[0]) == OURS[0] + OURS[1]  # the doubtful bytes had arrived; no harm
