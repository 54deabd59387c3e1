"""Which bucket and key a request means: path style, virtual host, CNAME, IPv6."""

from __future__ import annotations

import http.client

import pytest

from ossmedia.emulator.addressing import Addressing, host_name
from ossmedia.emulator.errors import OssError
from ossmedia.emulator.serve import Emulator


@pytest.mark.parametrize(
    ("host", "path", "bucket", "raw_key"),
    [
        ("127.0.0.1:9000", "/", None, None),
        ("127.0.0.1:9000", "/cams", "cams", None),
        ("127.0.0.1:9000", "/cams/", "cams", None),
        ("127.0.0.1:9000", "/cams/a/b", "cams", "a/b"),
        ("127.0.0.1:9000", "/cams%2Fa%2fb", "cams", "a%2fb"),
        ("127.0.0.1:9000", "/cams//a", "cams", "/a"),
        ("[::1]:9000", "/cams/../x", "cams", "../x"),
        ("localhost", "/cams/a", "cams", "a"),
        ("emulator:9000", "/cams/a", "cams", "a"),
        ("cams.localhost:9000", "/a/b", "cams", "a/b"),
        ("cams.127.0.0.1:9000", "/a%2Fb", "cams", "a%2Fb"),
        ("CAMS.oss-cn-hangzhou.aliyuncs.com", "/a", "cams", "a"),
        ("cams.oss-cn-hangzhou-internal.aliyuncs.com", "/", "cams", None),
        ("cams.oss-accelerate.aliyuncs.com", "/a", "cams", "a"),
        ("cams.cn-hangzhou.oss.aliyuncs.com", "/a", "cams", "a"),
        ("oss-cn-hangzhou.aliyuncs.com", "/", None, None),
        ("cn-hangzhou.oss.aliyuncs.com", "/cams/a", "cams", "a"),
        ("sts.aliyuncs.com", "/", None, None),
        ("cams.oss.example", "/a", "cams", "a"),
        ("media.example", "/a/b", "cams", "a/b"),
        ("other.example", "/cams/a", "cams", "a"),
        ("", "/cams/a", "cams", "a"),
    ],
)
def test_host_and_path(host, path, bucket, raw_key):
    addressing = Addressing(["oss.example"], {"media.example": "cams"})
    found = addressing.resolve(host, path)
    assert (found.bucket, found.raw_key) == (bucket, raw_key)


def test_path_style_can_be_forbidden():
    addressing = Addressing(forbid_second_level=True)
    with pytest.raises(OssError) as caught:
        addressing.resolve("127.0.0.1", "/cams/a")
    assert (caught.value.status, caught.value.code) == (403, "SecondLevelDomainForbidden")
    assert addressing.resolve("127.0.0.1", "/").bucket is None
    assert addressing.resolve("cams.localhost", "/a").bucket == "cams"


def test_host_names():
    assert host_name(" [::1]:80 ") == "[::1]"
    assert host_name("A.b:80") == "a.b"


def _get(emulator, client, host, target, key):
    connection = http.client.HTTPConnection(emulator.endpoint.partition("://")[2])
    connection.request("GET", target, headers={"Host": host, **client.signed("GET", key)})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_the_same_object_in_every_style(client):
    emulator = client.emulator
    client.put("a/b c", b"content")
    emulator.cloud.addressing.cnames["media.example"] = "cams"
    for host, target in [
        ("x", "/cams/a/b%20c"),
        ("x", "/cams%2Fa%2Fb%20c"),
        ("cams.localhost", "/a%2Fb%20c"),
        ("cams.oss-cn-hangzhou.aliyuncs.com", "/a/b%20c"),
        ("media.example", "/a/b%20c"),
        ("ignored", "http://cams.localhost/a/b%20c"),
    ]:
        assert _get(emulator, client, host, target, "a/b c") == (200, b"content"), host


def test_ipv6(client_of):
    with Emulator(host="::1", buckets=["cams"]) as cloud:
        assert cloud.endpoint.startswith("http://[::1]:")
        client = client_of(cloud)
        client.connection.close()
        port = int(cloud.endpoint.rpartition(":")[2])
        client.connection = http.client.HTTPConnection("::1", port)
        assert client.put("k", b"x").status == 200
        assert client.get("k").body == b"x"
        client.close()
