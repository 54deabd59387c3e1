"""The border: codes become the right exceptions, texts are checked, handles know their process."""

import functools
import os
import pickle
import sys

import pytest

from ossmedia import Credentials, errors
from ossmedia._native import Store, crc64, crc64_combine, version
from ossmedia._native_stream import CREATE, Stream


@pytest.fixture
def store(oss_emulator):
    oss_emulator.reset()
    made = Store(
        endpoint=oss_emulator.endpoint,
        bucket=oss_emulator.buckets[0],
        region=oss_emulator.region,
        address=1,
    )
    made.set_credentials(Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret))
    yield made
    made.close()
    oss_emulator.clear_faults()


def test_crc64_is_the_published_one():
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert crc64(b"") == 0
    assert crc64(b"56789", crc64(b"1234")) == crc64(b"123456789")
    assert crc64_combine(crc64(b"1234"), crc64(b"56789"), 5) == crc64(b"123456789")


def test_version_is_the_packages():
    import ossmedia

    assert version() == ossmedia.__version__


def test_an_exchange(store):
    put = store.exchange("PUT", "key", body=b"hello")
    assert put.status == 200
    assert put.crc64 == put.sent_crc64 == crc64(b"hello")
    head = store.exchange("HEAD", "key")
    assert head.content_length == 5
    assert head.headers["x-oss-object-type"] == "Normal"
    out = bytearray(5)
    got = store.exchange("GET", "key", out=out)
    assert (got.body_len, bytes(out)) == (5, b"hello")
    assert store.stats()["requests"] == 3
    assert store.stats()["connections"] == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_put(store, kind):
    told = store.put("key", "content-type: text/plain\n", kind(b"hello"))
    assert int.from_bytes(told[:8], sys.byteorder) == 5
    assert int.from_bytes(told[8:16], sys.byteorder) == crc64(b"hello")
    lines = told[16:].decode().splitlines()
    assert f"x-oss-hash-crc64ecma: {crc64(b'hello')}" in lines
    assert all(": " in line for line in lines)
    assert store.exchange("HEAD", "key").headers["content-type"] == "text/plain"
    assert store.put("empty", "", kind(b""))[:16] == bytes(16)


@pytest.mark.parametrize("action", ["wrong_crc", "drop_crc"])
def test_a_put_of_which_oss_says_something_else(store, oss_emulator, action):
    oss_emulator.fault(action=action, key="k")
    with pytest.raises(errors.IntegrityError) as caught:
        store.put("k", "", b"hello")
    assert caught.value.retryable
    assert store.put("k", "", b"hello")


def test_a_puts_body_can_be_let_go(store):
    body, out = bytearray(b"hello"), bytearray(10)
    store.put("k", "", body, out)
    body += b"!"  # a view of it that nobody released would refuse
    out += b"!"
    with pytest.raises(ValueError, match="key"):
        store.put("", "", body, out)
    body += b"!"
    out += b"!"


def test_never_more_bytes_than_asked(store):
    store.exchange("PUT", "long", body=b"0123456789")
    out = bytearray(5)
    with pytest.raises(errors.ProtocolError, match="body"):
        store.exchange("GET", "long", out=out)
    assert out == bytes(5)
    with pytest.raises(errors.ProtocolError):
        store.exchange("GET", "long")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"action": "status", "status": 404, "code": "NoSuchKey"}, FileNotFoundError),
        ({"action": "status", "status": 403, "code": "AccessDenied"}, PermissionError),
        ({"action": "status", "status": 409, "code": "FileAlreadyExists"}, FileExistsError),
        (
            {"action": "status", "status": 412, "code": "PreconditionFailed"},
            errors.PreconditionFailed,
        ),
        ({"action": "status", "status": 503, "code": "ServiceUnavailable"}, errors.Unavailable),
        ({"action": "expire"}, errors.CredentialsExpired),
        ({"action": "skew", "seconds": 5000}, errors.ClockSkew),
        ({"action": "drop"}, ConnectionError),
        ({"action": "reset", "when": "after"}, ConnectionError),
    ],
    ids=lambda value: value["action"] if isinstance(value, dict) else value.__name__,
)
def test_errors(store, oss_emulator, fault, kind):
    oss_emulator.fault(key="err", **fault)
    with pytest.raises(kind) as caught:
        store.exchange("POST", "err", "append&position=0", body=b"x")
    error = caught.value
    assert isinstance(error, errors.OssMediaError)
    if isinstance(error, errors.ServiceError):
        assert error.status
        assert error.code
        assert error.request_id
    if isinstance(error, errors.ClockSkew):
        assert abs(error.server_time - oss_emulator.cloud.clock.now() - 5000) < 10
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_retry_after_travels(store, oss_emulator):
    oss_emulator.fault(
        action="status", status=503, code="ServiceUnavailable", headers={"Retry-After": "7"}
    )
    with pytest.raises(errors.Unavailable) as caught:
        store.exchange("HEAD", "x")
    assert caught.value.retry_after_s == 7.0


def test_unknown_service_errors_keep_everything(store, oss_emulator):
    oss_emulator.fault(action="status", status=418, code="TeapotShort", message="no & tea")
    with pytest.raises(errors.ServiceError) as caught:
        store.exchange("GET", "x")
    assert type(caught.value) is errors.ServiceError
    assert (caught.value.status, caught.value.code) == (418, "TeapotShort")
    assert "no & tea" in str(caught.value)


@pytest.mark.parametrize(
    "key", ["a\0b", "a\nb", "a\rb", "/a", "\\a", "k" * 1024, "é" * 512, "\ud800"]
)
def test_refused_keys(store, key):
    before = store.stats()["requests"]
    with pytest.raises(ValueError, match="key"):
        store.exchange("PUT", key, body=b"x")
    with pytest.raises(ValueError, match=r"key|surrogates"):
        store.put(key, "", b"x")
    with pytest.raises(ValueError, match="key"):
        Stream(store, key=key, mode=CREATE, block_size=102_400, block_count=2)
    assert store.stats()["requests"] == before


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ("X-A: 1\r\nX-B: 2\n", "X-A"),
        ("Authorization: OSS a:b\n", "Authorization"),
        ("x-oss-security-token: t\n", "x-oss-security-token"),
        ("Bad Name: x\n", "header"),
        ("no colon\n", "header"),
        ("X-A: 1\nx-a: 2\n", "x-a"),
        ("X-Nul: a\0b\n", "headers"),
    ],
)
def test_refused_headers(store, headers, name):
    with pytest.raises(ValueError, match=f"(?i){name}"):
        store.exchange("PUT", "k", headers=headers, body=b"x")
    with pytest.raises(ValueError, match=f"(?i){name}"):
        store.put("k", headers, b"x")
    assert store.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoint", "ftp://x"),
        ("endpoint", "http://user@host"),
        ("endpoint", "http://host/path"),
        ("endpoint", "http://host:99999"),
        ("endpoint", "http://ho st"),
        ("bucket", "UPPER"),
        ("bucket", "ab"),
        ("bucket", "-abc"),
        ("bucket", "a" * 64),
        ("region", ""),
        ("region", "cn\nhangzhou"),
        ("proxy", "https://proxy:1"),
        ("proxy", "proxy:1"),
        ("signature", 2),
        ("address", 7),
    ],
)
def test_refused_configuration(field, value):
    good = {
        "endpoint": "http://127.0.0.1:1",
        "bucket": "cams",
        "region": "cn-hangzhou",
        "address": 1,
    }
    with pytest.raises(ValueError, match=field):
        Store(**{**good, field: value})


def test_without_credentials(oss_emulator):
    bare = Store(endpoint=oss_emulator.endpoint, bucket="cams", region="cn-hangzhou", address=1)
    with pytest.raises(ValueError, match="credentials"):
        bare.exchange("GET", "x")
    bare.close()


def test_closed(store):
    extra = Store(endpoint="http://127.0.0.1:1", bucket="cams", region="cn-hangzhou", address=1)
    extra.close()
    extra.close()
    put = functools.partial(extra.put, "x", "", b"")
    for call in (lambda: extra.exchange("GET", "x"), put, extra.stats, extra.drop_connections):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_any_order_of_closing(store):
    other = Store(endpoint="http://127.0.0.1:1", bucket="cams", region="cn-hangzhou", address=1)
    stream = Stream(other, key="k", mode=CREATE, block_size=102_400, block_count=2)
    other.close()
    assert stream.take() is not None
    stream.give(10, last=True)
    stream.abort()
    stream.close()


def test_a_child_process_is_refused(store):
    stream = Stream(store, key="k", mode=CREATE, block_size=102_400, block_count=2)
    pid = os.fork()
    if pid == 0:
        refused = 0
        for call in (store.stats, stream.take, lambda: store.exchange("GET", "k")):
            try:
                call()
            except ValueError as error:
                refused += "fork" in str(error)
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    stream.close()


def test_no_pickling(store):
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(store)


def test_presign_with_a_long_token(store):
    store.set_credentials(Credentials("STS.x", "secret", "t" * 9000))
    url = store.sign_url("GET", "a/b c.mp4", "", "", 60)
    assert "a/b%20c.mp4?" in url
    assert "t" * 9000 in url


@pytest.mark.parametrize("expires", [0, 604_801])
def test_presign_limits(store, expires):
    with pytest.raises(ValueError, match="expires"):
        store.sign_url("GET", "k", "", "", expires)


def test_the_answer_is_read_where_it_stands():
    from ossmedia._core import ffi
    from ossmedia.answer import FIELDS

    assert FIELDS.size == ffi.offsetof("om_answer", "head")
    names = [name for name, _ in ffi.typeof("om_answer").fields]
    assert names[-4:] == ["head_len", "sent_len", "sent_crc64", "head"]
    assert len(names) - 1 == len(FIELDS.unpack(bytes(FIELDS.size)))
