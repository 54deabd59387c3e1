"""alibabacloud-oss-v2 as a foreign client of the local cloud."""

from __future__ import annotations

import datetime
import gc
import os
import socket

import alibabacloud_oss_v2 as oss
import pytest
import requests

from ossmedia.emulator import crc64
from ossmedia.emulator.serve import Emulator

# The SDK never closes its session, and so leaves open sockets behind.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _collected():
    """The sockets of one test are gone before the next begins."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def cloud():
    with Emulator(buckets=["cams"]) as emulator:
        yield emulator


def _client(cloud, version, credentials=None, **options):
    config = oss.config.load_default()
    config.credentials_provider = credentials or oss.credentials.StaticCredentialsProvider(
        cloud.access_key_id, cloud.access_key_secret
    )
    config.region = cloud.region
    config.endpoint = cloud.endpoint
    config.signature_version = version
    config.retry_max_attempts = 1
    for name, value in options.items():
        setattr(config, name, value)
    return oss.Client(config)


@pytest.fixture(params=["v1", "v4"])
def client(request, cloud):
    cloud.reset()
    return _client(cloud, request.param)


def _code(caught):
    error = caught.value.unwrap()
    assert isinstance(error, oss.exceptions.ServiceError)
    assert error.request_id
    return error.status_code, error.code


def test_put_get_head(client):
    data = os.urandom(100_000)
    key = "cam/a b+c%2F/ü.mp4"
    result = client.put_object(
        oss.PutObjectRequest("cams", key, body=data, content_type="video/mp4")
    )
    assert result.hash_crc64 == str(crc64.update(0, data))
    got = client.get_object(oss.GetObjectRequest("cams", key))
    assert got.body.content == data
    head = client.head_object(oss.HeadObjectRequest("cams", key))
    assert (head.content_length, head.content_type) == (100_000, "video/mp4")
    ranged = oss.GetObjectRequest(
        "cams", key, range_header="bytes=10-19", range_behavior="standard"
    )
    assert client.get_object(ranged).body.content == data[10:20]
    assert client.is_object_exist("cams", key)
    assert not client.is_object_exist("cams", "none")


def test_append(client):
    first = client.append_object(oss.AppendObjectRequest("cams", "log", position=0, body=b"abc"))
    assert first.next_position == 3
    again = oss.AppendObjectRequest(
        "cams", "log", position=3, body=b"def", init_hash_crc64=first.hash_crc64
    )
    assert client.append_object(again).next_position == 6
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.append_object(oss.AppendObjectRequest("cams", "log", position=3, body=b"x"))
    assert _code(caught) == (409, "PositionNotEqualToLength")


def test_append_only_file(client):
    with client.append_file("cams", "log") as file:
        file.write(b"one")
        file.write(b"two" * 1000)
    assert (
        client.get_object(oss.GetObjectRequest("cams", "log")).body.content
        == b"one" + b"two" * 1000
    )


def test_multipart(client):
    data = os.urandom(250_000)
    upload = client.initiate_multipart_upload(
        oss.InitiateMultipartUploadRequest("cams", "m")
    ).upload_id
    parts = []
    for number in (1, 2):
        part = client.upload_part(
            oss.UploadPartRequest("cams", "m", part_number=number, upload_id=upload, body=data)
        )
        parts.append(oss.UploadPart(part_number=number, etag=part.etag))
    listed = client.list_parts(oss.ListPartsRequest("cams", "m", upload_id=upload))
    assert [part.size for part in listed.parts] == [250_000] * 2
    uploads = client.list_multipart_uploads(oss.ListMultipartUploadsRequest("cams"))
    assert [entry.upload_id for entry in uploads.uploads] == [upload]
    done = client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest(
            "cams", "m", upload_id=upload,
            complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
        )
    )  # fmt: skip
    assert done.hash_crc64 == str(crc64.update(0, data * 2))
    assert client.get_object(oss.GetObjectRequest("cams", "m")).body.content == data * 2


def test_uploader_and_downloader(client, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(1_300_000))
    uploader = client.uploader(part_size=200_000, parallel_num=2)
    uploader.upload_file(oss.PutObjectRequest("cams", "big"), str(source))
    downloader = client.downloader(part_size=200_000, parallel_num=2)
    downloader.download_file(oss.GetObjectRequest("cams", "big"), str(target))
    assert target.read_bytes() == source.read_bytes()


def test_lists_and_delete_of_many(client):
    keys = sorted([f"a/{n:03}" for n in range(130)] + ["b &+", "ü/x"], key=str.encode)
    for key in keys:
        client.put_object(oss.PutObjectRequest("cams", key, body=b""))
    pages = client.list_objects_v2_paginator().iter_page(
        oss.ListObjectsV2Request("cams", max_keys=50)
    )
    assert [entry.key for page in pages for entry in page.contents] == keys
    pages = client.list_objects_paginator().iter_page(oss.ListObjectsRequest("cams"))
    assert [entry.key for page in pages for entry in page.contents] == keys
    top = client.list_objects_v2(oss.ListObjectsV2Request("cams", delimiter="/"))
    assert [prefix.prefix for prefix in top.common_prefixes] == ["a/", "ü/"]
    deleted = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest("cams", objects=[oss.DeleteObject(key) for key in keys])
    )
    assert sorted((entry.key for entry in deleted.deleted_objects), key=str.encode) == keys


def test_copy_tags_acl_symlink(client):
    client.put_object(oss.PutObjectRequest("cams", "a b", body=b"data", tagging="a=b"))
    client.copy_object(oss.CopyObjectRequest("cams", "dst", source_key="a b"))
    assert client.get_object(oss.GetObjectRequest("cams", "dst")).body.content == b"data"
    tags = client.get_object_tagging(oss.GetObjectTaggingRequest("cams", "dst")).tag_set.tags
    assert [(tag.key, tag.value) for tag in tags] == [("a", "b")]
    client.put_object_acl(oss.PutObjectAclRequest("cams", "dst", acl="public-read"))
    assert client.get_object_acl(oss.GetObjectAclRequest("cams", "dst")).acl == "public-read"
    client.put_symlink(oss.PutSymlinkRequest("cams", "link", symlink_target="dst"))
    assert client.get_symlink(oss.GetSymlinkRequest("cams", "link")).target == "dst"


def test_presigned_urls(cloud, client):
    client.put_object(oss.PutObjectRequest("cams", "a/b c", body=b"content"))
    made = client.presign(
        oss.GetObjectRequest("cams", "a/b c"), expires=datetime.timedelta(seconds=60)
    )
    with requests.get(made.url, timeout=10) as answer:
        assert answer.content == b"content"
    with requests.get(made.url.replace("b%20c", "other"), timeout=10) as answer:
        assert answer.status_code == 403
    put = client.presign(oss.PutObjectRequest("cams", "by-url", content_type="text/plain"))
    with requests.put(put.url, data=b"x", headers=put.signed_headers, timeout=10) as answer:
        assert answer.status_code == 200
    cloud.set_clock(120)
    with requests.get(made.url, timeout=10) as answer:
        assert answer.status_code == 403
        assert "expired" in answer.text


def test_buckets(client):
    client.put_bucket(oss.PutBucketRequest("other-one"))
    listed = client.list_buckets(oss.ListBucketsRequest())
    assert [entry.name for entry in listed.buckets] == ["cams", "other-one"]
    info = client.get_bucket_info(oss.GetBucketInfoRequest("other-one")).bucket_info
    assert (info.name, info.location) == ("other-one", "oss-cn-hangzhou")
    location = client.get_bucket_location(oss.GetBucketLocationRequest("other-one"))
    assert location.location == "oss-cn-hangzhou"
    assert client.get_bucket_stat(oss.GetBucketStatRequest("other-one")).object_count == 0
    client.delete_bucket(oss.DeleteBucketRequest("other-one"))
    assert not client.is_bucket_exist("other-one")


def test_errors_are_understood(cloud, client):
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.get_object(oss.GetObjectRequest("cams", "none"))
    assert _code(caught) == (404, "NoSuchKey")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.head_object(oss.HeadObjectRequest("cams", "none"))
    assert _code(caught) == (404, "NoSuchKey")
    wrong = oss.credentials.StaticCredentialsProvider(cloud.access_key_id, "wrong")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        _client(cloud, "v4", wrong).put_object(oss.PutObjectRequest("cams", "k", body=b"x"))
    assert _code(caught) == (403, "SignatureDoesNotMatch")


def test_temporary_credentials(cloud):
    cloud.reset()
    identities = cloud.cloud.identities
    role = identities.find_role(cloud.role_arn)
    now = cloud.cloud.clock.now()
    token = identities.issue_session(role, "cam-01", duration_seconds=900, now=now)
    provider = oss.credentials.StaticCredentialsProvider(
        token.access_key_id, token.secret, token.token
    )
    client = _client(cloud, "v4", provider)
    client.put_object(oss.PutObjectRequest("cams", "a", body=b"x"))
    assert client.get_object(oss.GetObjectRequest("cams", "a")).body.content == b"x"


def test_virtual_host_addressing(cloud, monkeypatch):
    """The SDK reaches the bucket as ``cams.localhost``, and signs for it."""
    cloud.reset()
    resolve = socket.getaddrinfo

    def to_loopback(host, *arguments, **options):
        known = "127.0.0.1" if str(host).endswith(".localhost") else host
        return resolve(known, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", to_loopback)
    port = cloud.endpoint.rpartition(":")[2]
    client = _client(cloud, "v4", endpoint=f"http://localhost:{port}")
    client.put_object(oss.PutObjectRequest("cams", "a/b c", body=b"x"))
    assert client.get_object(oss.GetObjectRequest("cams", "a/b c")).body.content == b"x"


def test_early_refusal_of_a_long_body(cloud):
    cloud.reset()
    wrong = oss.credentials.StaticCredentialsProvider(cloud.access_key_id, "wrong")
    with pytest.raises(oss.exceptions.OperationError) as caught:
        _client(cloud, "v4", wrong).put_object(
            oss.PutObjectRequest("cams", "k", body=bytes(20_000_000))
        )
    assert _code(caught) == (403, "SignatureDoesNotMatch")
