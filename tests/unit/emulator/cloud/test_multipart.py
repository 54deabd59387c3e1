"""Multipart uploads: nothing is visible before Complete, all of it after."""

from __future__ import annotations

import base64
import hashlib
import http.client
import random
import re

import pytest

from ossmedia.emulator import crc64

KIB = 1024


def _data(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def _completion(part: str) -> bytes:
    return f"<CompleteMultipartUpload><Part>{part}</Part></CompleteMultipartUpload>".encode()


@pytest.fixture
def small_parts(emulator):
    """Parts of 100 bytes are large enough."""
    emulator.set_limits(min_part_size=100)


def _upload(client, key, pieces, **headers):
    upload = client.initiate(key)
    etags = [
        (number, client.part(key, upload, number, piece).headers["ETag"])
        for number, piece in pieces.items()
    ]
    return client.complete(key, upload, etags, **headers)


def test_parts_become_one_object(emulator, client):
    first, second = _data(100 * KIB), _data(70_000, 2)
    upload = client.initiate("m")
    assert re.fullmatch("[0-9A-F]{32}", upload)
    reply = client.part("m", upload, 2, second)
    assert reply.headers["ETag"] == f'"{hashlib.md5(second).hexdigest().upper()}"'
    assert reply.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, second))
    assert base64.b64decode(reply.headers["Content-MD5"]) == hashlib.md5(second).digest()
    other = client.part("m", upload, 1, first)
    assert client.head("m").status == 404
    done = client.complete("m", upload, [(1, other.headers["ETag"]), (2, reply.headers["ETag"])])
    assert done.status == 200
    assert done.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, first + second))
    assert done.texts("Key") == ["m"]
    assert re.fullmatch('"[0-9A-F]{32}-2"', done.texts("ETag")[0])
    assert client.get("m").body == first + second
    head = client.head("m").headers
    assert head["x-oss-object-type"] == "Multipart"
    assert head["Content-MD5"] is None
    assert client.get("m", range="bytes=102390-102409").body == (first + second)[102390:102410]
    again = client.complete("m", upload, [(1, other.headers["ETag"])])
    assert (again.status, again.code) == (404, "NoSuchUpload")


def test_only_the_last_part_may_be_small(client):
    reply = _upload(client, "m", {1: b"x" * (100 * KIB - 1), 2: b"y"})
    assert (reply.status, reply.code) == (400, "EntityTooSmall")
    assert client.head("m").status == 404
    assert _upload(client, "m", {1: b"x"}).status == 200


@pytest.mark.usefixtures("small_parts")
def test_gaps_are_fine_and_order_is_not_free(client):
    upload = client.initiate("m")
    tags = {n: client.part("m", upload, n, bytes([n]) * 100).headers["ETag"] for n in (3, 7, 200)}
    wrong = client.complete("m", upload, [(7, tags[7]), (3, tags[3])])
    assert (wrong.status, wrong.code) == (400, "InvalidPartOrder")
    twice = client.complete("m", upload, [(3, tags[3]), (3, tags[3])])
    assert twice.code == "InvalidPartOrder"
    chosen = [(3, tags[3].strip('"').lower()), (200, tags[200])]
    assert client.complete("m", upload, chosen).status == 200
    assert client.get("m").body == b"\x03" * 100 + b"\xc8" * 100


@pytest.mark.usefixtures("small_parts")
def test_a_part_sent_again_replaces_the_first(emulator, client):
    upload = client.initiate("m")
    old = client.part("m", upload, 1, b"a" * 100).headers["ETag"]
    new = client.part("m", upload, 1, b"b" * 200).headers["ETag"]
    assert len(list(emulator.cloud.store.blobs.names())) == 1
    assert client.complete("m", upload, [(1, old)]).code == "InvalidPart"
    assert client.complete("m", upload, [(1, new)]).status == 200
    assert client.get("m").body == b"b" * 200


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", ""])
def test_impossible_part_numbers(client, number):
    upload = client.initiate("m")
    reply = client.send("PUT", "m", {"partNumber": number, "uploadId": upload}, body=b"x")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"<CompleteMultipartUpload>", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (
            b'<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload/>',
            "MalformedXML",
        ),
        (
            _completion("<PartNumber>x</PartNumber>"),
            "MalformedXML",
        ),
        (
            _completion("<PartNumber>9</PartNumber><ETag>a</ETag>"),
            "InvalidPart",
        ),
    ],
)
def test_broken_complete_bodies_leave_the_upload_alive(client, body, code):
    upload = client.initiate("m")
    reply = client.send("POST", "m", {"uploadId": upload}, body=body)
    assert (reply.status, reply.code) == (400, code)
    assert client.send("GET", "m", {"uploadId": upload}).status == 200


def test_complete_without_parts_makes_an_empty_object(client):
    upload = client.initiate("m")
    assert client.complete("m", upload, []).status == 200
    assert client.get("m").body == b""


@pytest.mark.usefixtures("small_parts")
def test_complete_all_takes_every_part(client):
    upload = client.initiate("m")
    client.part("m", upload, 5, b"b" * 100)
    client.part("m", upload, 2, b"a" * 100)
    everything = {"x-oss-complete-all": "yes"}
    with_body = client.complete("m", upload, [], **everything)
    assert (with_body.status, with_body.code) == (400, "InvalidArgument")
    no = client.send("POST", "m", {"uploadId": upload}, {"x-oss-complete-all": "no"})
    assert no.code == "InvalidArgument"
    assert client.send("POST", "m", {"uploadId": upload}, everything).status == 200
    assert client.get("m").body == b"a" * 100 + b"b" * 100


def test_abort_forgets_the_parts(emulator, client):
    upload = client.initiate("m")
    client.part("m", upload, 1, b"x" * 1000)
    assert client.send("DELETE", "m", {"uploadId": upload}).status == 204
    assert list(emulator.cloud.store.blobs.names()) == []
    for reply in (
        client.send("DELETE", "m", {"uploadId": upload}),
        client.part("m", upload, 1, b"x"),
        client.send("GET", "m", {"uploadId": upload}),
    ):
        assert (reply.status, reply.code) == (404, "NoSuchUpload")


def test_an_upload_belongs_to_its_key(client):
    upload = client.initiate("m")
    assert client.part("other", upload, 1, b"x").code == "NoSuchUpload"
    assert client.part("m", "0" * 32, 1, b"x").code == "NoSuchUpload"


@pytest.mark.usefixtures("small_parts")
def test_uploads_of_one_key_live_side_by_side(client):
    first, second = client.initiate("m"), client.initiate("m")
    one = client.part("m", first, 1, b"1" * 100).headers["ETag"]
    two = client.part("m", second, 1, b"2" * 100).headers["ETag"]
    assert client.complete("m", first, [(1, one)]).status == 200
    assert client.get("m").body == b"1" * 100
    assert client.complete("m", second, [(1, two)]).status == 200
    assert client.get("m").body == b"2" * 100


def test_a_reader_sees_the_old_object_or_the_new_one(emulator, client):
    old, new = b"o" * 2_000_000, b"n" * 2_000_000
    client.put("m", old)
    upload = client.initiate("m")
    etag = client.part("m", upload, 1, new).headers["ETag"]
    reader = http.client.HTTPConnection(emulator.endpoint.partition("://")[2])
    reader.request("GET", "/cams/m", headers=client.signed("GET", "m"))
    answer = reader.getresponse()
    first = answer.read(100)
    assert client.complete("m", upload, [(1, etag)]).status == 200
    assert client.get("m").body == new
    assert first + answer.read() == old
    reader.close()


def test_forbid_overwrite_at_complete(client):
    upload = client.initiate("m")
    etag = client.part("m", upload, 1, b"x").headers["ETag"]
    client.put("m", b"there first")
    reply = client.complete("m", upload, [(1, etag)], x_oss_forbid_overwrite="true")
    assert (reply.status, reply.code) == (409, "FileAlreadyExists")
    assert client.get("m").body == b"there first"
    assert client.complete("m", upload, [(1, etag)]).status == 200


def test_sequential_uploads_want_their_parts_in_order(client):
    upload = client.initiate("m", sequential=None)
    assert client.part("m", upload, 2, b"x").code == "PartNotSequential"
    assert client.part("m", upload, 1, b"x").status == 200
    assert client.part("m", upload, 1, b"x").status == 200
    assert client.part("m", upload, 3, b"x").code == "PartNotSequential"
    client.put("there", b"x")
    reply = client.send("POST", "there", {"uploads": None, "sequential": None})
    assert (reply.status, reply.code) == (400, "ObjectAlreadyExists")


def test_attributes_come_from_initiate(client):
    reply = client.send(
        "POST", "m", {"uploads": None}, {"content-type": "video/mp4", "x-oss-meta-cam": "7"}
    )
    upload = reply.texts("UploadId")[0]
    etag = client.part("m", upload, 1, b"x").headers["ETag"]
    assert client.complete("m", upload, [(1, etag)], x_oss_object_acl="private").status == 200
    headers = client.head("m").headers
    assert headers["Content-Type"] == "video/mp4"
    assert headers["x-oss-meta-cam"] == "7"
    assert client.send("GET", "m", {"acl": None}).texts("AccessControlList/Grant") == ["private"]


def test_a_part_with_encryption_or_a_wrong_md5_is_refused(client):
    upload = client.initiate("m")
    encrypted = client.part("m", upload, 1, b"x", x_oss_server_side_encryption="AES256")
    assert encrypted.code == "InvalidArgument"
    wrong = base64.b64encode(hashlib.md5(b"y").digest()).decode()
    assert client.part("m", upload, 1, b"x", content_md5=wrong).code == "InvalidDigest"
    assert client.send("GET", "m", {"uploadId": upload}).texts("Part") == []


def test_list_parts_pages(client):
    upload = client.initiate("a b/m")
    for number in (1, 5, 9):
        client.part("a b/m", upload, number, bytes(number))
    page = client.send("GET", "a b/m", {"uploadId": upload, "max-parts": "2"})
    assert page.texts("Part/PartNumber") == ["1", "5"]
    assert page.texts("Part/Size") == ["1", "5"]
    assert page.texts("Part/HashCrc64ecma") == [str(crc64.update(0, bytes(n))) for n in (1, 5)]
    assert page.texts("IsTruncated") == ["true"]
    marker = page.texts("NextPartNumberMarker")[0]
    query = {"uploadId": upload, "part-number-marker": marker, "encoding-type": "url"}
    rest = client.send("GET", "a b/m", query)
    assert rest.texts("Part/PartNumber") == ["9"]
    assert rest.texts("IsTruncated") == ["false"]
    assert rest.texts("Key") == ["a%20b/m"]
    empty = client.send("GET", "m", {"uploadId": client.initiate("m")})
    assert empty.texts("NextPartNumberMarker") == [""]
    for bad in ({"max-parts": "0"}, {"max-parts": "1001"}, {"part-number-marker": "x"}):
        assert client.send("GET", "a b/m", {"uploadId": upload, **bad}).code == "InvalidArgument"


class TestPartCopy:
    def test_a_range_of_another_object(self, client):
        source = _data(300 * KIB)
        client.put("src", source)
        upload = client.initiate("m")
        headers = {
            "x-oss-copy-source": "/cams/src",
            "x-oss-copy-source-range": "bytes=1000-120000",
        }
        query = {"partNumber": "1", "uploadId": upload}
        reply = client.send("PUT", "m", query, headers)
        wanted = source[1000:120001]
        etag = f'"{hashlib.md5(wanted).hexdigest().upper()}"'
        assert reply.texts("ETag") == [etag]
        assert reply.headers["ETag"] == etag
        tail = client.part("m", upload, 2, b"tail").headers["ETag"]
        done = client.complete("m", upload, [(1, etag), (2, tail)])
        assert done.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, wanted + b"tail"))
        client.send("DELETE", "src")
        assert client.get("m").body == wanted + b"tail"

    @pytest.mark.parametrize("text", ["bytes=5-", "bytes=5-10", "bytes=3-2", "5-6"])
    def test_bad_ranges(self, client, text):
        client.put("src", b"0123456789")
        upload = client.initiate("m")
        headers = {"x-oss-copy-source": "/cams/src", "x-oss-copy-source-range": text}
        reply = client.send("PUT", "m", {"partNumber": "1", "uploadId": upload}, headers)
        assert (reply.status, reply.code) == (400, "InvalidArgument")

    def test_conditions_and_missing_sources(self, client):
        client.put("src", b"x")
        client.append("log", 0, b"x")
        upload = client.initiate("m")
        query = {"partNumber": "1", "uploadId": upload}

        def copy(source: str, **headers: str) -> str:
            named = {"x-oss-copy-source": source, **headers}
            return client.send("PUT", "m", query, named).code

        assert copy("/cams/none") == "NoSuchKey"
        assert copy("/nobody/src") == "NoSuchBucket"
        assert copy("nonsense") == "InvalidArgument"
        assert copy("/cams/log") == "OperationNotSupported"
        assert copy("/cams/src", **{"x-oss-copy-source-if-match": '"no"'}) == "PreconditionFailed"
