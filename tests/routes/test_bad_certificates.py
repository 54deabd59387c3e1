"""Whom the camera talks to: a chain that is wrong in one thing is refused before a byte of a
request is sent; the same chain without that thing is taken."""

from __future__ import annotations

import shutil
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ossmedia import Bucket, Credentials, Retry, errors
from tests.routes.bad_certificates import BAD, GOOD, Maker
from tests.routes.hostile_answers import right_answer, wire
from tests.routes.raw_server import RawServer, Request

DATA = b"secret footage"
needs_openssl = pytest.mark.skipif(
    not shutil.which("openssl"), reason="needs the openssl program (Debian: openssl)"
)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("chains"))


def lax(files: tuple[Path, Path]) -> ssl.SSLContext:
    """A server that shows any certificate and speaks any version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.load_cert_chain(*files)
    return context


def answer(request: Request) -> Iterator[bytes]:
    yield wire(right_answer(request))


def bucket_at(server: RawServer, maker: Maker, name: str) -> Bucket:
    by_address = name.endswith("by address")
    return Bucket(
        "cams",
        endpoint="https://127.0.0.1" if by_address else "https://oss-cn-hangzhou.aliyuncs.com",
        region="cn-hangzhou",
        credentials=Credentials("LTAIkey", "secret"),
        ca_file=maker.trusted,
        proxy=f"http://127.0.0.1:{server.port}",
        retry=Retry(attempts=3, base_s=0.001, cap_s=0.002),
    )


def cases(names: object) -> list[object]:
    """Those that the openssl program makes are skipped where there is none."""
    by_program = ("512 bits", "SHA-1", "MD5", "by openssl")
    return [
        pytest.param(name, marks=needs_openssl if name.endswith(by_program) else ())
        for name in names
    ]


@pytest.mark.parametrize("name", cases(BAD))
def test_refused(maker: Maker, name: str) -> None:
    make, says = BAD[name]
    context = lax(make(maker))
    if name == "RSA with 512 bits":
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # too short for TLS 1.3's signatures
    with RawServer(answer, context, proxy=True) as server:
        with bucket_at(server, maker, name) as bucket:
            with pytest.raises(errors.TlsError, match=says) as caught:
                bucket.put("k", DATA)
            assert bucket.stats()["bytes_sent"] == 0
    assert not caught.value.retryable
    assert server.connections == 1
    assert server.received == 0
    assert server.refused == 1


@pytest.mark.parametrize("name", cases(GOOD))
def test_taken(maker: Maker, name: str) -> None:
    with RawServer(answer, lax(GOOD[name](maker)), proxy=True) as server:
        with bucket_at(server, maker, name) as bucket:
            assert bucket.put("k", DATA).size == len(DATA)
    assert server.requests[0].body == DATA


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions(maker: Maker, version: str) -> None:
    context = lax(GOOD["the host"](maker))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion[version]
    with RawServer(answer, context, proxy=True) as server:
        with bucket_at(server, maker, "the host") as bucket:
            with pytest.raises(errors.TlsError, match=r"(?i)version|protocol"):
                bucket.put("k", DATA)
    assert server.received == 0
    assert server.connections == 1


@pytest.mark.parametrize("ciphers", ["aNULL", "eNULL", "kRSA+AES", "PSK"])
def test_weak_ciphers(maker: Maker, ciphers: str) -> None:
    """Without a certificate, without encryption, without forward secrecy: never."""
    context = lax(GOOD["RSA with 2,048 bits"](maker))
    try:
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    except ssl.SSLError:
        pytest.skip(f"this Python's OpenSSL has no {ciphers} ciphers to offer")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(answer, context, proxy=True) as server:
        with bucket_at(server, maker, "the host") as bucket:
            with pytest.raises(errors.TlsError, match="handshake"):
                bucket.put("k", DATA)
    assert server.received == 0
