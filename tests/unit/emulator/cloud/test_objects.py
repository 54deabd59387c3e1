"""Put, get, head, delete: what is stored is what was sent, and comes back as OSS gives it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
from email.utils import parsedate_to_datetime

import pytest

from ossmedia.emulator import crc64


def test_put_answers_md5_etag_and_crc_and_get_gives_the_same_bytes(client):
    data = bytes(range(256)) * 40
    reply = client.put("a/clip.mp4", data, content_type="video/mp4")
    assert reply.status == 200
    assert reply.body == b""
    assert reply.headers["ETag"] == f'"{hashlib.md5(data).hexdigest().upper()}"'
    assert reply.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, data))
    assert len(reply.headers["x-oss-request-id"]) == 24
    got = client.get("a/clip.mp4")
    assert got.body == data
    assert got.headers["Content-Type"] == "video/mp4"
    assert got.headers["x-oss-object-type"] == "Normal"
    assert got.headers["x-oss-hash-crc64ecma"] == reply.headers["x-oss-hash-crc64ecma"]
    assert got.headers["Content-MD5"] == base64.b64encode(hashlib.md5(data).digest()).decode()


def test_a_body_without_content_type_is_an_octet_stream(client):
    client.put("k", b"x")
    assert client.head("k").headers["Content-Type"] == "application/octet-stream"


def test_metadata_comes_back_in_lower_case(client):
    client.put("k", b"x", **{"X-Oss-Meta-Camera": "Gate 1", "Cache-Control": "no-store"})
    headers = client.head("k").headers
    assert headers["x-oss-meta-camera"] == "Gate 1"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "key",
    [
        "a/../b",
        "a//b",
        "./x",
        "..",
        "a b+c&d=e?f#g",
        "übung/鍵.mp4",
        "q'\"<>;",
        "a%2Fb",
        "x" * 1023,
    ],
)
def test_keys_are_kept_as_they_are(client, key):
    assert client.put(key, key.encode()).status == 200
    assert client.get(key).body == key.encode()
    assert client.send("GET").texts("Contents/Key") == [key]


@pytest.mark.parametrize("key", ["x" * 1024, "/lead", "\\lead", "é" * 512])
def test_impossible_keys_are_refused(client, key):
    reply = client.put(key, b"x")
    assert (reply.status, reply.code) == (400, "InvalidObjectName")


def test_a_key_that_is_not_utf8_is_refused(emulator):
    connection = http.client.HTTPConnection(emulator.endpoint.partition("://")[2])
    connection.request("GET", "/cams/%ff%fe")
    answer = connection.getresponse()
    assert answer.status == 400
    assert b"InvalidObjectName" in answer.read()
    connection.close()


def test_content_md5_is_verified_and_a_wrong_one_stores_nothing(client):
    good = base64.b64encode(hashlib.md5(b"data").digest()).decode()
    assert client.put("k", b"data", content_md5=good).status == 200
    reply = client.put("k2", b"other", content_md5=good)
    assert (reply.status, reply.code) == (400, "InvalidDigest")
    assert client.head("k2").status == 404
    assert client.put("k3", b"data", content_md5="bm8=").code == "InvalidDigest"


def test_a_put_without_any_length_is_refused(emulator, client):
    client.connection.putrequest("PUT", "/cams/k", skip_accept_encoding=True)
    for name, value in client.signed("PUT", "k").items():
        client.connection.putheader(name, value)
    client.connection.endheaders()
    answer = client.connection.getresponse()
    assert answer.status == 411
    assert b"MissingContentLength" in answer.read()


def test_chunked_uploads_are_accepted(client):
    pieces = [b"one", b"two" * 1000, b"three"]
    assert client.send("PUT", "k", body=iter(pieces)).status == 200
    assert client.get("k").body == b"".join(pieces)


def test_a_body_shorter_than_announced_is_never_stored(emulator, client):
    with client.raw("PUT", "short", 10, b"12345") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
    assert client.head("short").status == 404
    assert list(emulator.cloud.store.blobs.names()) == []


def test_a_client_that_stops_sending_is_answered_with_request_timeout(emulator, client):
    emulator.set_limits(body_timeout_s=0.05)
    with client.raw("PUT", "slow", 10, b"12345") as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>RequestTimeout</Code>" in answer
    assert client.head("slow").status == 404


def test_objects_beyond_the_limit_are_refused(emulator, client):
    emulator.set_limits(max_object_size=1000)
    assert client.put("k", b"x" * 1000).status == 200
    reply = client.put("k2", b"x" * 1001)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    reply = client.send("PUT", "k2", body=iter([b"x" * 600, b"x" * 600]))
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert client.head("k2").status == 404


def test_forbid_overwrite(client):
    forbid = {"x_oss_forbid_overwrite": "true"}
    assert client.put("k", b"first", **forbid).status == 200
    reply = client.put("k", b"second", **forbid)
    assert (reply.status, reply.code) == (409, "FileAlreadyExists")
    assert client.get("k").body == b"first"
    assert client.put("k", b"x", x_oss_forbid_overwrite="maybe").code == "InvalidArgument"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("x-oss-object-acl", "everyone", "InvalidArgument"),
        ("x-oss-storage-class", "Cold", "InvalidArgument"),
        ("x-oss-server-side-encryption", "ROT13", "InvalidEncryptionAlgorithmError"),
        ("x-oss-traffic-limit", "1000", "InvalidArgument"),
        ("x-oss-traffic-limit", "fast", "InvalidArgument"),
        ("x-oss-tagging", "a=1&a=2", "InvalidTag"),
        ("x-oss-tagging", "&".join(f"k{n}=v" for n in range(11)), "InvalidTag"),
        ("x-oss-meta-big", "x" * 8200, "InvalidArgument"),
        ("if-modified-since", "Wed, 28 Dec 2022 10:27:41 GMT", "NotImplemented"),
    ],
)
def test_bad_headers_of_an_upload(client, name, value, code):
    reply = client.put("k", b"x", **{name: value})
    assert (reply.status, reply.code) == (400, code)
    assert client.head("k").status == 404


def test_encryption_headers_are_echoed(client):
    reply = client.put("k", b"x", x_oss_server_side_encryption="AES256")
    assert reply.headers["x-oss-server-side-encryption"] == "AES256"
    assert client.head("k").headers["x-oss-server-side-encryption"] == "AES256"


DATA = b"0123456789"


@pytest.mark.parametrize(
    ("wanted", "standard", "status", "body", "content_range"),
    [
        ("bytes=0-3", False, 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", False, 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", False, 206, b"789", "bytes 7-9/10"),
        ("bytes=9-9", False, 206, b"9", "bytes 9-9/10"),
        # Invalid ranges are no ranges: the whole object, 200, no Content-Range.
        ("bytes=5-10", False, 200, DATA, None),
        ("bytes=10-", False, 200, DATA, None),
        ("bytes=5-2", False, 200, DATA, None),
        ("bytes=-0", False, 200, DATA, None),
        ("bytes=-11", False, 200, DATA, None),
        ("bytes=0-1,3-4", False, 200, DATA, None),
        ("lines=1-2", False, 200, DATA, None),
        # With the standard behaviour the end is cut, and what cannot be served is 416.
        ("bytes=5-10", True, 206, b"56789", "bytes 5-9/10"),
        ("bytes=-11", True, 206, DATA, "bytes 0-9/10"),
        ("bytes=10-", True, 416, None, "bytes */10"),
        ("bytes=5-2", True, 416, None, "bytes */10"),
    ],
)
def test_ranges(client, wanted, standard, status, body, content_range):
    client.put("k", DATA)
    headers = {"range": wanted}
    if standard:
        headers["x-oss-range-behavior"] = "standard"
    reply = client.get("k", **headers)
    assert reply.status == status
    assert reply.headers["Content-Range"] == content_range
    if body is None:
        assert reply.code == "InvalidRange"
    else:
        assert reply.body == body
        assert reply.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, DATA))


def test_conditions(client):
    etag = client.put("k", DATA).headers["ETag"]
    modified = client.head("k").headers["Last-Modified"]
    old = "Sat, 01 Jan 2000 00:00:00 GMT"
    assert client.get("k", if_match=etag).status == 200
    assert client.get("k", if_match='"nope"').code == "PreconditionFailed"
    assert client.get("k", if_match='"nope"').status == 412
    assert client.get("k", if_unmodified_since=old).status == 412
    assert client.get("k", if_unmodified_since=modified).status == 200
    unchanged = client.get("k", if_none_match=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert client.get("k", if_modified_since=modified).status == 304
    assert client.get("k", if_modified_since=old).status == 200
    head = client.send("HEAD", "k", headers={"if-match": '"nope"'})
    assert head.status == 412


def test_response_overrides(client):
    client.put("k", DATA)
    query = {"response-content-type": "video/mp4", "response-cache-control": "no-cache"}
    reply = client.send("GET", "k", query)
    assert reply.headers["Content-Type"] == "video/mp4"
    assert reply.headers["Cache-Control"] == "no-cache"


def test_head_errors_travel_in_a_header(client):
    reply = client.head("missing")
    assert (reply.status, reply.body) == (404, b"")
    told = base64.b64decode(reply.headers["x-oss-err"])
    assert b"<Code>NoSuchKey</Code>" in told
    assert reply.headers["x-oss-ec"] == "0026-00000001"
    assert reply.headers["x-oss-request-id"].encode() in told


def test_object_meta_is_short(client):
    client.put("k", DATA, **{"x-oss-meta-a": "b"})
    reply = client.send("HEAD", "k", {"objectMeta": None})
    assert reply.status == 200
    assert reply.headers["Content-Length"] == "10"
    assert "x-oss-meta-a" not in reply.headers
    assert "x-oss-object-type" not in reply.headers


def test_delete_of_nothing_is_204_and_a_deleted_object_leaves_no_file(emulator, client):
    assert client.send("DELETE", "nothing").status == 204
    client.put("k", DATA)
    assert len(list(emulator.cloud.store.blobs.names())) == 1
    assert client.send("DELETE", "k").status == 204
    assert client.get("k").code == "NoSuchKey"
    assert list(emulator.cloud.store.blobs.names()) == []


def test_a_missing_bucket(client):
    reply = client.send("GET", "k", bucket="nobody")
    assert (reply.status, reply.code) == (404, "NoSuchBucket")
    assert reply.texts("BucketName") == ["nobody"]
    assert client.send("PUT", "k", body=b"x", bucket="nobody").code == "NoSuchBucket"
    assert client.send("GET", "k", bucket="No_Bucket").code == "InvalidBucketName"


def test_a_version_that_cannot_exist(client):
    client.put("k", DATA)
    assert client.send("GET", "k", {"versionId": "null"}).status == 200
    assert client.send("GET", "k", {"versionId": "abc"}).code == "NoSuchVersion"


def test_unknown_methods_and_absent_features_are_refused(client):
    reply = client.send("POST", "k")
    assert (reply.status, reply.code) == (405, "MethodNotAllowed")
    assert reply.texts("ResourceType") == ["OBJECT"]
    assert client.send("GET", None, {"website": None}).code == "NotImplemented"
    assert client.send("GET", "k", {"x-oss-process": "image/resize"}).code == "NotImplemented"


def test_a_reader_keeps_the_object_it_began_with(emulator, client):
    old, new = b"o" * 3_000_000, b"n" * 1000
    client.put("k", old)
    reader = http.client.HTTPConnection(emulator.endpoint.partition("://")[2])
    reader.request("GET", "/cams/k", headers=client.signed("GET", "k"))
    answer = reader.getresponse()
    first = answer.read(1000)
    assert client.put("k", new).status == 200
    assert client.send("DELETE", "k").status == 204
    assert first + answer.read() == old
    reader.close()


def test_the_date_follows_the_clock_of_the_cloud(emulator, client):
    emulator.set_clock(-3600)
    reply = client.get("k")
    assert reply.code == "RequestTimeTooSkewed"
    assert {"RequestTime", "ServerTime"} <= {element.tag for element in reply.xml}
    offset = parsedate_to_datetime(reply.headers["Date"]).timestamp() - emulator.cloud.clock.now()
    assert abs(offset) < 5
