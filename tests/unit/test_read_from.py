"""Writer.read_from: a file's bytes go straight into a block, in order with what was written."""

import io

import pytest

from ossmedia import Bucket, Credentials, errors

BLOCK = 102_400


@pytest.fixture
def bucket(oss_emulator):
    oss_emulator.reset()
    with Bucket(
        oss_emulator.buckets[0],
        endpoint=oss_emulator.endpoint,
        region=oss_emulator.region,
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
        block_size=BLOCK,
        blocks=2,
    ) as made:
        yield made


def content(bucket, key):
    with bucket.open(key) as f:
        return f.read()


@pytest.mark.parametrize("mode", ["wb", "xb", "ab"])
def test_it_keeps_the_order_with_small_writes(bucket, mode):
    data = bytes(range(256)) * 2000
    source = io.BytesIO(data)
    with bucket.open("mixed", mode) as writer:
        writer.write(b"first")
        while count := writer.read_from(source.readinto, 70_000):
            assert 0 < count <= 70_000
        writer.write(b"last")
    assert content(bucket, "mixed") == b"first" + data + b"last"
    assert writer.result.size == len(data) + 9


def test_it_offers_at_most_what_was_asked_and_never_nothing(bucket):
    rooms = []

    def read(room):
        rooms.append(len(room))
        room[:] = bytes(len(room))
        return len(room)

    with bucket.open("rooms", "wb") as writer:
        for _ in range(5):
            writer.read_from(read, 40_000)
    assert rooms == [40_000, 40_000, BLOCK - 80_000, 40_000, 40_000]
    assert writer.result.size == sum(rooms)


def test_a_source_that_gives_nothing_leaves_an_empty_object(bucket):
    with bucket.open("empty", "wb") as writer:
        assert writer.read_from(lambda room: 0, 10) == 0
    assert content(bucket, "empty") == b""


def test_an_error_of_the_source_is_the_callers_and_takes_nothing(bucket):
    def broken(room):
        raise OSError("the card is gone")

    with bucket.open("half", "wb") as writer:
        writer.write(b"kept")
        with pytest.raises(OSError, match="the card is gone"):
            writer.read_from(broken, 10)
        writer.write(b" and more")
    assert content(bucket, "half") == b"kept and more"


def test_closed_or_given_up_it_raises(bucket, oss_emulator):
    writer = bucket.open("closed", "wb")
    writer.close()
    with pytest.raises(ValueError, match="closed file"):
        writer.read_from(io.BytesIO(b"x").readinto, 1)
    broken = bucket.open("broken", "wb")
    broken._pump.error = errors.AccessDenied("no")
    with pytest.raises(errors.StreamBroken):
        broken.read_from(io.BytesIO(b"x").readinto, 1)
    broken.abort()
