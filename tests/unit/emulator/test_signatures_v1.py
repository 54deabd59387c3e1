"""Signature version 1: its dates, its URL parameters and its list of sub-resources."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from ossmedia.emulator.errors import OssError
from ossmedia.emulator.signatures import SignedRequest, verify

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signature-vectors.json").read_text("utf-8")
)["vectors"]
BY_ID = {vector["id"]: vector for vector in VECTORS}
NOW = 1717171717.0  # 2024-05-31 16:08:37 UTC


@pytest.mark.parametrize("text", ["", "Wed, 28 Dec 2022", "20221228T102741Z", "1672223261"])
def test_v1_date_must_be_readable(wire: Any, text: str) -> None:
    vector = BY_ID["v1-hdr-08-docs"]
    request = wire.request_of(vector)
    headers = [(n, text if n == "date" else v) for n, v in request.headers]
    error = wire.refused(vector, request=request._replace(headers=headers))
    assert (error.status, error.code) == (403, "AccessDenied")


@pytest.mark.parametrize("name", ["OSSAccessKeyId", "Expires", "Signature"])
@pytest.mark.parametrize("value", [None, ""])
def test_v1_url_needs_all_three_parameters(wire: Any, name: str, value: str | None) -> None:
    vector = BY_ID["v1-url-01"]
    query = {**vector["query"], **vector["expected"]["added_query"]}
    del query[name]
    if value is not None:
        query[name] = value
    error = wire.refused(
        vector, request=wire.request_of(vector)._replace(raw_query=wire.raw_query(query))
    )
    assert (error.status, error.code) == (403, "AccessDenied")


@pytest.mark.parametrize("value", ["abc", "-5", "1e9", "٣", "9" * 40])
def test_v1_expires_must_be_a_unix_time(wire: Any, value: str) -> None:
    vector = BY_ID["v1-url-01"]
    query = {**vector["query"], **vector["expected"]["added_query"], "Expires": value}
    error = wire.refused(
        vector, request=wire.request_of(vector)._replace(raw_query=wire.raw_query(query))
    )
    assert (error.status, error.code, error.ec) == (400, "InvalidArgument", "0002-00000070")


def test_of_a_repeated_url_parameter_the_first_counts(wire: Any) -> None:
    vector = BY_ID["v1-url-01"]
    request = wire.request_of(vector)
    wire.check(
        vector, request=request._replace(raw_query=request.raw_query + "&Expires=1&Signature=x")
    )


def test_the_bare_bucket_of_v1_counts_in_path_style_only(wire: Any) -> None:
    vector = BY_ID["v1-hdr-12-bare-bucket-path"]
    error = wire.refused(vector, request=wire.request_of(vector)._replace(path_style=False))
    assert error.code == "SignatureDoesNotMatch"


def v1_signed(query: str, signed_resource: str) -> SignedRequest:
    import base64

    date = "Fri, 31 May 2024 16:08:37 GMT"
    text = f"GET\n\n\n{date}\n{signed_resource}"
    signature = base64.b64encode(hmac.digest(b"sk", text.encode(), "sha1")).decode()
    headers = [("date", date), ("authorization", f"OSS ak:{signature}")]
    return SignedRequest("GET", "bucket", "key", False, "/key", query, headers)


def test_v1_unlisted_x_oss_query_names_may_be_signed_or_not_unless_strict(wire: Any) -> None:
    signed = v1_signed("x-oss-new=1&acl", "/bucket/key?acl&x-oss-new=1")
    left_out = v1_signed("x-oss-new=1&acl", "/bucket/key?acl")
    for request, strict in ((signed, False), (signed, True), (left_out, False)):
        verify(request, wire.keys(), now=NOW, region="r", strict_v1_query=strict)
    with pytest.raises(OssError) as caught:
        verify(left_out, wire.keys(), now=NOW, region="r", strict_v1_query=True)
    assert caught.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "name",
    [
        "acl",
        "uploads",
        "uploadId",
        "callback-var",
        "x-oss-process",
        "continuation-token",
        "qosInfo",
        "x-oss-traffic-limit",
        "objectMeta",
        "sequential",
        "symlink",
        "seal",
        "lifecycle",
        "vod",
    ],
)
def test_v1_sub_resources_are_signed(wire: Any, name: str) -> None:
    verify(v1_signed(f"{name}=1", f"/bucket/key?{name}=1"), wire.keys(), now=NOW, region="r")
    with pytest.raises(OssError):
        verify(
            v1_signed(f"{name}=1", "/bucket/key"),
            wire.keys(),
            now=NOW,
            region="r",
            strict_v1_query=True,
        )


@pytest.mark.parametrize(
    "name",
    [
        "prefix",
        "delimiter",
        "marker",
        "max-keys",
        "encoding-type",
        "list-type",
        "start-after",
        "fetch-owner",
        "key-marker",
        "upload-id-marker",
        "version-id-marker",
        "max-uploads",
        "max-parts",
        "part-number-marker",
        "unknown",
        "ACL",
    ],
)
def test_v1_other_names_are_not_signed(wire: Any, name: str) -> None:
    verify(v1_signed(f"{name}=1", "/bucket/key"), wire.keys(), now=NOW, region="r")
    with pytest.raises(OssError):
        verify(v1_signed(f"{name}=1", f"/bucket/key?{name}=1"), wire.keys(), now=NOW, region="r")
