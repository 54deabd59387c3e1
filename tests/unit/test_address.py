"""address.py: endpoints, regions, bucket names and keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia import _native
from ossmedia.address import CNAME, HOST, PATH, Address, check_bucket, check_key, parse_url


def test_the_styles_are_the_cores() -> None:
    assert (HOST, PATH, CNAME) == (
        _native.ADDRESS_HOST,
        _native.ADDRESS_PATH,
        _native.ADDRESS_CNAME,
    )


HANGZHOU = "oss-cn-hangzhou.aliyuncs.com"


@pytest.mark.parametrize(
    ("endpoint", "options", "expected"),
    [
        (HANGZHOU, {}, (f"https://{HANGZHOU}", "cn-hangzhou", HOST)),
        (f"http://{HANGZHOU}", {}, (f"http://{HANGZHOU}", "cn-hangzhou", HOST)),
        (f"HTTPS://{HANGZHOU.upper()}/", {}, (f"https://{HANGZHOU}", "cn-hangzhou", HOST)),
        (f"{HANGZHOU}:8443", {}, (f"https://{HANGZHOU}:8443", "cn-hangzhou", HOST)),
        ("", {"region": "cn-beijing"}, ("https://oss-cn-beijing.aliyuncs.com", "cn-beijing", HOST)),
        (
            "oss-cn-beijing-internal.aliyuncs.com",
            {},
            ("https://oss-cn-beijing-internal.aliyuncs.com", "cn-beijing", HOST),
        ),
        (
            "cn-beijing.oss.aliyuncs.com",
            {},
            ("https://cn-beijing.oss.aliyuncs.com", "cn-beijing", HOST),
        ),
        (
            HANGZHOU,
            {"internal": True},
            ("https://oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou", HOST),
        ),
        (
            "",
            {"internal": True, "region": "cn-x"},
            ("https://oss-cn-x-internal.aliyuncs.com", "cn-x", HOST),
        ),
        (
            HANGZHOU,
            {"accelerate": True},
            ("https://oss-accelerate.aliyuncs.com", "cn-hangzhou", HOST),
        ),
        (
            "oss-accelerate-overseas.aliyuncs.com",
            {"accelerate": True, "region": "us-west-1"},
            ("https://oss-accelerate-overseas.aliyuncs.com", "us-west-1", HOST),
        ),
        (
            "video.example.com",
            {"cname": True, "region": "r"},
            ("https://video.example.com", "r", CNAME),
        ),
        ("http://127.0.0.1:8080", {"region": "r"}, ("http://127.0.0.1:8080", "r", PATH)),
        ("http://[::1]:8080", {"region": "r"}, ("http://[::1]:8080", "r", PATH)),
        ("[2001:db8::1]", {"region": "r"}, ("https://[2001:db8::1]", "r", PATH)),
        ("http://localhost:1", {"region": "r"}, ("http://localhost:1", "r", PATH)),
        (HANGZHOU, {"path_style": True}, (f"https://{HANGZHOU}", "cn-hangzhou", PATH)),
        ("http://minio", {"region_needed": False}, ("http://minio", "", HOST)),
    ],
)
def test_addresses(endpoint: str, options: dict, expected: tuple[str, str, int]) -> None:
    address = Address("cams", endpoint, **options)
    assert (address.endpoint, address.region, address.style) == expected


@pytest.mark.parametrize(
    ("endpoint", "options", "field"),
    [
        ("", {}, "endpoint"),
        ("ftp://host", {"region": "r"}, "endpoint"),
        ("http://", {"region": "r"}, "endpoint"),
        ("http:///x", {"region": "r"}, "endpoint"),
        ("host/path", {"region": "r"}, "endpoint"),
        ("host?x=1", {"region": "r"}, "endpoint"),
        ("host#x", {"region": "r"}, "endpoint"),
        ("user@host", {"region": "r"}, "endpoint"),
        ("https://user:secret-canary@host", {"region": "r"}, "endpoint"),
        ("host:0", {"region": "r"}, "endpoint"),
        ("host:65536", {"region": "r"}, "endpoint"),
        ("host:8x", {"region": "r"}, "endpoint"),
        ("host:", {"region": "r"}, "endpoint"),
        ("host:٨", {"region": "r"}, "endpoint"),
        ("::1", {"region": "r"}, "endpoint"),
        ("[::1", {"region": "r"}, "endpoint"),
        ("[::1]x", {"region": "r"}, "endpoint"),
        ("[1]", {"region": "r"}, "endpoint"),
        ("[::g]", {"region": "r"}, "endpoint"),
        ("1.2.3.4.5", {"region": "r"}, "endpoint"),
        ("1.2.3.256", {"region": "r"}, "endpoint"),
        ("a..b", {"region": "r"}, "endpoint"),
        ("-a.b", {"region": "r"}, "endpoint"),
        ("a b", {"region": "r"}, "endpoint"),
        ("host\r\nX: y", {"region": "r"}, "endpoint"),
        ("host\0", {"region": "r"}, "endpoint"),
        ("höst", {"region": "r"}, "endpoint"),
        ("h" * 64, {"region": "r"}, "endpoint"),
        (f"cams.{HANGZHOU}", {}, "region"),
        (f"cams.{HANGZHOU}", {"region": "cn-hangzhou"}, "endpoint"),
        ("host", {}, "region"),
        ("oss-accelerate.aliyuncs.com", {}, "region"),
        ("oss--cn-hangzhou.aliyuncs.com", {}, "region"),
        ("oss-oss-cn-hangzhou.aliyuncs.com", {}, "region"),
        ("oss-.aliyuncs.com", {}, "region"),
        (HANGZHOU, {"region": "cn-beijing"}, "region"),
        (HANGZHOU, {"region": "oss-cn-hangzhou"}, "region"),
        ("host", {"region": "CN"}, "region"),
        ("host", {"region": "a\n"}, "region"),
        ("host", {"region": "r" * 65}, "region"),
        ("host", {"region": "r", "internal": True}, "internal"),
        ("host", {"region": "r", "accelerate": True}, "accelerate"),
        (HANGZHOU, {"internal": True, "accelerate": True}, "internal and accelerate"),
        (HANGZHOU, {"cname": True, "path_style": True}, "cname and path_style"),
        (HANGZHOU, {"cname": True, "internal": True}, "cname and internal or accelerate"),
    ],
)
def test_bad_addresses_are_named(endpoint: str, options: dict, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: ") as caught:
        Address("cams", endpoint, **options)
    assert "canary" not in str(caught.value)


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match=r"^endpoint: "):
        Address("cams", b"host", "r")
    with pytest.raises(TypeError, match=r"^region: "):
        Address("cams", "host", 5)
    with pytest.raises(TypeError, match=r"^bucket: "):
        check_bucket(None)
    with pytest.raises(TypeError, match=r"^key: "):
        check_key(b"k")


@given(st.text(max_size=70))
def test_an_accepted_endpoint_is_one_host_and_port(text: str) -> None:
    try:
        endpoint = Address("cams", text, "r").endpoint
    except ValueError:
        return
    rest = endpoint.split("://", 1)[1]
    assert rest.isascii()
    assert rest.isprintable()
    assert not set(rest) & set("/?#@\\ ")


@pytest.mark.parametrize("name", ["abc", "a-b", "0" * 63, "cams-2024"])
def test_bucket_names(name: str) -> None:
    assert check_bucket(name) == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 64, "-ab", "ab-", "aBc", "a_b", "a.b", "a/b", "ab\n"]
)
def test_bad_bucket_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"^bucket: 3-63 "):
        check_bucket(name)


@pytest.mark.parametrize(
    "key", ["a", "k" * 1023, "ü" * 511, "a//b", "../x", "a b", "a\tb", "%2f", "🎥", "a/", "."]
)
def test_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "k" * 1024, "ü" * 512, "a\r", "a\nb", "a\0b", "/a", "\\a", "\ud800"]
)
def test_bad_keys_are_named(key: str) -> None:
    with pytest.raises(ValueError, match=r"^key: must "):
        check_key(key)


def test_urls() -> None:
    assert parse_url("oss://cams/a/b%20c") == ("cams", "a/b%20c")
    assert parse_url("oss://cams") == parse_url("oss://cams/") == ("cams", "")
    for url in ("cams/a", "s3://cams/a", "oss://", "oss://C/a", "oss://cams//a", "oss://cams/a\n"):
        with pytest.raises(ValueError, match=r"^(must be oss://|bucket: |key: )"):
            parse_url(url)
