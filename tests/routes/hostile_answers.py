"""Answers made by hand to break a client, for test_hostile_answers.py: each is a right answer with
one thing wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ossmedia import crc64
from tests.routes.raw_server import Request

__all__ = ["CASES", "OBJECT", "Case", "Right", "right_answer", "wire"]

OBJECT = bytes(range(256)) * 40
ETAG = '"5B3C1A2E053D763E1B002CC607C5A0FE"'
LISTING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><EncodingType>url</EncodingType>'
    "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size>"
    "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"
)
ALL = frozenset({"put", "append", "get", "stat", "list"})
BODY = frozenset({"get", "list"})
GET = frozenset({"get"})
STORING = frozenset({"put", "append"})


@dataclass
class Right:
    """An answer that the client would take: what a case changes."""

    status: str
    fields: list[tuple[str, str]]
    body: bytes
    length: bool = True
    start: str = "HTTP/1.1"
    end: bytes = b"\r\n"

    def set(self, name: str, value: str) -> Right:
        """The only field of that name."""
        self.fields = [pair for pair in self.fields if pair[0] != name] + [(name, value)]
        return self

    def drop(self, name: str) -> Right:
        self.fields = [pair for pair in self.fields if pair[0] != name]
        return self


def right_answer(request: Request) -> Right:
    """What a good server says; the object is OBJECT, an appended one is empty before."""
    common = [("Server", "AliyunOSS"), ("Date", "Sun, 06 Nov 2044 08:49:37 GMT"), ("ETag", ETAG)]
    common.append(("x-oss-request-id", "5C3D9175B6FC201293AD4890"))
    if request.method == "HEAD":
        about = [
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Content-Length", str(len(OBJECT))),
            ("x-oss-object-type", "Normal"),
            ("x-oss-hash-crc64ecma", str(crc64(OBJECT))),
        ]
        return Right("200 OK", common + about, b"", length=False)
    if request.method == "GET" and "list-type=2" in request.target:
        return Right("200 OK", common, LISTING.encode())
    if request.method == "GET":
        first, last = map(int, re.findall(r"\d+", request.field("range")))
        about = [("Content-Range", f"bytes {first}-{last}/{len(OBJECT)}")]
        return Right("206 Partial Content", common + about, OBJECT[first : last + 1])
    about = [("x-oss-hash-crc64ecma", str(crc64(request.body)))]
    if "append" in request.target:
        about.append(("x-oss-next-append-position", str(len(request.body))))
    return Right("200 OK", common + about, b"")


def wire(answer: Right) -> bytes:
    lines = [f"{answer.start} {answer.status}"]
    fields = list(answer.fields)
    if answer.length:
        fields.append(("Content-Length", str(len(answer.body))))
    lines += [f"{name}: {value}" for name, value in fields]
    head = b"".join(line.encode("latin-1") + answer.end for line in lines)
    return head + answer.end + answer.body


@dataclass
class Case:
    """One wrong answer.

    Args:
        make: the pieces that go out instead of the right answer.
        to: which operations it is hostile to.
        error: the name of the exception it ends in.
        says: a pattern of the message.
    """

    name: str
    make: Callable[[Right], Iterable[bytes | None]]
    to: frozenset[str] = ALL
    error: str = "ProtocolError"
    says: str = ""


def _lengths(*values: str) -> Callable[[Right], list[bytes]]:
    def make(answer: Right) -> list[bytes]:
        answer.drop("Content-Length").length = False
        answer.fields += [("Content-Length", value) for value in values]
        return [wire(answer)]

    return make


def _fields(*pairs: tuple[str, str]) -> Callable[[Right], list[bytes]]:
    def make(answer: Right) -> list[bytes]:
        answer.fields += pairs
        return [wire(answer)]

    return make


def _instead(name: str, value: str) -> Callable[[Right], list[bytes]]:
    return lambda answer: [wire(answer.set(name, value))]


def _chunked(body: bytes) -> Callable[[Right], list[bytes]]:
    """`body` stands for the chunks; BODY in it for the right answer's."""

    def make(answer: Right) -> list[bytes]:
        answer.length = False
        answer.fields.append(("Transfer-Encoding", "chunked"))
        chunk = b"%x\r\n%s\r\n" % (len(answer.body), answer.body) if answer.body else b""
        answer.body = body.replace(b"CHUNK", chunk)
        return [wire(answer)]

    return make


def _start(line: str) -> Callable[[Right], list[bytes]]:
    def make(answer: Right) -> list[bytes]:
        answer.start, _, answer.status = line.partition(" ")
        return [wire(answer)]

    return make


def _bare_lf(answer: Right) -> list[bytes]:
    answer.end = b"\n"
    return [wire(answer)]


def _raw(text: bytes) -> Callable[[Right], list[bytes]]:
    return lambda answer: [text]


def _forever(piece: bytes) -> Callable[[Right], Iterator[bytes]]:
    def make(answer: Right) -> Iterator[bytes]:
        while True:
            yield piece

    return make


def _longer_range(answer: Right) -> list[bytes]:
    answer.body += b"more than was asked for"
    return [wire(answer)]


def _shorter_range(answer: Right) -> list[bytes]:
    answer.body = answer.body[:-1]
    return [wire(answer)]


def _whole_object(answer: Right) -> list[bytes]:
    answer.status = "200 OK"
    answer.drop("Content-Range").body = OBJECT
    return [wire(answer)]


def _cut(answer: Right) -> list[bytes]:
    return [wire(answer)[:-1]]


def _cut_chunks(answer: Right) -> list[bytes]:
    return _chunked(b"CHUNK")(answer)


def _listing(text: str) -> Callable[[Right], list[bytes]]:
    def make(answer: Right) -> list[bytes]:
        answer.body = text.encode()
        return [wire(answer)]

    return make


_LAUGHS = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{("&" + a + ";") * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
_AGAIN = LISTING.replace("false", "true").replace(
    "</IsTruncated>", "</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
)
_CHUNK_END = b"CHUNK0\r\n\r\n"
_LIST = frozenset({"list"})

CASES = [
    Case("two lengths that differ", _lengths("5", "6"), says="two Content-Length"),
    Case("two lengths that agree", _lengths("0", "0"), says="two Content-Length"),
    Case("a list of lengths", _lengths("5, 5"), says="Content-Length"),
    Case("length beside chunked", _fields(("Transfer-Encoding", "chunked")), says="beside"),
    Case("a negative length", _lengths("-1"), says="Content-Length"),
    Case("a length with a plus", _lengths("+5"), says="Content-Length"),
    Case("a length of 2^64", _lengths("18446744073709551616"), says="Content-Length"),
    Case("a length of 2^63", _lengths("9223372036854775808"), says="Content-Length"),
    Case("a hexadecimal length", _lengths("0x10"), says="Content-Length"),
    Case("an empty length", _lengths(""), says="Content-Length"),
    Case("a length with a blank in it", _lengths("1 0"), says="Content-Length"),
    Case("chunks in gzip", _fields(("Transfer-Encoding", "gzip, chunked")), says="chunked"),
    Case("chunked twice", _fields(*2 * (("Transfer-Encoding", "chunked"),)), says="chunked"),
    Case(
        "a chunk of 2^64 bytes",
        _chunked(b"10000000000000000\r\nx\r\n0\r\n\r\n"),
        ALL - {"stat"},
        says="chunk",
    ),
    Case("a negative chunk", _chunked(b"-1\r\nx\r\n0\r\n\r\n"), ALL - {"stat"}, says="chunk"),
    Case("a chunk longer than its size", _chunked(b"1\r\nxyz\r\n0\r\n\r\n"), BODY, says="chunk"),
    Case("chunks without an end", _cut_chunks, BODY, "NetworkError", "closed"),
    Case(
        "1 MB of chunk extension", _chunked(b"1;" + b"e" * (1 << 20)), ALL - {"stat"}, says="chunk"
    ),
    Case(
        "an endless trailer",
        _chunked(_CHUNK_END[:-2] + b"A: b\r\n" * 9000),
        ALL - {"stat"},
        says="trailers",
    ),
    Case("a header of 1 MB", _fields(("x-long", "h" * (1 << 20))), says="larger than"),
    Case("10,000 headers", _fields(*(("a", "b"),) * 10_000), says="more than"),
    Case("bare line feeds", _bare_lf, says="LF alone"),
    Case("a folded line", _fields(("x-folded", "one\r\n two")), says="folded"),
    Case("a NUL in a value", _fields(("x-nul", "a\0b")), says="control character"),
    Case("a NUL in the status line", _start("HTTP/1.1 200 O\0K"), says="control character"),
    Case("a CR in a value", _fields(("x-cr", "a\rb")), says="control character"),
    Case("a blank before the colon", _fields(("x-blank ", "b")), says="no clean name"),
    Case("a name in UTF-8", _fields(("x-\xc3\xa4", "b")), says="no clean name"),
    Case("a line without a colon", _fields(("a\r\nnothing here\r\nb", "c")), says="no clean name"),
    Case("101", _start("HTTP/1.1 101 Switching Protocols"), says="never asked for"),
    Case("status 2OO", _start("HTTP/1.1 2OO OK"), says="three digits"),
    Case("status 999", _start("HTTP/1.1 999 OK"), says="never asked for"),
    Case("status 0200", _start("HTTP/1.1 0200 OK"), says="three digits"),
    Case("HTTP/2", _start("HTTP/2.0 200 OK"), says="HTTP/1"),
    Case("HTTP/0.9", _raw(OBJECT), says="LF alone|HTTP/1"),
    Case("another protocol", _raw(b"SSH-2.0-OpenSSH_9.2\r\n" * 3), says="HTTP/1"),
    Case("endless 100s", _forever(b"HTTP/1.1 100 Continue\r\n\r\n"), says="larger than"),
    Case("an endless line", _forever(b"HTTP/1.1 200 " + b"O" * 8192), says="larger than"),
    Case(
        "heads without an end",
        _forever(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 99),
        says="no clean name",
    ),
    Case("nothing at all", _raw(b""), error="NetworkError", says="without an answer"),
    Case("half a head", lambda a: [wire(a)[:40]], error="NetworkError", says="within the head"),
    Case("a byte less than promised", _cut, BODY, "NetworkError", "closed"),
    Case(
        "a 206 longer than asked", _longer_range, GET, says="1023 bytes where 1000 were asked for"
    ),
    Case("a 206 shorter than asked", _shorter_range, GET, says="with 999 bytes"),
    Case("a 200 to a range", _whole_object, GET, says="10240 bytes where 1000 were asked for"),
    Case("a 206 of another place", _instead("Content-Range", "bytes 0-9/10240"), GET, says="0-9"),
    Case("a 206 without a range", lambda a: [wire(a.drop("Content-Range"))], GET, says="of 206"),
    Case(
        "a range of another size",
        _instead("Content-Range", "bytes 100-1099/99999"),
        GET,
        "PreconditionFailed",
        "not the object",
    ),
    Case(
        "another CRC-64",
        _instead("x-oss-hash-crc64ecma", "1"),
        STORING,
        "IntegrityError",
        "CRC|other bytes",
    ),
    Case(
        "no CRC-64",
        lambda a: [wire(a.drop("x-oss-hash-crc64ecma"))],
        STORING,
        "IntegrityError",
        "x-oss-hash-crc64ecma|other bytes",
    ),
    Case(
        "a redirect",
        lambda a: [wire(Right("302 Found", [("Location", "http://127.0.0.1:9/")], b""))],
        error="ServiceError",
        says="302",
    ),
    Case("HEAD without a length", _lengths(), frozenset({"stat"}), says="Content-Length"),
    Case("a listing that laughs", _listing(_LAUGHS + "]><l>&i;</l>"), _LIST, says="DOCTYPE"),
    Case("a listing that stands still", _listing(_AGAIN), _LIST, says="does not move on"),
    Case("a listing nested deep", _listing("<ListBucketResult>" + "<a>" * 9), _LIST, says="deep"),
    Case("half a listing", _listing(LISTING[:150]), _LIST, says="no XML"),
    Case("a listing of -1 bytes", _listing(LISTING.replace(">1<", ">-1<")), _LIST, says="bad row"),
]
