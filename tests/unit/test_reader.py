"""reader.py: against a store in memory that can be changed between two requests, and one that
lies."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossmedia import crc64, errors
from ossmedia.credentials import Renewer
from ossmedia.model import Credentials
from ossmedia.reader import LARGEST_RANGE, Reader
from ossmedia.retry import Retry
from ossmedia.session import Session


class Clock:
    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        pass


class OneObject:
    """A store that holds one object; ``before`` is called before each GET, ``after`` may change its
    answer."""

    def __init__(self, data: bytes, kind: str = "Normal") -> None:
        self.data = data
        self.kind = kind
        self.etag = "E1"
        self.crc: int | None = None
        self.gets: list[tuple[int, int]] = []
        self.heads = 0
        self.headers: dict[str, str] = {}
        self.before: Any = lambda: None
        self.after: Any = lambda answer: answer

    def set_credentials(self, _: Credentials) -> None:
        pass

    def replace(self, data: bytes) -> None:
        self.data, self.etag = data, self.etag + "x"

    def exchange(
        self,
        method: str,
        key: str,
        query: str = "",
        headers: str = "",
        body: bytes = b"",
        out: Any = None,
    ) -> Any:
        assert (key, query, body) == ("k", "", b"")
        if method == "GET":
            self.before()
        whole = crc64(self.data) if self.crc is None else self.crc
        common = {"etag": f'"{self.etag}"', "last-modified": "Fri, 31 May 2024 17:08:37 GMT"}
        common |= {"x-oss-object-type": self.kind, "content-type": "video/mp4", **self.headers}
        answer = SimpleNamespace(
            status=200,
            content_length=len(self.data),
            crc64=whole,
            next_position=len(self.data) if self.kind == "Appendable" else None,
            body_len=0,
            headers=common,
        )
        if method == "HEAD":
            self.heads += 1
            return answer
        asked = dict(line.split(": ", 1) for line in headers.splitlines())
        assert asked["x-oss-range-behavior"] == "standard"
        if asked["If-Match"] != f'"{self.etag}"':
            raise errors.service_error(412, "PreconditionFailed", "changed")
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", asked["Range"])
        assert match
        start, last = int(match[1]), int(match[2])
        assert start <= last < len(self.data)
        self.gets.append((start, last))
        piece = self.data[start : last + 1]
        assert len(out) == len(piece)
        out[:] = piece
        answer.status, answer.body_len = 206, len(piece)
        answer.headers["content-range"] = f"bytes {start}-{last}/{len(self.data)}"
        return self.after(answer)


def open_reader(store: OneObject, **options: Any) -> Reader:
    renewer = Renewer(Credentials("i", "s"), Clock(), lambda: 0.0)
    session = Session(store, renewer, Retry(attempts=2), Clock(), lambda: 0.0)
    return Reader(session, "k", **options)


DATA = bytes(range(256)) * 40


def test_what_a_file_says_of_itself() -> None:
    store = OneObject(DATA)
    store.headers = {"x-oss-meta-camera": "c1", "x-oss-storage-class": "IA"}
    with open_reader(store) as f:
        assert isinstance(f, io.BufferedIOBase)
        assert (f.mode, f.name, f.size, f.closed) == ("rb", "k", len(DATA), False)
        assert f.readable()
        assert f.seekable()
        assert not f.writable()
        assert f.stat.etag == "E1"
        assert f.stat.modified_at == 1717175317.0
        assert f.stat.metadata == (("camera", "c1"),)
        assert (f.stat.storage_class, f.stat.content_type) == ("IA", "video/mp4")
        assert store.gets == []
        with pytest.raises(io.UnsupportedOperation):
            f.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            f.fileno()
    assert f.closed
    for call in (f.read, f.tell, f.readable, f.peek, f.refresh, f.read1, lambda: f.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            call()


@pytest.mark.parametrize("block_size", [0, -1, LARGEST_RANGE + 1])
def test_a_bad_block_size_is_named_before_anything_is_asked(block_size: int) -> None:
    store = OneObject(DATA)
    with pytest.raises(ValueError, match=r"^block_size: "):
        open_reader(store, block_size=block_size)
    assert store.heads == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 700)),
        st.tuples(st.just("read1"), st.integers(-1, 700)),
        st.tuples(st.just("readinto"), st.integers(0, 700)),
        st.tuples(st.just("readinto1"), st.integers(0, 700)),
        st.tuples(st.just("readline"), st.integers(-1, 60)),
        st.tuples(st.just("peek"), st.just(0)),
        st.tuples(st.just("seek"), st.integers(0, 1200)),
        st.tuples(st.just("seek_by"), st.integers(-50, 50)),
        st.tuples(st.just("seek_end"), st.integers(-300, 20)),
    ),
    max_size=30,
)


def step(f: Any, model: io.BytesIO, name: str, number: int) -> None:
    """One call on both; where a buffered file may give less, what it gave is a prefix of the
    model's."""
    if name in ("read", "readline"):
        assert getattr(f, name)(number) == getattr(model, name)(number)
    elif name == "read1":
        got, rest = f.read1(number), len(model.getvalue()) - model.tell()
        assert got == model.read(len(got))
        assert got or rest <= 0 or number == 0
    elif name == "readinto":
        mine, theirs = bytearray(number), bytearray(number)
        assert f.readinto(mine) == model.readinto(theirs)
        assert mine == theirs
    elif name == "readinto1":
        mine = bytearray(number)
        count = f.readinto1(mine)
        assert mine[:count] == model.read(count)
    elif name == "peek":
        seen = f.peek()
        at = model.tell()
        assert model.read(len(seen)) == seen
        assert bool(seen) or at >= len(model.getvalue())
        model.seek(at)
    else:
        whence = {"seek": 0, "seek_by": 1, "seek_end": 2}[name]
        base = (0, model.tell(), len(model.getvalue()))[whence]
        if base + number < 0:
            with pytest.raises(ValueError, match="before the start"):
                f.seek(number, whence)
        else:
            assert f.seek(number, whence) == model.seek(number, whence)
    assert f.tell() == model.tell()


@settings(max_examples=200)
@given(st.binary(max_size=1000), st.integers(1, 400), STEPS)
def test_it_reads_like_a_file(data: bytes, block_size: int, steps: list[tuple[str, int]]) -> None:
    store, model = OneObject(data), io.BytesIO(data)
    with open_reader(store, block_size=block_size) as f:
        for name, number in steps:
            step(f, model, name, number)
    assert store.heads == 1


def test_lines_are_read_by_blocks() -> None:
    store = OneObject(b"one\ntwo\n" * 100)
    with open_reader(store) as f:
        assert list(f) == [b"one\n", b"two\n"] * 100
    assert len(store.gets) == 1


def test_no_more_requests_and_bytes_than_needed() -> None:
    store = OneObject(DATA)
    f = open_reader(store, block_size=1000)
    f.seek(500)
    f.read(10)
    f.read(990)
    assert store.gets == [(500, 1499)]
    f.seek(0)
    big = bytearray(5000)
    f.readinto(big)
    assert store.gets[1:] == [(0, 4999)]
    f.seek(-3, 2)
    assert f.read() == DATA[-3:]
    assert store.gets[2:] == [(len(DATA) - 3, len(DATA) - 1)]
    f.seek(len(DATA) + 10)
    assert f.read() == b""
    assert len(store.gets) == 3


def test_large_reads_go_in_bounded_ranges() -> None:
    store = OneObject(bytes(2 * LARGEST_RANGE + 5))
    assert len(open_reader(store).read()) == len(store.data)
    assert [last - start + 1 for start, last in store.gets] == [LARGEST_RANGE, LARGEST_RANGE, 5]


def test_a_buffer_of_wider_items_is_filled() -> None:
    import array

    numbers = array.array("I", [0] * 8)
    assert open_reader(OneObject(DATA)).readinto(numbers) == 32
    assert numbers.tobytes() == DATA[:32]


def test_an_empty_object_needs_no_get() -> None:
    store = OneObject(b"")
    with open_reader(store) as f:
        assert (f.read(), f.read(5), f.readline(), f.peek()) == (b"", b"", b"", b"")
    assert store.gets == []


# Other bytes


def test_two_objects_are_never_joined() -> None:
    store = OneObject(DATA)
    f = open_reader(store, block_size=100)
    assert f.read(100) == DATA[:100]
    store.replace(DATA[::-1])
    with pytest.raises(errors.PreconditionFailed):
        f.read(100)
    assert f.tell() == 100


def test_a_whole_read_is_compared_with_the_crc() -> None:
    store = OneObject(DATA)
    store.crc = crc64(DATA) ^ 1
    f = open_reader(store, block_size=1000)
    with pytest.raises(errors.IntegrityError, match="CRC-64"):
        f.read()
    f = open_reader(store, block_size=1000)
    f.seek(5)
    assert f.read() == DATA[5:]  # a part cannot be compared
    assert open_reader(store, verify_crc=False).read() == DATA


@pytest.mark.parametrize(
    "change",
    [
        {"status": 200},
        {"body_len": 99},
        {"body_len": 0},
        {"range": "bytes 0-99/5"},
        {"range": "bytes 1-100/10240"},
        {"range": ""},
        {"range": "bytes 0-99/*"},
    ],
    ids=str,
)
def test_an_answer_of_other_bytes_is_refused(change: dict[str, Any]) -> None:
    store = OneObject(DATA)

    def lie(answer: Any) -> Any:
        if "range" in change:
            answer.headers["content-range"] = change["range"]
        else:
            answer.__dict__.update(change)
            if answer.status == 200:
                del answer.headers["content-range"]
        return answer

    store.after = lie
    with pytest.raises((errors.ProtocolError, errors.PreconditionFailed)):
        open_reader(store, block_size=100).read(100)


def test_a_server_without_ranges_may_answer_with_the_whole() -> None:
    store = OneObject(b"short")

    def whole(answer: Any) -> Any:
        answer.status = 200
        del answer.headers["content-range"]
        return answer

    store.after = whole
    assert open_reader(store).read() == b"short"


@pytest.mark.parametrize("missing", ["etag", "last-modified"])
def test_a_head_that_says_too_little(missing: str) -> None:
    store = OneObject(DATA)
    store.headers = {missing: "nonsense"}
    if missing == "etag":
        store.set_credentials = lambda _: store.headers.clear()
        original = store.exchange

        def exchange(*arguments: Any, **named: Any) -> Any:
            answer = original(*arguments, **named)
            answer.headers.pop("etag")
            return answer

        store.exchange = exchange
    with pytest.raises(errors.ProtocolError, match="HEAD without"):
        open_reader(store)


def test_a_read_that_fails_half_way_goes_on_where_it_was() -> None:
    store = OneObject(DATA)
    f = open_reader(store, block_size=100)
    failures = [errors.service_error(403, "AccessDenied", ""), None]

    def fail() -> None:
        if len(store.gets) == 3 and (failure := failures.pop(0)):
            raise failure

    store.before = fail
    with pytest.raises(errors.AccessDenied):
        for _ in range(10):
            f.read(50)
    assert f.tell() == 300
    assert f.read(50) == DATA[300:350]


# Growing objects


def grow_once(store: OneObject, more: bytes) -> None:
    def before() -> None:
        store.before = lambda: None
        store.replace(store.data + more)

    store.before = before


def test_an_object_that_grows_is_read_as_it_was_at_opening() -> None:
    store = OneObject(DATA, "Appendable")
    f = open_reader(store, block_size=1000)
    got = b""
    while piece := f.read(777):
        got += piece
        grow_once(store, b"more" * 300)
    assert got == DATA
    assert len(store.data) > 2 * len(DATA)


def test_refresh_takes_what_came() -> None:
    store = OneObject(b"", "Appendable")
    f = open_reader(store, block_size=1000)
    seen = b""
    for size in (1, 5000, 0, 300):
        store.replace(store.data + DATA[:size])
        assert f.refresh() == len(store.data)
        seen += f.read()
        assert seen == store.data
    assert f.stat.etag == store.etag
    grow_once(store, b"while looking")
    store.replace(store.data + b"again")
    assert f.refresh() == len(store.data)


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.replace(b"other" * 5000),
        lambda store: store.replace(store.data[:-1]),
        lambda store: (store.replace(store.data + b"x"), setattr(store, "kind", "Normal")),
        lambda store: store.replace(store.data[:-1] + b"Xand more"),
    ],
    ids=["other", "shorter", "another type", "same size and more"],
)
def test_an_object_that_only_looks_grown_is_refused(change: Any) -> None:
    store = OneObject(DATA, "Appendable")
    f = open_reader(store, block_size=1000)
    f.read(1000)
    change(store)
    with pytest.raises(errors.PreconditionFailed):
        f.read(1000)
    with pytest.raises(errors.PreconditionFailed):
        f.refresh()
    assert f.tell() == 1000


def test_an_object_that_never_stands_still_ends_with_an_error() -> None:
    store = OneObject(DATA, "Appendable")
    f = open_reader(store, block_size=1000)
    store.before = lambda: store.replace(store.data + b"x")
    with pytest.raises(errors.PreconditionFailed):
        f.read(10)
