"""oss2 as a foreign client of the local cloud: accepted, understood, refused where it must be."""

from __future__ import annotations

import gc
import json
import os
from urllib.request import urlopen

import oss2
import pytest
import requests
from aliyunsdkcore.client import AcsClient
from aliyunsdksts.request.v20150401.AssumeRoleRequest import AssumeRoleRequest

from ossmedia.emulator import crc64
from ossmedia.emulator.serve import Emulator

# The SDK drops answers without reading them, and with them open sockets.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

AUTHS = [oss2.Auth, oss2.AuthV4]


@pytest.fixture(scope="module")
def cloud():
    with Emulator(buckets=["cams"]) as emulator:
        yield emulator


@pytest.fixture(params=AUTHS, ids=["V1", "V4"])
def bucket(request, cloud):
    cloud.reset()
    auth = request.param(cloud.access_key_id, cloud.access_key_secret)
    session = oss2.Session()
    yield oss2.Bucket(auth, cloud.endpoint, "cams", region=cloud.region, session=session)
    session.session.close()
    gc.collect()


def test_put_and_get(bucket):
    data = os.urandom(100_000)
    headers = {"Content-Type": "video/mp4", "x-oss-meta-cam": "gate 1"}
    result = bucket.put_object("cam/a b+c%2F/ü.mp4", data, headers=headers)
    assert result.crc == crc64.update(0, data)
    got = bucket.get_object("cam/a b+c%2F/ü.mp4")
    assert got.read() == data
    assert got.headers["x-oss-meta-cam"] == "gate 1"
    head = bucket.head_object("cam/a b+c%2F/ü.mp4")
    assert (head.content_length, head.content_type) == (100_000, "video/mp4")
    assert bucket.get_object_meta("cam/a b+c%2F/ü.mp4").content_length == 100_000
    assert bucket.get_object("cam/a b+c%2F/ü.mp4", byte_range=(10, 19)).read() == data[10:20]
    assert bucket.get_object("cam/a b+c%2F/ü.mp4", byte_range=(None, 7)).read() == data[-7:]


def test_put_of_a_stream_is_chunked_or_sized(bucket, tmp_path):
    path = tmp_path / "clip"
    path.write_bytes(os.urandom(300_000))
    with path.open("rb") as file:
        bucket.put_object("file", file)
    assert bucket.get_object("file").read() == path.read_bytes()
    bucket.put_object("pieces", iter([b"a" * 1000, b"b" * 1000]))
    assert bucket.get_object("pieces").read() == b"a" * 1000 + b"b" * 1000


def test_append(bucket):
    first = bucket.append_object("log", 0, b"abc", init_crc=0)
    second = bucket.append_object("log", first.next_position, b"def", init_crc=first.crc)
    assert second.next_position == 6
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as caught:
        bucket.append_object("log", 3, b"x")
    assert caught.value.next_position == 6
    bucket.put_object("plain", b"x")
    with pytest.raises(oss2.exceptions.ObjectNotAppendable):
        bucket.append_object("plain", 1, b"x")
    assert bucket.get_object("log").read() == b"abcdef"


def test_multipart_with_copied_parts(bucket):
    source = os.urandom(250_000)
    bucket.put_object("src", source)
    upload = bucket.init_multipart_upload("m").upload_id
    first = bucket.upload_part("m", upload, 1, source)
    second = bucket.upload_part_copy("cams", "src", (100, 120_099), "m", upload, 2)
    listed = bucket.list_parts("m", upload).parts
    assert [(part.part_number, part.size) for part in listed] == [(1, 250_000), (2, 120_000)]
    uploads = [u.upload_id for u in oss2.MultipartUploadIterator(bucket)]
    assert uploads == [upload]
    parts = [oss2.models.PartInfo(1, first.etag), oss2.models.PartInfo(2, second.etag)]
    done = bucket.complete_multipart_upload("m", upload, parts)
    wanted = source + source[100:120_100]
    assert done.crc == crc64.update(0, wanted)
    assert bucket.get_object("m").read() == wanted
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.abort_multipart_upload("m", upload)


def test_resumable_upload_and_download(bucket, tmp_path):
    path = tmp_path / "clip"
    path.write_bytes(os.urandom(1_500_000))
    store = oss2.ResumableStore(root=str(tmp_path))
    oss2.resumable_upload(
        bucket, "big", str(path), store=store, multipart_threshold=200_000, part_size=200_000,
        num_threads=2,
    )  # fmt: skip
    target = tmp_path / "again"
    downloads = oss2.ResumableDownloadStore(root=str(tmp_path))
    oss2.resumable_download(
        bucket, "big", str(target), store=downloads, multiget_threshold=200_000,
        part_size=200_000, num_threads=2,
    )  # fmt: skip
    assert target.read_bytes() == path.read_bytes()


def test_lists(bucket):
    keys = sorted([f"a/{n:03}" for n in range(130)] + ["b &+", "ü/x"], key=str.encode)
    for key in keys:
        bucket.put_object(key, b"")
    assert [entry.key for entry in oss2.ObjectIterator(bucket)] == keys
    assert [entry.key for entry in oss2.ObjectIteratorV2(bucket, max_keys=50)] == keys
    top = [(entry.key, entry.is_prefix()) for entry in oss2.ObjectIterator(bucket, delimiter="/")]
    assert top == [("a/", True), ("b &+", False), ("ü/", True)]
    assert sorted(bucket.batch_delete_objects(keys[:100]).deleted_keys) == keys[:100]
    assert len(list(oss2.ObjectIterator(bucket))) == 32


def test_copy_tags_acl_symlink(bucket):
    bucket.put_object("src", b"data", headers={"x-oss-tagging": "a=b"})
    assert bucket.copy_object("cams", "src", "dst").status == 200
    assert bucket.get_object("dst").read() == b"data"
    assert bucket.get_object_tagging("dst").tag_set.tagging_rule == {"a": "b"}
    rule = oss2.models.TaggingRule()
    rule.add("c d", "e")
    bucket.put_object_tagging("dst", oss2.models.Tagging(rule))
    assert bucket.get_object_tagging("dst").tag_set.tagging_rule == {"c d": "e"}
    bucket.delete_object_tagging("dst")
    bucket.put_object_acl("dst", oss2.OBJECT_ACL_PUBLIC_READ)
    assert bucket.get_object_acl("dst").acl == "public-read"
    bucket.put_symlink("src", "link")
    assert bucket.get_symlink("link").target_key == "src"
    assert bucket.get_object("link").read() == b"data"


def test_signed_urls(bucket):
    bucket.put_object("a/b c", b"content")
    with urlopen(bucket.sign_url("GET", "a/b c", 60, slash_safe=True)) as answer:
        assert answer.read() == b"content"
    headers = {"Content-Type": "text/plain"}
    url = bucket.sign_url("PUT", "by-url", 60, headers=headers)
    with requests.put(url, data=b"x", headers=headers, timeout=10) as answer:
        assert answer.status_code == 200
    assert bucket.get_object("by-url").read() == b"x"
    with requests.put(url, data=b"x", headers={"Content-Type": "a/b"}, timeout=10) as answer:
        assert answer.status_code == 403
    tampered = bucket.sign_url("GET", "a/b c", 60).replace("b%20c", "other")
    with requests.get(tampered, timeout=10) as answer:
        assert answer.status_code == 403
        assert "SignatureDoesNotMatch" in answer.text


def test_buckets(cloud, bucket):
    service = oss2.Service(bucket.auth, cloud.endpoint, session=bucket.session, region=cloud.region)
    other = oss2.Bucket(
        bucket.auth, cloud.endpoint, "other-one", region=cloud.region, session=bucket.session
    )
    other.create_bucket(oss2.BUCKET_ACL_PRIVATE)
    assert [entry.name for entry in oss2.BucketIterator(service)] == ["cams", "other-one"]
    assert other.get_bucket_acl().acl == "private"
    assert other.get_bucket_info().location == "oss-cn-hangzhou"
    assert other.get_bucket_location().location == "oss-cn-hangzhou"
    assert other.get_bucket_stat().object_count == 0
    rule = oss2.models.LifecycleRule(
        "r", "cam/", expiration=oss2.models.LifecycleExpiration(days=7)
    )
    other.put_bucket_lifecycle(oss2.models.BucketLifecycle([rule]))
    assert other.get_bucket_lifecycle().rules[0].prefix == "cam/"
    other.delete_bucket_lifecycle()
    with pytest.raises(oss2.exceptions.NoSuchLifecycle):
        other.get_bucket_lifecycle()
    other.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        other.get_bucket_info()


def test_errors_are_understood(cloud, bucket):
    with pytest.raises(oss2.exceptions.NoSuchKey) as caught:
        bucket.get_object("none")
    assert caught.value.request_id
    assert not bucket.object_exists("none")
    with pytest.raises(oss2.exceptions.NotFound):
        bucket.head_object("none")
    wrong = oss2.Bucket(
        type(bucket.auth)(cloud.access_key_id, "wrong"),
        cloud.endpoint,
        "cams",
        region=cloud.region,
        session=bucket.session,
    )
    with pytest.raises(oss2.exceptions.SignatureDoesNotMatch):
        wrong.put_object("k", b"x")
    cloud.set_clock(3600)
    with pytest.raises(oss2.exceptions.ServerError) as skewed:
        bucket.put_object("k", b"x")
    assert skewed.value.code == "RequestTimeTooSkewed"


def _assume_role(cloud, policy):
    """Temporary credentials from the cloud's STS, through the official SDK."""
    request = AssumeRoleRequest()
    request.set_accept_format("json")
    request.set_protocol_type("http")
    request.set_endpoint(cloud.sts_endpoint.partition("://")[2])
    request.set_RoleArn(cloud.role_arn)
    request.set_RoleSessionName("cam-01")
    request.set_DurationSeconds(900)
    request.set_Policy(json.dumps(policy))
    client = AcsClient(cloud.access_key_id, cloud.access_key_secret, cloud.region)
    answer = json.loads(client.do_action_with_exception(request))
    return answer["Credentials"]


@pytest.mark.parametrize("auth", [oss2.ProviderAuth, oss2.ProviderAuthV4], ids=["V1", "V4"])
def test_temporary_credentials(cloud, auth):
    cloud.reset()
    statement = {
        "Effect": "Allow",
        "Action": ["oss:PutObject", "oss:GetObject"],
        "Resource": ["acs:oss:*:*:cams/cam-01/*"],
    }
    token = _assume_role(cloud, {"Version": "1", "Statement": [statement]})
    assert cloud.counters()["requests"] == {"Rpc": 1}
    provider = oss2.credentials.StaticCredentialsProvider(
        token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"]
    )
    session = oss2.Session()
    bucket = oss2.Bucket(
        auth(provider), cloud.endpoint, "cams", region=cloud.region, session=session
    )
    bucket.put_object("cam-01/a", b"x")
    url = bucket.sign_url("GET", "cam-01/a", 60)
    with requests.get(url, timeout=10) as answer:
        assert answer.content == b"x"
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.put_object("cam-02/a", b"x")
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.delete_object("cam-01/a")
    session.session.close()
    gc.collect()
