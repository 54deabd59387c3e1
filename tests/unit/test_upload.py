"""upload.py: block sizes, snapshots and honest progress."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia import Bucket, Credentials, Retry, crc64, errors
from ossmedia.errors import ObjectTooLarge, OssMediaError
from ossmedia.upload import LARGEST_BLOCK, MOST_PARTS, Snapshot

MIB = 1 << 20


@pytest.fixture
def snapshot(tmp_path: Any) -> Any:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with Snapshot(path) as made:
        yield made


@given(st.integers(0, MOST_PARTS * LARGEST_BLOCK), st.sampled_from([102_400, MIB, 64 * MIB]))
def test_ten_thousand_blocks_suffice(size: int, least: int) -> None:
    with Snapshot(__file__) as source:
        source.size = size
        block = source.block_size(least)
    assert least <= block <= LARGEST_BLOCK
    assert -(-size // block) <= MOST_PARTS
    smaller = max(block - MIB, least)
    assert block == least or (block % MIB == 0 and -(-size // smaller) > MOST_PARTS)


def test_a_file_that_no_block_size_fits(snapshot: Snapshot) -> None:
    snapshot.size = MOST_PARTS * LARGEST_BLOCK + 1
    with pytest.raises(ObjectTooLarge, match=r"^path: at most 10737418240000 bytes"):
        snapshot.block_size(MIB)


@given(st.lists(st.integers(0, 15)))
def test_progress_only_rises_and_stays_below_the_size(reports: list[int]) -> None:
    told: list[tuple[int, int]] = []
    with Snapshot(__file__) as source:
        source.size = 10
        report = source.report(lambda done, total: told.append((done, total)))
        for stored in [*reports, 10, 10]:
            report(stored, None)
    assert told == sorted(set(told))
    assert told[-1] == (10, 10)


class Sink:
    def __init__(self, then: Any = None) -> None:
        self.data = b""
        self.then = then

    def write(self, piece: Any) -> None:
        self.data += bytes(piece)
        if self.then is not None:
            self.then()


def test_a_copy_is_the_file(tmp_path: Any) -> None:
    data = os.urandom(700_001)
    (tmp_path / "f").write_bytes(data)
    sink = Sink()
    with Snapshot(tmp_path / "f") as source:
        source.copy_to(sink)
    assert sink.data == data


@pytest.mark.parametrize(
    "change", [lambda p: os.truncate(p, 5), lambda p: p.write_bytes(b"x" * 99)]
)
def test_a_changed_file_is_an_error(tmp_path: Any, change: Any) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with Snapshot(path) as source:
        with pytest.raises(OssMediaError, match=r"^path: the file changed"):
            source.copy_to(Sink(lambda: change(path)))


def test_nothing_stays_open(tmp_path: Any) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    (tmp_path / "f").write_bytes(b"x")
    with Snapshot(tmp_path / "f"):
        pass
    with pytest.raises(ValueError, match="regular file"):
        Snapshot(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


# Against the local cloud


def connect(cloud: Any, **options: Any) -> Bucket:
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    fast = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=5)
    return Bucket(
        "cams",
        endpoint=cloud.endpoint,
        region=cloud.region,
        credentials=key,
        retry=fast,
        **options,
    )


@pytest.fixture
def bucket(oss_emulator: Any) -> Iterator[Bucket]:
    oss_emulator.reset()
    with connect(oss_emulator) as made:
        yield made


def test_upload(bucket: Bucket, tmp_path: Any) -> None:
    path = tmp_path / "clip.mp4"
    data = os.urandom(3_000_000)
    path.write_bytes(data)
    told: list[tuple[int, int]] = []
    receipt = bucket.upload(
        path, "clip", progress=lambda done, total: told.append((done, total)), content_type="v/m"
    )
    assert (receipt.key, receipt.size, receipt.crc64) == ("clip", len(data), crc64(data))
    assert told == sorted(set(told))
    assert told[-1] == (len(data), len(data))
    stat = bucket.stat("clip")
    assert (stat.size, stat.crc64, stat.type, stat.content_type) == (
        len(data),
        crc64(data),
        "Multipart",
        "v/m",
    )


@pytest.mark.parametrize("size", [0, 1])
def test_upload_of_almost_nothing(bucket: Bucket, tmp_path: Any, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(size))
    told: list[tuple[int, int]] = []
    assert bucket.upload(str(path), "k", progress=lambda *p: told.append(p)).size == size
    assert told[-1] == (size, size)
    assert bucket.stat("k").size == size


def test_upload_without_overwriting(bucket: Bucket, tmp_path: Any) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first")
    bucket.upload(path, "k", overwrite=False)
    path.write_bytes(b"second")
    with pytest.raises(errors.StreamBroken) as caught:
        bucket.upload(path, "k", overwrite=False)
    assert isinstance(caught.value.__cause__, errors.ObjectExists)
    with bucket.open("k") as f:
        assert f.read() == b"first"
    bucket.upload(path, "k")
    assert bucket.stat("k").size == 6


@pytest.mark.parametrize("change", ["grows", "shrinks", "touched"])
def test_a_file_that_changes_is_not_stored(oss_emulator: Any, tmp_path: Any, change: str) -> None:
    oss_emulator.reset()
    path = tmp_path / "f"
    path.write_bytes(bytes(3_000_000))
    changed: list[int] = []

    def progress(done: int, total: int) -> None:
        if changed:
            return
        changed.append(done)
        if change == "grows":
            with open(path, "ab") as f:
                f.write(b"more")
        elif change == "shrinks":
            os.truncate(path, 10)
        else:
            os.utime(path, (1, 1))

    # Two small blocks: reading waits for storing, so the first report comes while it reads.
    with connect(oss_emulator, block_size=102_400, blocks=2) as bucket:
        with pytest.raises(OSError, match="the file changed while it was read"):
            bucket.upload(path, "k", progress=progress)
        assert list(bucket.list()) == []
    assert 0 < changed[0] < 3_000_000


def test_missing_and_special_files(bucket: Bucket, tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.upload(tmp_path / "none", "k")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match=r"^path: must be a regular file"):
            bucket.upload(path, "k")


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "drop"},
        {"action": "reset", "body_bytes": 300_000},
        {"action": "status", "status": 503, "code": "ServiceUnavailable"},
    ],
    ids=lambda fault: fault["action"],
)
def test_a_part_that_fails_is_read_again(oss_emulator: Any, tmp_path: Any, fault: Any) -> None:
    oss_emulator.reset()
    data = os.urandom(1_900_000)
    (tmp_path / "f").write_bytes(data)
    with connect(oss_emulator, block_size=600_000, blocks=3) as bucket:
        oss_emulator.fault(operation="UploadPart", key="k", times=2, **fault)
        receipt = bucket.upload(tmp_path / "f", "k")
        with bucket.open("k") as f:
            assert f.read() == data
    assert (receipt.size, receipt.crc64) == (len(data), crc64(data))
    assert receipt.requests > 6  # begun, four parts, completed; and what failed


def test_an_upload_that_is_given_up_leaves_nothing(oss_emulator: Any, tmp_path: Any) -> None:
    oss_emulator.reset()
    (tmp_path / "f").write_bytes(bytes(700_000))
    with connect(oss_emulator, block_size=300_000) as bucket:
        oss_emulator.fault(
            operation="UploadPart", key="k", action="status", status=403, code="AccessDenied"
        )
        with pytest.raises(errors.StreamBroken, match=r"^k: gave up") as caught:
            bucket.upload(tmp_path / "f", "k")
        assert isinstance(caught.value.__cause__, errors.AccessDenied)
        assert list(bucket.list()) == []
    held = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the cloud closes its ends meanwhile
            held.append(os.readlink(f"/proc/self/fd/{number}"))
    assert held
    assert str(tmp_path / "f") not in held
