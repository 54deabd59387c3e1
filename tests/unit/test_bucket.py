"""bucket.py: what is refused before a byte is sent, and every operation against the local cloud."""

from __future__ import annotations

import ast
import gc
import os
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ossmedia
from ossmedia import Bucket, Credentials, Reader, Retry, Writer, crc64, errors

FAST = Retry(attempts=3, base_s=0.0005, cap_s=0.002, give_up_after_s=5)


def connect(cloud: Any, **options: Any) -> Bucket:
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    common = {"endpoint": cloud.endpoint, "region": cloud.region, "credentials": key, "retry": FAST}
    return Bucket(options.pop("name", cloud.bucket), **{**common, **options})


@pytest.fixture
def oss_emulator(oss_emulator: Any) -> Any:
    """The session's cloud, as at its start."""
    oss_emulator.reset()
    return oss_emulator


@pytest.fixture
def bucket(oss_emulator: Any) -> Iterator[Bucket]:
    with connect(oss_emulator) as made:
        yield made


def put(bucket: Bucket, key: str, data: bytes = b"data", **options: Any) -> None:
    with bucket.open(key, "wb", **options) as f:
        f.write(data)


# What is refused before a byte is sent: there is nobody at this address.

NOWHERE: dict[str, Any] = {
    "endpoint": "http://127.0.0.1:9",
    "region": "cn-hangzhou",
    "credentials": Credentials("i", "s"),
}


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"endpoint": "http://h/p"}, ValueError, "endpoint"),
        ({"endpoint": "http://h", "region": ""}, ValueError, "region"),
        ({"credentials": "key"}, TypeError, "credentials"),
        ({"signature": "v2"}, ValueError, "signature"),
        ({"connect_timeout_s": 0}, ValueError, "connect_timeout_s"),
        ({"io_timeout_s": "1"}, TypeError, "io_timeout_s"),
        ({"total_timeout_s": float("nan")}, ValueError, "total_timeout_s"),
        ({"block_size": 102_399}, ValueError, "block_size"),
        ({"block_size": 1e6}, TypeError, "block_size"),
        ({"blocks": 1}, ValueError, "blocks"),
        ({"parallel": 0}, ValueError, "parallel"),
        ({"parallel": True}, TypeError, "parallel"),
        ({"ca_file": "/no/such.pem"}, FileNotFoundError, "ca_file"),
        ({"proxy": "socks5://h"}, ValueError, "proxy"),
    ],
)
def test_bad_options_are_named(changes: dict[str, Any], error: type, field: str) -> None:
    with pytest.raises(error, match=f"^{field}: "):
        Bucket("cams", **{**NOWHERE, **changes})


@pytest.mark.parametrize("name", ["", "ab", "CAMS", "a/b", "a" * 64])
def test_bad_names_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"^bucket: "):
        Bucket(name, **NOWHERE)


@pytest.mark.parametrize("mode", ["w", "r", "w+", "wb+", "rb+", "a", "bw", "", "x", "wt", "WB"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=r'^mode: must be "rb", "wb", "xb" or "ab", not '):
        Bucket("cams", **NOWHERE).open("k", mode)


KEYS = ["", "k" * 1024, "a\r\nX: y", "a\nb", "a\0b", "/a", "\ud800"]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_bad_keys_are_named_by_every_call(key: str) -> None:
    bucket = Bucket("cams", **NOWHERE)
    calls = [lambda mode=mode: bucket.open(key, mode) for mode in ("rb", "wb", "xb", "ab")]
    calls += [lambda: bucket.stat(key), lambda: bucket.delete(key), lambda: bucket.presign(key)]
    calls += [lambda: bucket.upload(__file__, key)]
    for call in calls:
        with pytest.raises(ValueError, match=r"^key: must "):
            call()
    if key:
        with pytest.raises(ValueError, match=r"^key: must "):
            bucket.list(key)
    assert bucket.stats() == {
        "requests": 0,
        "connections": 0,
        "bytes_sent": 0,
        "bytes_received": 0,
    }


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda b: b.open("k", "wb", content_type="a\n"), "content_type"),
        (lambda b: b.open("k", "wb", metadata={"a": "\r"}), "metadata 'a'"),
        (lambda b: b.open("k", "wb", headers={"Date": "x"}), "headers"),
        (lambda b: b.open("k", "wb", block_size=5), "block_size"),
        (lambda b: b.presign("k", "PATCH"), "method"),
        (lambda b: b.presign("k", expires_s=0), "expires_s"),
        (lambda b: b.presign("k", expires_s=604_801), "expires_s"),
        (lambda b: b.list(page_size=1001), "page_size"),
        (lambda b: b.list(delimiter="\n"), "key"),
        (lambda b: b.upload(os.devnull, "k"), "path"),
    ],
)
def test_bad_arguments_are_named(call: Any, field: str) -> None:
    bucket = Bucket("cams", **NOWHERE)
    with pytest.raises(ValueError, match=f"^{field}: "):
        call(bucket)
    assert bucket.stats()["requests"] == 0


def test_expired_credentials_are_named_before_a_byte_is_sent(tmp_path: Any) -> None:
    over = Credentials("STS.i", "s", "t", expires_at=1.0)
    with Bucket("cams", **{**NOWHERE, "credentials": over, "retry": FAST}) as bucket:
        with pytest.raises(errors.CredentialsError, match=r"^expires_at: the credentials ended"):
            bucket.stat("k")
        with pytest.raises(errors.CredentialsError, match=r"^expires_at: "):
            bucket.presign("k")
        assert bucket.stats()["bytes_sent"] == 0


def test_the_environment_gives_the_credentials(
    oss_emulator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", oss_emulator.access_key_id)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", oss_emulator.access_key_secret)
    monkeypatch.delenv("OSS_SESSION_TOKEN", raising=False)
    with connect(oss_emulator, credentials=None) as bucket:
        put(bucket, "k")
        monkeypatch.delenv("OSS_ACCESS_KEY_SECRET")
    with connect(oss_emulator, credentials=None) as bucket:
        with pytest.raises(errors.CredentialsError, match="OSS_ACCESS_KEY_SECRET: not set"):
            bucket.stat("k")


# Secrets, pickling, life


def test_repr_and_pickle(bucket: Bucket, oss_emulator: Any) -> None:
    assert (
        repr(bucket) == f"Bucket('cams', endpoint='{oss_emulator.endpoint}', region='cn-hangzhou')"
    )
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(bucket)
    assert (bucket.name, bucket.endpoint, bucket.region) == (
        "cams",
        oss_emulator.endpoint,
        "cn-hangzhou",
    )


def test_a_closed_bucket(oss_emulator: Any) -> None:
    bucket = connect(oss_emulator)
    listing = bucket.list()
    bucket.close()
    bucket.close()
    for call in (
        lambda: bucket.open("k"),
        lambda: bucket.stat("k"),
        bucket.list,
        lambda: next(listing),
        lambda: bucket.delete("k"),
        lambda: bucket.presign("k"),
        lambda: bucket.upload(__file__, "k"),
        bucket.stats,
        bucket.__enter__,
    ):
        with pytest.raises(ValueError, match="closed"):
            call()


FORK = """
import os, sys
from ossmedia import Bucket, Credentials
bucket = Bucket("cams", endpoint=sys.argv[1], region="cn-hangzhou",
                credentials=Credentials(sys.argv[2], sys.argv[3]))
with bucket.open("k", "wb") as f:
    f.write(b"before")
reader = bucket.open("k")
pid = os.fork()
if pid == 0:
    calls = [lambda: bucket.stat("k"), lambda: bucket.open("k", "wb"), lambda: bucket.list(),
             lambda: reader.read(), bucket.stats, lambda: bucket.presign("k"),
             lambda: bucket.put("k", b"x")]
    refused = 0
    for call in calls:
        try:
            call()
        except ValueError as error:
            refused += "fork" in str(error)
    bucket.close()
    with Bucket("cams", endpoint=sys.argv[1], region="cn-hangzhou",
                credentials=Credentials(sys.argv[2], sys.argv[3])) as own:
        refused += own.stat("k").size == 6
    os._exit(0 if refused == len(calls) + 1 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert reader.read() == b"before"
assert bucket.stats()["connections"] == 1
print("fine")
"""


def test_a_child_process_is_refused_and_the_parent_unharmed(oss_emulator: Any) -> None:
    arguments = [oss_emulator.endpoint, oss_emulator.access_key_id, oss_emulator.access_key_secret]
    done = subprocess.run(
        [sys.executable, "-c", FORK, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


LIGHT = {"__future__", "_struct", "_thread", "errno", "io", "os", "sys", "time"}
CAMERA = """
import sys, ossmedia
before = set(sys.modules)
from ossmedia import Bucket, Credentials
key = Credentials("i", "s")
Bucket("cams", region="r", endpoint="http://127.0.0.1:9", credentials=key)
print(*sorted(set(sys.modules) - before), *sorted(m for m in sys.modules if m[:8] == "ossmedia"))
"""


def top_imports(path: Path) -> set[str]:
    """Modules that a file imports when it is imported; what stands under TYPE_CHECKING is not."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_the_camera_path_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CAMERA], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.split(".")[0] == "ossmedia"}
    assert {"ossmedia.bucket", "ossmedia.session", "ossmedia._native"} <= ours
    assert not ours & {"ossmedia.writer", "ossmedia.reader", "ossmedia.sts", "ossmedia.listing"}
    assert loaded - ours <= {"_cffi_backend", "_struct", "time"}
    package = Path(ossmedia.__file__).parent
    for name in ours - {"ossmedia"}:
        path = package / f"{name.split('.')[1]}.py"
        if path.exists():
            assert top_imports(path) <= LIGHT | ours, name


def test_a_dropped_bucket_leaves_no_connection(oss_emulator: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    bucket = connect(oss_emulator)
    put(bucket, "k")
    assert len(os.listdir("/proc/self/fd")) > before
    del bucket
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the emulator's end may close later


# Objects


@pytest.mark.parametrize("signature", ["v4", "v1"])
def test_write_stat_read_delete(oss_emulator: Any, signature: str) -> None:
    data = bytes(range(256)) * 10
    with connect(oss_emulator, signature=signature) as bucket:
        with bucket.open(
            "a b/ü+%2f.mp4",
            "wb",
            content_type="video/mp4",
            metadata={"Camera": "c1"},
            headers={"Cache-Control": "no-cache"},
        ) as f:
            assert isinstance(f, Writer)
            f.write(data)
        stat = bucket.stat("a b/ü+%2f.mp4")
        assert (stat.key, stat.size, stat.crc64) == ("a b/ü+%2f.mp4", len(data), crc64(data))
        assert (stat.content_type, stat.type, stat.next_append_position) == (
            "video/mp4",
            "Normal",
            None,
        )
        assert stat.metadata == (("camera", "c1"),)
        assert f.result is not None
        assert stat.etag == f.result.etag
        with bucket.open("a b/ü+%2f.mp4") as r:
            assert isinstance(r, Reader)
            assert r.read() == data
            r.seek(-5, 2)
            assert r.read() == data[-5:]
        bucket.delete("a b/ü+%2f.mp4")
        bucket.delete("a b/ü+%2f.mp4")
        for call in (lambda: bucket.stat("a b/ü+%2f.mp4"), lambda: bucket.open("a b/ü+%2f.mp4")):
            with pytest.raises(errors.NotFound) as caught:
                call()
            assert isinstance(caught.value, FileNotFoundError)
            assert (caught.value.status, caught.value.code) == (404, "NoSuchKey")
            assert caught.value.request_id


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_other_names_of_the_local_machine(oss_emulator: Any, host: str) -> None:
    endpoint = oss_emulator.endpoint.replace("127.0.0.1", host)
    with connect(oss_emulator, endpoint=endpoint) as bucket:
        put(bucket, "k")
        assert [row.key for row in bucket.list()] == ["k"]


def test_stats_count(bucket: Bucket) -> None:
    put(bucket, "k", b"12345")
    bucket.stat("k")
    stats = bucket.stats()
    assert (stats["requests"], stats["connections"], stats["bytes_sent"]) == (2, 1, 5)


def test_a_bucket_that_is_not_there(oss_emulator: Any) -> None:
    with connect(oss_emulator, name="missing") as bucket:
        with pytest.raises(errors.NotFound, match="NoSuchBucket"):
            list(bucket.list())


def test_a_wrong_secret_is_refused_without_being_shown(oss_emulator: Any) -> None:
    key = Credentials(oss_emulator.access_key_id, "wrong-secret-canary")
    with connect(oss_emulator, credentials=key) as bucket:
        with pytest.raises(errors.AccessDenied, match="SignatureDoesNotMatch") as caught:
            list(bucket.list())
    assert "canary" not in str(caught.value)
    assert oss_emulator.counters()["requests"] == {"ListObjectsV2": 1}


@pytest.mark.parametrize("offset", [40 * 365 * 86_400, -86_400, 3600])
def test_a_wrong_clock_costs_one_request(oss_emulator: Any, bucket: Bucket, offset: int) -> None:
    oss_emulator.set_clock(offset)
    with pytest.raises(errors.NotFound):
        bucket.stat("k")
    assert bucket.stats()["requests"] == 2
    with pytest.raises(errors.NotFound):
        bucket.stat("k")
    assert bucket.stats()["requests"] == 3


@pytest.mark.parametrize("action", ["status", "drop", "reset", "garbage"])
def test_a_fault_is_tried_again(oss_emulator: Any, bucket: Bucket, action: str) -> None:
    put(bucket, "k")
    rule = oss_emulator.fault(action, method="HEAD", times=2)
    assert bucket.stat("k").size == 4
    assert rule.fired == 2
    oss_emulator.clear_faults()
    rule = oss_emulator.fault(action, method="HEAD", times=0)
    with pytest.raises(errors.OssMediaError):
        bucket.stat("k")
    assert rule.fired >= FAST.attempts


def test_an_expired_token_is_renewed(oss_emulator: Any) -> None:
    from ossmedia.sts import TokenIssuer

    issuer = TokenIssuer(
        oss_emulator.role_arn,
        "cams",
        credentials=Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret),
        endpoint=oss_emulator.sts_endpoint,
        secure_transport=False,
    )
    tokens: list[Credentials] = []

    def provider() -> Credentials:
        tokens.append(issuer.get_token("cams/c/*", "rwl", device="c"))
        return tokens[-1]

    with connect(oss_emulator, credentials=provider) as bucket:
        put(bucket, "cams/c/a")
        oss_emulator.fault("expire", method="GET")
        assert [row.key for row in bucket.list("cams/c/")] == ["cams/c/a"]
        assert len(tokens) == 2
        assert tokens[0] != tokens[1]
        oss_emulator.fault("expire", operation="PutObject")
        put(bucket, "cams/c/b")
        assert len(tokens) == 3


# Lists


def test_all_pages_in_order(bucket: Bucket, oss_emulator: Any) -> None:
    keys = [f"a/{n:02}" for n in range(7)] + ["a/b/x", "a/b/y", "a/ c", "b"]
    for key in keys:
        put(bucket, key, key.encode())
    found = list(bucket.list("a/", page_size=3))
    assert [row.key for row in found] == sorted(k for k in keys if k.startswith("a/"))
    assert all(row.size == len(row.key) for row in found)
    assert found[0].etag == bucket.stat(found[0].key).etag
    assert found[0].modified_at == bucket.stat(found[0].key).modified_at
    level = list(bucket.list("a/", "/", page_size=2))
    assert [(r.key, r.type) for r in level if r.type == "Prefix"] == [("a/b/", "Prefix")]
    assert [r.key for r in level] == sorted(r.key for r in level)
    assert list(bucket.list("none")) == []
    assert oss_emulator.counters()["requests"]["ListObjectsV2"] >= 8


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"),
            min_size=1,
            max_size=12,
        ).filter(lambda k: k[0] not in "/\\"),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_any_key_comes_back_from_a_list(oss_emulator: Any, keys: list[str]) -> None:
    oss_emulator.reset()
    with connect(oss_emulator) as bucket:
        for key in keys:
            put(bucket, key, key.encode())
        found = list(bucket.list(page_size=2))
        assert [row.key for row in found] == sorted(keys, key=str.encode)
        for key in keys:
            with bucket.open(key) as f:
                assert f.read() == key.encode()


def test_lists_hold_appended_objects(bucket: Bucket) -> None:
    with bucket.open("grown", "ab") as f:
        f.write(b"12345")
    (row,) = bucket.list()
    assert (row.type, row.size) == ("Appendable", 5)
    assert bucket.stat("grown").next_append_position == 5


# URLs


def fetch(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


@pytest.mark.parametrize("signature", ["v4", "v1"])
def test_presigned_urls(oss_emulator: Any, signature: str) -> None:
    with connect(oss_emulator, signature=signature) as bucket:
        url = bucket.presign("a b.mp4", "PUT", 60, content_type="video/mp4")
        fetch(url, "PUT", b"by url", **{"Content-Type": "video/mp4"})
        assert fetch(bucket.presign("a b.mp4")) == b"by url"
        assert bucket.stat("a b.mp4").content_type == "video/mp4"
        requests = bucket.stats()["requests"]
        url = bucket.presign("a b.mp4")
        assert bucket.stats()["requests"] == requests
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            fetch(url.replace("a%20b", "a%20c"))
        refused.value.close()
        oss_emulator.set_clock(3700)
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            fetch(url)
        refused.value.close()
