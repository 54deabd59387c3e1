"""upload.py: block sizes, snapshots and honest progress."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        source.copy_to(sink)  # type: ignore[arg-type]
    assert sink.data == data


@pytest.mark.parametrize(
    "change", [lambda p: os.truncate(p, 5), lambda p: p.write_bytes(b"x" * 99)]
)
def test_a_changed_file_is_an_error(tmp_path: Any, change: Any) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with Snapshot(path) as source:
        with pytest.raises(OssMediaError, match=r"^path: the file changed"):
            source.copy_to(Sink(lambda: change(path)))  # type: ignore[arg-type]


def test_nothing_stays_open(tmp_path: Any) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    (tmp_path / "f").write_bytes(b"x")
    with Snapshot(tmp_path / "f"):
        pass
    with pytest.raises(ValueError, match="regular file"):
        Snapshot(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == len(before)
