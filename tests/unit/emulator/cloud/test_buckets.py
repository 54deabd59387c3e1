"""Buckets, and what belongs to a bucket rather than to an object."""

from __future__ import annotations

import base64
import hashlib

import pytest


def test_made_described_and_removed(client, emulator):
    assert client.send("PUT", bucket="new-one").status == 200
    info = client.send("GET", None, {"bucketInfo": None}, bucket="new-one")
    assert info.texts("Bucket/Name") == ["new-one"]
    assert info.texts("Bucket/Location") == ["oss-cn-hangzhou"]
    address = emulator.endpoint.partition("://")[2]
    assert info.texts("Bucket/ExtranetEndpoint") == [address]
    assert info.texts("Bucket/AccessControlList/Grant") == ["private"]
    location = client.send("GET", None, {"location": None}, bucket="new-one")
    assert (location.xml.tag, location.xml.text) == ("LocationConstraint", "oss-cn-hangzhou")
    assert client.send("HEAD", bucket="new-one").status == 200
    assert client.send("DELETE", bucket="new-one").status == 204
    assert client.send("HEAD", bucket="new-one").status == 404
    assert client.send("DELETE", bucket="new-one").code == "NoSuchBucket"


@pytest.mark.parametrize("name", ["ab", "a" * 64, "-ab", "ab-", "A-b", "a.b", "a_b"])
def test_impossible_names(client, name):
    reply = client.send("PUT", bucket=name)
    assert (reply.status, reply.code) == (400, "InvalidBucketName")


def test_the_owner_may_make_it_again_with_equal_settings(client):
    client.put("k", b"x")
    assert client.send("PUT", bucket="cams").status == 200
    assert client.head("k").status == 200
    body = b"<CreateBucketConfiguration><StorageClass>IA</StorageClass></CreateBucketConfiguration>"
    reply = client.send("PUT", bucket="cams", body=body)
    assert (reply.status, reply.code) == (409, "BucketAlreadyExists")


def test_a_bucket_with_objects_or_uploads_stays(client):
    client.put("k")
    reply = client.send("DELETE")
    assert (reply.status, reply.code) == (409, "BucketNotEmpty")
    client.send("DELETE", "k")
    upload = client.initiate("m")
    assert client.send("DELETE").code == "BucketNotEmpty"
    client.send("DELETE", "m", {"uploadId": upload})
    assert client.send("DELETE").status == 204


def test_too_many_buckets(client, emulator):
    emulator.set_limits(max_buckets=3)
    assert client.send("PUT", bucket="third").status == 200
    assert client.send("PUT", bucket="fourth").code == "TooManyBuckets"


def test_list_of_buckets_pages(client):
    client.send("PUT", bucket="cams-2")
    first = client.send("GET", None, {"max-keys": "2"}, bucket=None)
    assert first.texts("Buckets/Bucket/Name") == ["cams", "cams-2"]
    assert first.texts("NextMarker") == ["cams-2"]
    rest = client.send("GET", None, {"marker": "cams-2"}, bucket=None)
    assert rest.texts("Buckets/Bucket/Name") == ["clips"]
    assert rest.texts("Buckets/Bucket/Region") == ["cn-hangzhou"]
    assert (
        len(client.send("GET", None, {"prefix": "cam"}, bucket=None).texts("Buckets/Bucket")) == 2
    )


def test_stat(client):
    client.put("k", b"x" * 1000)
    client.initiate("m")
    stat = client.send("GET", None, {"stat": None})
    assert stat.texts("Storage") == ["1000"]
    assert stat.texts("ObjectCount") == ["1"]
    assert stat.texts("MultipartUploadCount") == ["1"]


def test_acl(client):
    assert client.send("GET", None, {"acl": None}).texts("AccessControlList/Grant") == ["private"]
    headers = {"x-oss-acl": "public-read"}
    assert client.send("PUT", None, {"acl": None}, headers).status == 200
    grants = client.send("GET", None, {"acl": None}).texts("AccessControlList/Grant")
    assert grants == ["public-read"]
    bad = client.send("PUT", None, {"acl": None}, {"x-oss-acl": "default"})
    assert (bad.status, bad.code) == (400, "InvalidArgument")


def test_lifecycle_is_kept_and_given_back(client):
    missing = client.send("GET", None, {"lifecycle": None})
    assert (missing.status, missing.code) == (404, "NoSuchLifecycle")
    rule = (
        b"<LifecycleConfiguration><Rule><ID>old</ID><Prefix>cam/</Prefix><Status>Enabled</Status>"
        b"<AbortMultipartUpload><Days>1</Days></AbortMultipartUpload></Rule>"
        b"</LifecycleConfiguration>"
    )
    assert client.send("PUT", None, {"lifecycle": None}, body=rule).status == 200
    assert client.send("GET", None, {"lifecycle": None}).body == rule
    for bad in (b"<LifecycleConfiguration/>", rule.replace(b"Enabled", b"On"), b"x"):
        assert client.send("PUT", None, {"lifecycle": None}, body=bad).code == "MalformedXML"
    assert client.send("DELETE", None, {"lifecycle": None}).status == 204
    assert client.send("GET", None, {"lifecycle": None}).status == 404
    assert client.send("DELETE", None, {"lifecycle": None}).status == 204


def test_versioning_is_never_on(client):
    assert client.send("GET", None, {"versioning": None}).xml.tag == "VersioningConfiguration"


class TestDeleteMultiple:
    @staticmethod
    def delete(client, keys, *, quiet="false", md5=True, **query):
        items = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
        body = f"<Delete><Quiet>{quiet}</Quiet>{items}</Delete>".encode()
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        headers = {"content-md5": digest} if md5 else {}
        return client.send("POST", None, {"delete": None, **query}, headers, body)

    def test_names_what_it_deleted_also_what_was_not_there(self, client):
        client.put("a b")
        client.put("c")
        reply = self.delete(client, ["a b", "nothing"], **{"encoding-type": "url"})
        assert reply.texts("Deleted/Key") == ["a%20b", "nothing"]
        assert client.send("GET").texts("Contents/Key") == ["c"]

    def test_quiet(self, client):
        client.put("c")
        reply = self.delete(client, ["c"], quiet="true")
        assert (reply.status, reply.body) == (200, b"")
        assert client.head("c").status == 404

    def test_wants_a_true_md5(self, client):
        client.put("c")
        reply = self.delete(client, ["c"], md5=False)
        assert (reply.status, reply.code) == (400, "MissingArgument")
        headers = {"content-md5": base64.b64encode(bytes(16)).decode()}
        body = b"<Delete><Object><Key>c</Key></Object></Delete>"
        reply = client.send("POST", None, {"delete": None}, headers, body)
        assert (reply.status, reply.code) == (400, "InvalidDigest")
        assert client.head("c").status == 200

    def test_an_md5_of_twenty_bytes_is_what_the_c_sdk_sends(self, client):
        client.put("c")
        headers = {"content-md5": base64.b64encode(bytes(20)).decode()}
        body = b"<Delete><Object><Key>c</Key></Object></Delete>"
        assert client.send("POST", None, {"delete": None}, headers, body).status == 200

    def test_limits(self, client, emulator):
        assert self.delete(client, [f"k{n}" for n in range(1000)]).status == 200
        assert self.delete(client, [f"k{n}" for n in range(1001)]).code == "MalformedXML"
        assert self.delete(client, []).code == "MalformedXML"
        emulator.set_limits(max_document_bytes=100)
        assert self.delete(client, ["k" * 100]).code == "MalformedXML"
