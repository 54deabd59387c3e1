"""Lists: byte order, pages that neither skip nor repeat, and names as the client asked for them."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ossmedia.emulator.listing import beyond, page_of
from ossmedia.emulator.records import Listed

KEYS = ["a", "a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "d"]


@pytest.fixture
def filled(client):
    for key in KEYS:
        assert client.put(key, key.encode()).status == 200
    return client


def _pages(client, **query):
    """All pages of a V1 list: (keys, prefixes) of each."""
    marker = ""
    pages = []
    while True:
        reply = client.send("GET", None, {**query, "marker": marker})
        assert reply.status == 200
        pages.append((reply.texts("Contents/Key"), reply.texts("CommonPrefixes/Prefix")))
        if reply.texts("IsTruncated") == ["false"]:
            assert reply.texts("NextMarker") == []
            return pages
        marker = reply.texts("NextMarker")[0]


def test_the_default_is_100_keys_in_byte_order(client):
    keys = sorted([f"k{n:03}" for n in range(101)] + ["Z", "é", "z", "\U0001f600"], key=str.encode)
    for key in keys:
        client.put(key)
    first = client.send("GET")
    assert first.texts("Contents/Key") == keys[:100]
    assert first.texts("MaxKeys") == ["100"]
    assert first.texts("NextMarker") == [keys[99]]
    rest = client.send("GET", None, {"marker": keys[99]})
    assert rest.texts("Contents/Key") == keys[100:]


def test_an_entry_tells_what_it_is(client):
    client.put("k", b"12345")
    client.append("log", 0, b"x")
    reply = client.send("GET")
    assert reply.texts("Contents/Type") == ["Normal", "Appendable"]
    assert reply.texts("Contents/Size") == ["5", "1"]
    assert reply.texts("Contents/ETag")[0] == client.head("k").headers["ETag"]
    assert reply.texts("Contents/StorageClass") == ["Standard"] * 2
    assert len(reply.texts("Contents/Owner/ID")) == 2
    assert all(text.endswith(".000Z") for text in reply.texts("Contents/LastModified"))


def test_delimiter_and_prefix(filled):
    reply = filled.send("GET", None, {"delimiter": "/"})
    assert reply.texts("Contents/Key") == ["a", "b", "d"]
    assert reply.texts("CommonPrefixes/Prefix") == ["a/", "c/"]
    reply = filled.send("GET", None, {"delimiter": "/", "prefix": "a/"})
    assert reply.texts("Contents/Key") == ["a/1", "a/2"]
    assert reply.texts("CommonPrefixes/Prefix") == ["a/b/"]
    assert filled.send("GET", None, {"prefix": "zz"}).texts("Contents/Key") == []


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_with_a_delimiter_count_a_prefix_once(filled, size):
    pages = _pages(filled, **{"delimiter": "/", "max-keys": str(size)})
    assert [key for keys, _ in pages for key in keys] == ["a", "b", "d"]
    assert [prefix for _, prefixes in pages for prefix in prefixes] == ["a/", "c/"]
    assert all(len(keys) + len(prefixes) <= size for keys, prefixes in pages)


@pytest.mark.parametrize("text", ["0", "1001", "-1", "x"])
def test_max_keys_out_of_range(client, text):
    reply = client.send("GET", None, {"max-keys": text})
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_encoding_type_url(client):
    key = "ü a+b/%\x01&"
    client.put(key)
    reply = client.send("GET", None, {"encoding-type": "url", "prefix": "ü a+", "delimiter": "+"})
    assert reply.texts("CommonPrefixes/Prefix") == ["%C3%BC%20a%2B"] or reply.texts(
        "Contents/Key"
    ) == ["%C3%BC%20a%2Bb/%25%01%26"]
    whole = client.send("GET", None, {"encoding-type": "url"})
    assert [unquote(text) for text in whole.texts("Contents/Key")] == [key]
    assert whole.texts("EncodingType") == ["url"]
    assert client.send("GET", None, {"encoding-type": "base64"}).code == "InvalidArgument"
    plain = client.send("GET")
    assert b"&#x1;" in plain.body
    assert b"&amp;" in plain.body


class TestV2:
    def test_pages_by_token(self, filled):
        query = {"list-type": "2", "max-keys": "3", "encoding-type": "url"}
        first = filled.send("GET", None, query)
        assert first.texts("Contents/Key") == KEYS[:3]
        assert first.texts("KeyCount") == ["3"]
        assert first.texts("Contents/Owner") == []
        token = first.texts("NextContinuationToken")[0]
        assert token.replace("-", "").replace("_", "").isalnum()
        # The token wins over start-after.
        query |= {"continuation-token": token, "start-after": "zzz", "fetch-owner": "true"}
        second = filled.send("GET", None, query)
        assert second.texts("Contents/Key") == KEYS[3:6]
        assert second.texts("ContinuationToken") == [token]
        assert len(second.texts("Contents/Owner/ID")) == 3

    def test_start_after_and_prefixes_count(self, filled):
        query = {"list-type": "2", "start-after": "a/2", "delimiter": "/"}
        reply = filled.send("GET", None, query)
        assert reply.texts("Contents/Key") == ["b", "d"]
        assert reply.texts("CommonPrefixes/Prefix") == ["a/", "c/"]
        assert reply.texts("KeyCount") == ["4"]

    @pytest.mark.parametrize("token", ["%%%", "a", "\u00fc", "_-8"])
    def test_a_made_up_token(self, client, token):
        reply = client.send("GET", None, {"list-type": "2", "continuation-token": token})
        assert (reply.status, reply.code) == (400, "InvalidArgument")


class TestUploads:
    def test_sorted_by_key_then_id_and_paged(self, client):
        made = sorted((key, client.initiate(key)) for key in ("a", "b/1", "b/1", "b/2", "c"))
        seen: list[tuple[str, str]] = []
        query = {"uploads": None, "max-uploads": "2"}
        while True:
            reply = client.send("GET", None, query)
            seen += zip(reply.texts("Upload/Key"), reply.texts("Upload/UploadId"), strict=True)
            if reply.texts("IsTruncated") == ["false"]:
                break
            query["key-marker"] = reply.texts("NextKeyMarker")[0]
            query["upload-id-marker"] = reply.texts("NextUploadIdMarker")[0]
        assert seen == made

    def test_prefix_delimiter_and_markers(self, client):
        for key in ("a", "b/1", "b/2", "c"):
            client.initiate(key)
        reply = client.send("GET", None, {"uploads": None, "delimiter": "/"})
        assert reply.texts("Upload/Key") == ["a", "c"]
        assert reply.texts("CommonPrefixes/Prefix") == ["b/"]
        reply = client.send("GET", None, {"uploads": None, "prefix": "b/"})
        assert reply.texts("Upload/Key") == ["b/1", "b/2"]
        # Without an id marker the key marker excludes its key; alone the id marker is nothing.
        reply = client.send("GET", None, {"uploads": None, "key-marker": "b/1"})
        assert reply.texts("Upload/Key") == ["b/2", "c"]
        reply = client.send("GET", None, {"uploads": None, "upload-id-marker": "F" * 32})
        assert len(reply.texts("Upload/Key")) == 4

    @pytest.mark.parametrize("size", ["1", "2"])
    def test_prefixes_over_pages(self, client, size):
        for key in ("a/1", "a/2", "b", "c/1"):
            client.initiate(key)
        query = {"uploads": None, "delimiter": "/", "max-uploads": size}
        keys: list[str] = []
        prefixes: list[str] = []
        while True:
            reply = client.send("GET", None, query)
            keys += reply.texts("Upload/Key")
            prefixes += reply.texts("CommonPrefixes/Prefix")
            if reply.texts("IsTruncated") == ["false"]:
                break
            query["key-marker"] = reply.texts("NextKeyMarker")[0]
            query["upload-id-marker"] = reply.texts("NextUploadIdMarker")[0]
        assert (keys, prefixes) == (["b"], ["a/", "c/"])


texts = st.text(alphabet="ab/\u00e9\U0001f600\x7f", min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    keys=st.sets(texts, max_size=25),
    prefix=st.text(alphabet="ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "a", "b/"]),
    limit=st.integers(1, 5),
)
def test_pages_together_are_the_whole_list(keys, prefix, delimiter, limit):
    stored = sorted(keys, key=str.encode)

    def fetch(first, end, most):
        found = [k for k in stored if first <= k.encode() and (end is None or k.encode() < end)]
        return [Listed(key, "Normal", 0, "", 0.0, "Standard") for key in found[:most]]

    wanted: list[str] = []
    for key in stored:
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if at < 0 else key[: at + len(delimiter)]
        if key.startswith(prefix) and entry not in wanted:
            wanted.append(entry)
    seen: list[str] = []
    marker = ""
    while True:
        page = page_of(fetch, prefix=prefix, delimiter=delimiter, marker=marker, limit=limit)
        names = [item.key for item in page.entries] + page.prefixes
        assert len(names) <= limit
        seen += names
        if page.last is None:
            break
        assert page.last.encode() > marker.encode()
        marker = page.last
    assert sorted(seen) == sorted(wanted)


@given(st.text(max_size=4), st.text(max_size=8))
def test_beyond_is_above_every_key_with_the_prefix(prefix, rest):
    end = beyond(prefix.encode())
    if prefix:
        assert end is not None
        assert (prefix + rest).encode() < end
    else:
        assert end is None
