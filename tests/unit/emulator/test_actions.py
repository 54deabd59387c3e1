"""The table of calls and the actions they need."""

from __future__ import annotations

import pytest

from ossmedia.emulator.policies import action_for


def needed(call: str, **headers: str) -> list[tuple[str, str]]:
    """``PUT /k?a&b=c`` on an object, ``GET /?a`` on a bucket, ``GET *`` on the service."""
    method, _, target = call.partition(" ")
    path, _, raw = target.partition("?")
    query = dict(piece.partition("=")[::2] for piece in raw.split("&") if piece)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return action_for(
        method, None if path in ("/", "*") else path[1:], query, fields, service=path == "*"
    )


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("PUT /k", "PutObject"),
        ("POST /k", "PutObject"),
        ("POST /k?append&position=0", "PutObject"),
        ("POST /k?seal&position=5", "PutObject"),
        ("POST /k?uploads", "PutObject"),
        ("PUT /k?partNumber=1&uploadId=x", "PutObject"),
        ("POST /k?uploadId=x", "PutObject"),
        ("PUT /k?symlink", "PutObject"),
        ("GET /k", "GetObject"),
        ("HEAD /k", "GetObject"),
        ("HEAD /k?objectMeta", "GetObject"),
        ("GET /k?symlink", "GetObject"),
        ("POST /k?x-oss-process=csv/select", "GetObject"),
        ("POST /k?x-oss-process=video/convert|sys/saveas", "PostProcessTask"),
        ("GET /k?versionId=v", "GetObjectVersion"),
        ("DELETE /k", "DeleteObject"),
        ("DELETE /k?versionId=v", "DeleteObjectVersion"),
        ("DELETE /k?uploadId=x", "AbortMultipartUpload"),
        ("GET /k?uploadId=x", "ListParts"),
        ("GET /k?acl", "GetObjectAcl"),
        ("PUT /k?acl", "PutObjectAcl"),
        ("GET /k?acl&versionId=v", "GetObjectVersionAcl"),
        ("PUT /k?acl&versionId=v", "PutObjectVersionAcl"),
        ("GET /k?tagging", "GetObjectTagging"),
        ("PUT /k?tagging", "PutObjectTagging"),
        ("DELETE /k?tagging", "DeleteObjectTagging"),
        ("DELETE /k?tagging&versionId=v", "DeleteObjectVersionTagging"),
        ("POST /k?restore", "RestoreObject"),
    ],
)
def test_object_calls(call: str, action: str) -> None:
    assert needed(call) == [(f"oss:{action}", "object")]


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("GET /", "ListObjects"),
        ("GET /?list-type=2&prefix=x", "ListObjects"),
        ("GET /?versions", "ListObjectVersions"),
        ("GET /?uploads", "ListMultipartUploads"),
        ("PUT /", "PutBucket"),
        ("DELETE /", "DeleteBucket"),
        ("HEAD /", "GetBucketInfo"),
        ("GET /?bucketInfo", "GetBucketInfo"),
        ("GET /?location", "GetBucketLocation"),
        ("GET /?stat", "GetBucketStat"),
        ("GET /?acl", "GetBucketAcl"),
        ("PUT /?acl", "PutBucketAcl"),
        ("GET /?lifecycle", "GetBucketLifecycle"),
        ("PUT /?lifecycle", "PutBucketLifecycle"),
        ("DELETE /?lifecycle", "DeleteBucketLifecycle"),
        ("GET /?tagging", "GetBucketTagging"),
        ("PUT /?policy", "PutBucketPolicy"),
        ("DELETE /?cors", "DeleteBucketCors"),
        ("GET /?referer", "GetBucketReferer"),
        ("PUT /?versioning", "PutBucketVersioning"),
    ],
)
def test_bucket_calls(call: str, action: str) -> None:
    assert needed(call) == [(f"oss:{action}", "bucket")]


def test_calls_with_other_resources() -> None:
    assert needed("GET *") == [("oss:ListBuckets", "service")]
    assert needed("POST /?delete") == [("oss:DeleteObject", "keys")]


def test_a_copy_reads_its_source() -> None:
    both = [("oss:GetObject", "source"), ("oss:PutObject", "object")]
    assert needed("PUT /k", x_oss_copy_source="/b/a") == both
    assert needed("PUT /k?partNumber=1&uploadId=x", x_oss_copy_source="/b/a") == both
    versioned = needed("PUT /k", x_oss_copy_source="/b/a?versionId=v")
    assert versioned == [("oss:GetObjectVersion", "source"), ("oss:PutObject", "object")]


def test_a_tagging_header_needs_its_own_action() -> None:
    both = [("oss:PutObject", "object"), ("oss:PutObjectTagging", "object")]
    for call in ("PUT /k", "POST /k?append&position=0", "POST /k?uploads", "PUT /k?symlink"):
        assert needed(call, x_oss_tagging="a=b") == both
    part = needed("PUT /k?partNumber=1&uploadId=x", x_oss_tagging="a=b")
    assert part == [("oss:PutObject", "object")]
    assert needed("GET /k", x_oss_tagging="a=b") == [("oss:GetObject", "object")]


def test_an_acl_header_needs_no_further_action() -> None:
    assert needed("PUT /k", x_oss_object_acl="public-read") == [("oss:PutObject", "object")]


def test_there_is_no_action_for_head_append_or_part() -> None:
    calls = ("HEAD /k", "POST /k?append&position=0", "PUT /k?partNumber=1&uploadId=x")
    named = {action for call in calls for action, _ in needed(call)}
    assert named == {"oss:GetObject", "oss:PutObject"}
