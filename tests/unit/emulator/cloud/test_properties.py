"""ACL, tags, symlinks, archives and copies."""

from __future__ import annotations

import pytest


def _tagging(**tags):
    items = "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in tags.items())
    return f"<Tagging><TagSet>{items}</TagSet></Tagging>".encode()


def test_object_acl(client):
    client.put("k", b"x")
    assert client.send("GET", "k", {"acl": None}).texts("AccessControlList/Grant") == ["default"]
    headers = {"x-oss-object-acl": "public-read"}
    assert client.send("PUT", "k", {"acl": None}, headers).status == 200
    grants = client.send("GET", "k", {"acl": None}).texts("AccessControlList/Grant")
    assert grants == ["public-read"]
    assert client.get("k").body == b"x"
    assert client.send("PUT", "k", {"acl": None}).code == "InvalidArgument"
    assert client.send("PUT", "none", {"acl": None}, headers).code == "NoSuchKey"


def test_tags(client):
    client.put("k", b"x", x_oss_tagging="cam=gate%201&day=1")
    reply = client.send("GET", "k", {"tagging": None})
    assert reply.texts("TagSet/Tag/Key") == ["cam", "day"]
    assert reply.texts("TagSet/Tag/Value") == ["gate 1", "1"]
    assert client.head("k").headers["x-oss-tagging-count"] == "2"
    assert client.send("PUT", "k", {"tagging": None}, body=_tagging(a="b")).status == 200
    assert client.send("GET", "k", {"tagging": None}).texts("TagSet/Tag/Key") == ["a"]
    assert client.send("DELETE", "k", {"tagging": None}).status == 204
    assert client.send("GET", "k", {"tagging": None}).texts("TagSet/Tag") == []
    assert client.get("k").body == b"x"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (_tagging(**{"a" * 129: "b"}), "InvalidTag"),
        (_tagging(a="b" * 257), "InvalidTag"),
        (_tagging(a="b?"), "InvalidTag"),
        (_tagging(**{f"k{n}": "v" for n in range(11)}), "InvalidTag"),
        (b"<Tagging/>", "MalformedXML"),
        (b"nonsense", "MalformedXML"),
    ],
)
def test_bad_tags(client, body, code):
    client.put("k", b"x")
    reply = client.send("PUT", "k", {"tagging": None}, body=body)
    assert (reply.status, reply.code) == (400, code)


def test_symlink(client):
    link = {"x-oss-symlink-target": "target%20file"}
    assert client.send("PUT", "link", {"symlink": None}, link).status == 200
    missing = client.get("link")
    assert (missing.status, missing.code) == (404, "SymlinkTargetNotExist")
    client.put("target file", b"content")
    reply = client.get("link")
    assert reply.body == b"content"
    assert reply.headers["x-oss-object-type"] == "Symlink"
    assert client.head("link").headers["Content-Length"] == "7"
    shown = client.send("GET", "link", {"symlink": None}).headers["x-oss-symlink-target"]
    assert shown == "target%20file"
    client.send("PUT", "link2", {"symlink": None}, {"x-oss-symlink-target": "link"})
    assert client.get("link2").code == "InvalidTargetType"
    assert client.send("GET", "target file", {"symlink": None}).status == 400
    assert client.send("PUT", "link3", {"symlink": None}).code == "InvalidObjectName"


def test_an_archived_object_is_read_after_restore(client):
    client.put("old", b"x", x_oss_storage_class="Archive")
    reply = client.get("old")
    assert (reply.status, reply.code) == (403, "InvalidObjectState")
    assert client.head("old").headers["x-oss-storage-class"] == "Archive"
    assert client.send("POST", "old", {"restore": None}).status == 202
    assert client.send("POST", "old", {"restore": None}).status == 200
    assert client.get("old").body == b"x"
    client.put("new", b"x")
    assert client.send("POST", "new", {"restore": None}).code == "OperationNotSupported"


class TestCopy:
    def test_content_and_metadata(self, emulator, client):
        put = client.put("a b", b"data" * 100, **{"content-type": "video/mp4", "x-oss-meta-c": "1"})
        headers = {"x-oss-copy-source": "/cams/a%20b", "x-oss-meta-c": "ignored"}
        reply = client.send("PUT", "copy", headers=headers, bucket="clips")
        assert reply.texts("ETag") == [put.headers["ETag"]]
        assert reply.headers["x-oss-hash-crc64ecma"] == put.headers["x-oss-hash-crc64ecma"]
        client.send("DELETE", "a b")
        got = client.send("GET", "copy", bucket="clips")
        assert got.body == b"data" * 100
        assert got.headers["Content-Type"] == "video/mp4"
        assert got.headers["x-oss-meta-c"] == "1"
        assert len(list(emulator.cloud.store.blobs.names())) == 1

    def test_replace(self, client):
        client.put("a", b"x", **{"content-type": "video/mp4", "x-oss-tagging": "a=b"})
        headers = {
            "x-oss-copy-source": "/cams/a",
            "x-oss-metadata-directive": "REPLACE",
            "x-oss-tagging-directive": "Replace",
            "content-type": "text/plain",
        }
        client.send("PUT", "b", headers=headers)
        assert client.head("b").headers["Content-Type"] == "text/plain"
        assert client.send("GET", "b", {"tagging": None}).texts("TagSet/Tag") == []

    def test_onto_itself_changes_metadata_only(self, emulator, client):
        client.append("log", 0, b"abc")
        headers = {"x-oss-copy-source": "/cams/log", "x-oss-meta-c": "2"}
        assert client.send("PUT", "log", headers=headers).status == 200
        head = client.head("log").headers
        assert head["x-oss-meta-c"] == "2"
        assert head["x-oss-object-type"] == "Appendable"
        assert client.append("log", 3, b"def").status == 200
        assert client.get("log").body == b"abcdef"

    def test_refusals(self, emulator, client):
        client.append("log", 0, b"abc")
        client.put("a", b"12345")

        def copy(source, key="new", **headers):
            named = {"x-oss-copy-source": source, **headers}
            reply = client.send("PUT", key, headers=named)
            return reply.status, reply.code

        assert copy("/cams/none") == (404, "NoSuchKey")
        assert copy("/nobody/a") == (404, "NoSuchBucket")
        assert copy("cams") == (400, "InvalidArgument")
        assert copy("/cams/log") == (400, "OperationNotSupported")
        assert copy("/cams/a", **{"x-oss-metadata-directive": "MAYBE"}) == (400, "InvalidArgument")
        failed = copy("/cams/a", **{"x-oss-copy-source-if-match": '"x"'})
        assert failed == (412, "PreconditionFailed")
        etag = client.head("a").headers["ETag"]
        assert copy("/cams/a", **{"x-oss-copy-source-if-none-match": etag})[0] == 304
        forbid = {"x-oss-forbid-overwrite": "true"}
        assert copy("/cams/a", "log", **forbid) == (409, "FileAlreadyExists")
        emulator.set_limits(max_copy_size=4)
        assert copy("/cams/a") == (400, "InvalidArgument")
