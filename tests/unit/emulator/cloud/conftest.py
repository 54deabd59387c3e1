"""A local cloud and a small signing client, for the tests of its OSS half."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import time
from collections.abc import Iterator
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from ossmedia.emulator.serve import Emulator


class Reply(NamedTuple):
    """An answer, read to its end."""

    status: int
    headers: Message
    body: bytes

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    @property
    def code(self) -> str:
        """The error code, empty for a success."""
        return self.xml.findtext("Code", "") if self.status >= 300 and self.body else ""

    def texts(self, path: str) -> list[str]:
        """The texts of all elements at *path*."""
        return [element.text or "" for element in self.xml.iterfind(path)]


def v4_headers(
    method: str,
    resource: str,
    query: dict[str, str | None],
    headers: dict[str, str],
    key: tuple[str, str],
    region: str = "cn-hangzhou",
    now: float | None = None,
) -> dict[str, str]:
    """*headers* with those of an OSS V4 signature; written for the tests, from the documents."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now if now is not None else time.time()))
    signed = {
        **{name.lower(): value for name, value in headers.items()},
        "x-oss-date": moment,
        "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
    }
    lines = [
        f"{name}:{value.strip()}\n"
        for name, value in sorted(signed.items())
        if name.startswith("x-oss-") or name in ("content-type", "content-md5")
    ]
    pairs = sorted(
        (quote(name, safe=""), quote(value or "", safe="")) for name, value in query.items()
    )
    canonical = "\n".join(
        [
            method,
            quote(resource, safe="/-._~"),
            "&".join(f"{name}={value}" if value else name for name, value in pairs),
            "".join(lines),
            "",
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = f"{moment[:8]}/{region}/oss/aliyun_v4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    secret = f"aliyun_v4{key[1]}".encode()
    for piece in scope.split("/"):
        secret = hmac.digest(secret, piece.encode(), "sha256")
    text = f"OSS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    signed["authorization"] = f"OSS4-HMAC-SHA256 Credential={key[0]}/{scope},Signature={signature}"
    return signed


class Client:
    """Requests to one cloud, path style, signed with V4 unless ``key=None``."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.key: tuple[str, str] | None = (emulator.access_key_id, emulator.access_key_secret)
        address = emulator.endpoint.partition("://")[2]
        self.connection = http.client.HTTPConnection(address, timeout=20)
        self.others: list[Client] = []

    def close(self) -> None:
        """Close this client's connection and those of the clients made from it."""
        for client in (self, *self.others):
            client.connection.close()

    def send(
        self,
        method: str,
        key: str | None = None,
        query: dict[str, str | None] | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
        *,
        bucket: str | None = "cams",
    ) -> Reply:
        """One exchange; *key* None addresses the bucket, *bucket* None the service."""
        query = query or {}
        resource = "/" if bucket is None else f"/{bucket}/{key or ''}"
        sent = dict(headers or {})
        if self.key is not None:
            sent = v4_headers(method, resource, query, sent, self.key)
        pairs = [
            quote(name, safe="") + ("" if value is None else f"={quote(value, safe='')}")
            for name, value in query.items()
        ]
        target = quote(resource, safe="/-._~") + ("?" + "&".join(pairs) if pairs else "")
        self.connection.request(method, target, body, sent)
        answer = self.connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())

    def signed(self, method: str, key: str | None, query: Any = None) -> dict[str, str]:
        """The headers of a signed request to ``cams``, for tests that write it themselves."""
        assert self.key is not None
        return v4_headers(method, f"/cams/{key or ''}", query or {}, {}, self.key)

    def raw(
        self, method: str, target: str, length: int, body: bytes, *lines: str, **signed: str
    ) -> socket.socket:
        """A connection on which a request was begun by hand, with *body* of *length* bytes sent.

        *key* and *query* say what to sign when the target is more than a key.
        """
        query = {
            name: value if equals else None
            for name, equals, value in (
                pair.partition("=") for pair in signed.get("query", "").split("&") if pair
            )
        }
        headers = self.signed(method, signed.get("key", target), query)
        host, _, port = self.emulator.endpoint.partition("://")[2].partition(":")
        connection = socket.create_connection((host, int(port)), timeout=20)
        head = [f"{method} /cams/{target} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
        head += [*lines, *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        return connection

    def put(self, key: str, body: bytes = b"", **headers: str) -> Reply:
        """PutObject; header names with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("PUT", key, headers=named, body=body)

    def get(self, key: str, **headers: str) -> Reply:
        """GetObject."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", key, headers=named)

    def head(self, key: str) -> Reply:
        """HeadObject."""
        return self.send("HEAD", key)

    def append(self, key: str, position: int, body: bytes, **headers: str) -> Reply:
        """AppendObject."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        query = {"append": None, "position": str(position)}
        return self.send("POST", key, query, named, body)

    def initiate(self, key: str, **query: str | None) -> str:
        """InitiateMultipartUpload; returns the upload id."""
        reply = self.send("POST", key, {"uploads": None, **query})
        assert reply.status == 200, reply
        return reply.texts("UploadId")[0]

    def part(self, key: str, upload: str, number: int, body: bytes, **headers: str) -> Reply:
        """UploadPart."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        query = {"partNumber": str(number), "uploadId": upload}
        return self.send("PUT", key, query, named, body)

    def complete(
        self, key: str, upload: str, parts: list[tuple[int, str]], **headers: str
    ) -> Reply:
        """CompleteMultipartUpload with (number, ETag) pairs."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        items = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in parts
        )
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        return self.send("POST", key, {"uploadId": upload}, named, body)

    def as_caller(self, key_id: str, secret: str) -> Client:
        """A client with another key."""
        other = Client(self.emulator)
        other.key = (key_id, secret)
        self.others.append(other)
        return other

    def anonymous(self) -> Client:
        """A client that signs nothing."""
        other = Client(self.emulator)
        other.key = None
        self.others.append(other)
        return other


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[Emulator]:
    """The cloud behind :func:`emulator`."""
    with Emulator(buckets=["cams", "clips"]) as cloud:
        yield cloud


@pytest.fixture
def emulator(shared_emulator: Emulator) -> Emulator:
    """A running cloud in its first state, with the buckets ``cams`` and ``clips``."""
    shared_emulator.reset()
    return shared_emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    """A client of :func:`emulator` with the key that may do everything."""
    made = Client(emulator)
    yield made
    made.close()


@pytest.fixture(scope="session")
def client_of() -> type[Client]:
    """Clients for clouds that a test starts itself."""
    return Client
