"""Bucket.put of bytes without options: the promises of every other put, on a shorter road."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ossmedia import Bucket, Credentials, Retry, crc64, errors
from ossmedia import put as put_module

FAST = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=5)
DATA = bytes(range(256)) * 40
ISSUED = "PutObject"


class Clock:
    """Time passes by hand and by sleeping."""

    mono = 0.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.mono

    def sleep(self, seconds: float) -> None:
        self.mono += seconds


class Provider:
    """Credentials that live for 1,000 s; counts how often it is asked."""

    def __init__(self, cloud: Any, life_s: float | None = 1000.0) -> None:
        self.pair = cloud.access_key_id, cloud.access_key_secret
        self.life_s = life_s
        self.calls = 0

    def __call__(self) -> Credentials:
        self.calls += 1
        end = None if self.life_s is None else time.time() + self.life_s
        return Credentials(*self.pair, "", end)


@pytest.fixture
def provider(cloud: Any) -> Provider:
    return Provider(cloud)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bucket(cloud: Any, provider: Provider, clock: Clock) -> Iterator[Bucket]:
    """One whose next put takes the short road."""
    with Bucket(
        "cams",
        endpoint=cloud.endpoint,
        region=cloud.region,
        credentials=provider,
        retry=FAST,
        clock=clock,
    ) as made:
        made.put("warm", b"")
        yield made


@pytest.fixture
def long_road(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that ``put_object`` gets."""
    seen: list[str] = []
    real = put_module.put_object

    def noted(session: Any, key: str, *rest: Any, **named: Any) -> Any:
        seen.append(key)
        return real(session, key, *rest, **named)

    monkeypatch.setattr(put_module, "put_object", noted)
    return seen


def test_it_takes_bytes_without_options_only(long_road: list[str], bucket: Bucket) -> None:
    bucket.put("plain", DATA)
    bucket.put("view", memoryview(DATA))
    bucket.put("option", DATA, content_type="video/mp2t")
    assert long_road == ["warm", "view", "option"], "the first one asks for credentials"
    assert [bucket.stat(key).size for key in ("plain", "view", "option")] == [len(DATA)] * 3


def test_both_roads_give_the_same_receipt(bucket: Bucket) -> None:
    short, long = bucket.put("a", DATA), bucket.put("a", bytearray(DATA))
    assert short is not None
    assert long is not None
    assert short.request_id != long.request_id
    names = ("key", "size", "crc64", "etag", "requests", "generations")
    assert [getattr(short, n) for n in names] == [getattr(long, n) for n in names]


def test_receipts_keep_their_own_values(bucket: Bucket) -> None:
    receipts = [bucket.put(f"k{n}", bytes([n]) * n) for n in range(20)]
    assert [r.size for r in receipts if r] == list(range(20))
    assert [r.crc64 for r in receipts if r] == [crc64(bytes([n]) * n) for n in range(20)]
    assert len({r.request_id for r in receipts if r}) == 20


def test_threads_do_not_share_memory(bucket: Bucket) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(30):
            data = bytes([number, turn]) * (number * 100 + turn)
            receipt = bucket.put(f"t{number}", data)
            if receipt is None or (receipt.size, receipt.crc64) != (len(data), crc64(data)):
                wrong.append((number, turn, receipt))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    spare = [id(memory) for memory in bucket._store.spare_puts]
    assert 1 <= len(spare) == len(set(spare)) <= len(threads)


def test_the_provider_is_asked_when_it_is_time(
    bucket: Bucket, provider: Provider, clock: Clock
) -> None:
    clock.mono = 690.0
    bucket.put("a", DATA)
    assert provider.calls == 1
    clock.mono = 810.0
    bucket.put("a", DATA)
    assert provider.calls == 2
    bucket.put("a", DATA)
    assert provider.calls == 2


def test_credentials_that_ended_send_nothing(
    bucket: Bucket, cloud: Any, provider: Provider, clock: Clock
) -> None:
    before = cloud.counters()["requests"].get(ISSUED, 0)
    provider.life_s = -5.0
    clock.mono = 1001.0
    with pytest.raises(errors.CredentialsError, match="expires_at"):
        bucket.put("a", DATA)
    assert cloud.counters()["requests"].get(ISSUED, 0) == before


def test_a_refused_token_is_renewed(cloud: Any, clock: Clock) -> None:
    wrong = iter([Credentials("LTAIwrong", "wrong")])

    def provider() -> Credentials:
        return next(wrong, Credentials(cloud.access_key_id, cloud.access_key_secret))

    with Bucket(
        "cams", endpoint=cloud.endpoint, region=cloud.region, credentials=provider, clock=clock
    ) as bucket:
        cloud.fault("expire", operation=ISSUED)
        receipt = bucket.put("a", DATA)
        assert receipt is not None
        assert receipt.requests == 2
        cloud.fault("expire", operation=ISSUED)
        with pytest.raises(errors.CredentialsExpired):
            bucket.put("a", DATA)  # the provider has no others


def test_an_object_in_the_way_is_compared(long_road: list[str], bucket: Bucket, cloud: Any) -> None:
    fault: dict[str, Any] = {"status": 409, "code": "FileAlreadyExists", "operation": ISSUED}
    cloud.fault("status", **fault)
    with pytest.raises(errors.ObjectExists):
        bucket.put("a", DATA)
    bucket.put("a", DATA)
    cloud.fault("status", **fault)
    receipt = bucket.put("a", DATA)
    assert receipt is not None
    assert (receipt.size, receipt.crc64, receipt.requests) == (len(DATA), crc64(DATA), 1)
    assert long_road == ["warm"]


def test_a_failure_waits_as_any_other(bucket: Bucket, cloud: Any, clock: Clock) -> None:
    cloud.fault("status", status=503, code="ServiceUnavailable", operation=ISSUED, times=2)
    before = clock.mono
    receipt = bucket.put("a", DATA)
    assert receipt is not None
    assert receipt.requests == 3
    assert clock.mono > before


def test_nothing_stays_in_memory_after_a_failure(bucket: Bucket, cloud: Any) -> None:
    cloud.fault("status", status=403, code="AccessDenied", operation=ISSUED, times=0)
    kept = bytearray(DATA)
    gc.collect()
    gc.disable()
    try:
        for data in (DATA, kept):
            with contextlib.suppress(errors.AccessDenied):
                bucket.put("a", data)
        kept += b"not held any more"
        assert gc.collect() == 0, "the exception stands in no cycle"
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside the local cloud's threads
def test_a_child_is_refused(bucket: Bucket) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            bucket.put("child", DATA)
        except ValueError as error:
            code = 0 if "after fork()" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    bucket.put("a", DATA)
    assert bucket.stats()["connections"] == 1


def test_a_closed_bucket_stores_nothing(bucket: Bucket) -> None:
    bucket.close()
    with pytest.raises(ValueError, match="closed"):
        bucket.put("a", DATA)
