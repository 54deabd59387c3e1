"""put.py: one PutObject, against the local cloud with faults on order."""

from __future__ import annotations

import mmap
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ossmedia import Bucket, Credentials, Generation, Retry, crc64, errors
from ossmedia.address import check_key
from ossmedia.put import LARGEST

FAST = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=5)
DATA = bytes(range(256)) * 40
ISSUED = "PutObject"


@pytest.fixture(params=["first", "later"])
def bucket(request: pytest.FixtureRequest, cloud: Any) -> Iterator[Bucket]:
    """A bucket before its first request; and one whose credentials are already on the store."""
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    with Bucket(
        "cams", endpoint=cloud.endpoint, region=cloud.region, credentials=key, retry=FAST
    ) as made:
        if request.param == "later":
            made.delete("nothing")
            made._store.drop_connections()  # a dead one would be noticed without a failure
        yield made


def body(bucket: Bucket, key: str) -> bytes:
    with bucket.open(key) as f:
        return f.read()


def puts(cloud: Any) -> int:
    return int(cloud.counters()["requests"].get(ISSUED, 0))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(b).cast("H")])
def test_what_is_in_memory_is_stored(bucket: Bucket, cloud: Any, kind: Any) -> None:
    receipt = bucket.put(
        "cams/c/a.ts", kind(DATA), content_type="video/mp2t", metadata={"ossmedia-sequence": "7"}
    )
    assert body(bucket, "cams/c/a.ts") == DATA
    stat = bucket.stat("cams/c/a.ts")
    assert (stat.content_type, dict(stat.metadata)) == ("video/mp2t", {"ossmedia-sequence": "7"})
    assert (receipt.key, receipt.size, receipt.crc64) == ("cams/c/a.ts", len(DATA), crc64(DATA))
    assert (receipt.etag, receipt.requests) == (stat.etag, 1)
    assert receipt.request_id
    assert receipt.generations == (Generation("cams/c/a.ts", 0, len(DATA)),)
    assert puts(cloud) == 1


def test_nothing_can_be_stored_too(bucket: Bucket) -> None:
    assert bucket.put("empty", b"").crc64 == 0
    assert bucket.stat("empty").size == 0


def test_a_put_replaces_unless_told_otherwise(bucket: Bucket) -> None:
    bucket.put("a", b"one")
    bucket.put("a", b"two")
    with pytest.raises(errors.ObjectExists):
        bucket.put("a", b"three", overwrite=False)
    assert body(bucket, "a") == b"two"
    assert bucket.put("b", b"three", overwrite=False).size == 5


@pytest.mark.parametrize(
    "key",
    [7, None, b"a", "", "/a", "\\a", "a\0b", "a\nb", "a\rb", "k" * 1024, "é" * 512, "\ud800"],
    ids=repr,
)
def test_a_bad_key_gets_the_words_of_all_other_calls(bucket: Bucket, key: Any) -> None:
    before = bucket.stats()
    with pytest.raises((TypeError, ValueError)) as usual:
        check_key(key)
    with pytest.raises(type(usual.value)) as caught:
        bucket.put(key, DATA)
    assert str(caught.value) == str(usual.value)
    with pytest.raises(type(usual.value)) as caught:
        bucket.put(key, bytearray(DATA), timeout_s=5)
    assert str(caught.value) == str(usual.value)
    assert bucket.stats() == before


@pytest.mark.parametrize(("key", "data"), [("/a", b""), ("", b""), ("a", "text"), ("a", 5)])
def test_nobody_is_asked_for_a_token_for_bad_input(key: str, data: Any) -> None:
    def provider() -> Credentials:
        raise AssertionError("the provider was asked")

    with (
        Bucket("cams", region="cn-hangzhou", credentials=provider, retry=FAST) as bucket,
        pytest.raises((TypeError, ValueError), match=r"key|data"),
    ):
        bucket.put(key, data)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "status", "status": 503, "code": "ServiceUnavailable"},
        {"action": "reset"},
        {"action": "drop", "when": "after"},
        {"action": "wrong_crc"},
        {"action": "drop_crc"},
    ],
    ids=lambda fault: fault["action"],
)
def test_a_failed_try_is_repeated(bucket: Bucket, cloud: Any, fault: dict[str, Any]) -> None:
    cloud.fault(**fault, operation=ISSUED)
    receipt = bucket.put("a", DATA)
    assert receipt.crc64 == crc64(DATA)
    assert receipt.requests == 2
    assert body(bucket, "a") == DATA


def test_a_wrong_clock_is_corrected(bucket: Bucket, cloud: Any) -> None:
    cloud.set_clock(1800)
    assert bucket.put("a", DATA).requests == 2


def test_tries_end(bucket: Bucket, cloud: Any) -> None:
    cloud.fault("status", status=503, code="ServiceUnavailable", operation=ISSUED, times=0)
    with pytest.raises(errors.Unavailable):
        bucket.put("a", DATA)
    assert puts(cloud) == FAST.attempts


def test_what_is_final_is_not_repeated(bucket: Bucket, cloud: Any) -> None:
    cloud.fault("status", status=403, code="AccessDenied", operation=ISSUED, times=0)
    with pytest.raises(errors.AccessDenied):
        bucket.put("a", DATA, timeout_s=60)
    assert puts(cloud) == 1


def test_with_a_time_tries_go_on_until_it_is_over(cloud: Any) -> None:
    class Clock:
        """Time passes by sleeping only."""

        wall = time.time()
        mono = 0.0

        def now(self) -> float:
            return self.wall + self.mono

        def monotonic(self) -> float:
            return self.mono

        def sleep(self, seconds: float) -> None:
            self.mono += seconds

        def wait(self, condition: threading.Condition, seconds: float | None) -> None:
            condition.wait(seconds)

    clock = Clock()
    cloud.fault("status", status=503, code="ServiceUnavailable", operation=ISSUED, times=0)
    with Bucket(
        "cams",
        endpoint=cloud.endpoint,
        region=cloud.region,
        credentials=Credentials(cloud.access_key_id, cloud.access_key_secret),
        retry=Retry(attempts=1, base_s=1, cap_s=2),
        clock=clock,
    ) as bucket:
        with pytest.raises(errors.Unavailable):
            bucket.put("a", DATA, timeout_s=30)
        assert 20 < clock.mono < 30
        assert puts(cloud) > 10
        cloud.clear_faults()
        cloud.fault("status", status=503, code="ServiceUnavailable", operation=ISSUED, times=12)
        assert bucket.put("a", DATA, timeout_s=1000).requests == 13


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda b: memoryview(b).cast("H")])
def test_a_lost_answer_is_not_taken_for_anothers_object(
    bucket: Bucket, cloud: Any, kind: Any
) -> None:
    cloud.fault("drop", operation=ISSUED, when="after")
    receipt = bucket.put("a", kind(DATA), overwrite=False)
    assert (receipt.crc64, receipt.requests) == (crc64(DATA), 2)
    assert (receipt.size, receipt.etag) == (len(DATA), bucket.stat("a").etag)
    assert receipt.etag == bucket.stat("a").etag


def test_anothers_object_is_not_taken_for_ours(bucket: Bucket, cloud: Any) -> None:
    bucket.put("a", b"another's")
    cloud.fault("status", status=503, code="ServiceUnavailable", operation=ISSUED)
    with pytest.raises(errors.ObjectExists):
        bucket.put("a", DATA, overwrite=False)
    assert body(bucket, "a") == b"another's"


def test_its_own_object_is_known_again_without_a_lost_answer(bucket: Bucket) -> None:
    """The network delivered the request twice, and only the second answer came."""
    bucket.put("a", DATA)
    receipt = bucket.put("a", DATA, overwrite=False)
    assert (receipt.crc64, receipt.size, receipt.etag) == (
        crc64(DATA),
        len(DATA),
        bucket.stat("a").etag,
    )


def test_without_the_check_an_answer_may_lack_its_crc(cloud: Any) -> None:
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    cloud.fault("drop_crc", operation=ISSUED)
    with Bucket(
        "cams",
        endpoint=cloud.endpoint,
        region=cloud.region,
        credentials=key,
        retry=FAST,
        verify_crc=False,
    ) as bucket:
        receipt = bucket.put("a", DATA)
        assert (receipt.crc64, receipt.requests) == (crc64(DATA), 1)
        cloud.fault("wrong_crc", operation=ISSUED)
        assert bucket.put("a", DATA).requests == 2


@pytest.mark.parametrize(
    ("arguments", "options", "error", "field"),
    [
        (("a", "text"), {}, TypeError, "data"),
        (("a", 5), {}, TypeError, "data"),
        (("a", memoryview(b"abcd")[::2]), {}, TypeError, "data"),
        (("", b""), {}, ValueError, "key"),
        (("a", b""), {"timeout_s": 0}, ValueError, "timeout_s"),
        (("a", b""), {"timeout_s": "1"}, TypeError, "timeout_s"),
        (("a", b""), {"metadata": {"a b": "c"}}, ValueError, "metadata"),
        (("a", b""), {"headers": {"Host": "c"}}, ValueError, "headers"),
        (("a", b""), {"colour": "red"}, TypeError, r"put\(\) .*'colour'"),
        (("a", b""), {"session": None}, TypeError, r"put\(\) .*'session'"),
    ],
)
def test_what_is_refused_before_a_byte_is_sent(
    bucket: Bucket, cloud: Any, arguments: Any, options: dict[str, Any], error: type, field: str
) -> None:
    with pytest.raises(error, match=field if "put" in field else f"^{field}: "):
        bucket.put(*arguments, **options)
    assert puts(cloud) == 0


@pytest.mark.skipif(sys.maxsize < 1 << 33, reason="32 bits have no room for a buffer of 5 GiB")
def test_the_limit_of_one_request(bucket: Bucket, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(LARGEST + 1)
    with large.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as room:
        with pytest.raises(ValueError, match=r"^data: at most 5368709120 bytes"):
            bucket.put("a", room)


def test_bytes_are_not_copied(bucket: Bucket) -> None:
    data = bytearray(8 << 20)
    bucket.put("warm", b"")
    tracemalloc.start()
    try:
        bucket.put("a", data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(data) // 2  # the local cloud, in the same process, takes a little
    data += b"not held any more"


def test_a_closed_bucket_stores_nothing(bucket: Bucket) -> None:
    bucket.close()
    with pytest.raises(ValueError, match="closed"):
        bucket.put("a", b"")
