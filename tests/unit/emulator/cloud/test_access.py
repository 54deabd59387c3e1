"""Who may: policies first, then the ACL; and a refusal holds for every call of an upload."""

from __future__ import annotations

import base64
import hashlib
import socket

import pytest

from ossmedia.emulator.identities import Session


@pytest.fixture
def token_client(emulator, client_of):
    """A client with temporary credentials under the given statements."""
    made = []

    def make(*statements, duration=3600):
        cloud = emulator.cloud
        role = cloud.identities.find_role(emulator.role_arn)
        session = cloud.identities.issue_session(
            role,
            "cam-01",
            duration_seconds=duration,
            now=cloud.clock.now(),
            session_policy={"Version": "1", "Statement": list(statements)},
        )
        client = TokenClient(client_of(emulator), session)
        made.append(client)
        return client

    yield make
    for client in made:
        client.inner.connection.close()


class TokenClient:
    def __init__(self, inner, session: Session) -> None:
        self.inner = inner
        self.inner.key = (session.access_key_id, session.secret)
        self.token = session.token

    def send(self, method, key=None, query=None, headers=None, body=None, *, bucket="cams"):
        named = {**(headers or {}), "x-oss-security-token": self.token}
        return self.inner.send(method, key, query, named, body, bucket=bucket)


def allow(*actions, resource="acs:oss:*:*:cams/cam-01/*"):
    return {"Effect": "Allow", "Action": list(actions), "Resource": [resource]}


def denied(reply):
    return (reply.status, reply.code) == (403, "AccessDenied")


def test_a_token_reaches_its_prefix_only(token_client):
    camera = token_client(allow("oss:PutObject"))
    assert camera.send("PUT", "cam-01/a", body=b"x").status == 200
    assert denied(camera.send("PUT", "cam-02/a", body=b"x"))
    assert denied(camera.send("PUT", "cam-01/a", body=b"x", bucket="clips"))
    assert denied(camera.send("GET", "cam-01/a"))
    assert denied(camera.send("DELETE", "cam-01/a"))
    assert denied(camera.send("GET"))
    assert denied(camera.send("GET", bucket=None))


def test_every_call_of_an_upload_outside_the_prefix_is_refused(client, token_client):
    camera = token_client(allow("oss:PutObject", "oss:AbortMultipartUpload", "oss:ListParts"))
    upload = client.initiate("cam-02/m")
    etag = client.part("cam-02/m", upload, 1, b"x").headers["ETag"]
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    query = {"uploadId": upload}
    assert denied(camera.send("POST", "cam-02/m", {"uploads": None}))
    assert denied(camera.send("PUT", "cam-02/m", {"partNumber": "1", **query}, body=b"x"))
    assert denied(camera.send("POST", "cam-02/m", query, body=body))
    assert denied(camera.send("GET", "cam-02/m", query))
    assert denied(camera.send("DELETE", "cam-02/m", query))
    assert client.head("cam-02/m").status == 404
    assert client.complete("cam-02/m", upload, [(1, etag)]).status == 200


def test_delete_of_many_is_refused_when_one_key_is_not_allowed(client, token_client):
    camera = token_client(allow("oss:DeleteObject"))
    client.put("cam-01/a")
    client.put("cam-02/a")

    def delete(*keys):
        items = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
        body = f"<Delete>{items}</Delete>".encode()
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        return camera.send("POST", None, {"delete": None}, {"content-md5": digest}, body)

    assert denied(delete("cam-01/a", "cam-02/a"))
    assert client.head("cam-01/a").status == 200
    assert delete("cam-01/a").status == 200
    assert client.head("cam-01/a").status == 404


def test_a_copy_needs_both_sides(client, token_client):
    client.put("cam-02/src", b"x")
    client.put("cam-01/src", b"x")
    camera = token_client(allow("oss:PutObject", "oss:GetObject"))
    outside = {"x-oss-copy-source": "/cams/cam-02/src"}
    inside = {"x-oss-copy-source": "/cams/cam-01/src"}
    assert denied(camera.send("PUT", "cam-01/new", headers=outside))
    assert denied(camera.send("PUT", "cam-02/new", headers=inside))
    assert camera.send("PUT", "cam-01/new", headers=inside).status == 200


def test_list_is_bound_to_its_prefix(client, token_client):
    client.put("cam-01/a")
    statement = allow("oss:ListObjects", resource="acs:oss:*:*:cams")
    statement["Condition"] = {"StringLike": {"oss:Prefix": ["cam-01/*"]}}
    camera = token_client(statement)
    reply = camera.send("GET", None, {"prefix": "cam-01/"})
    assert reply.texts("Contents/Key") == ["cam-01/a"]
    assert denied(camera.send("GET", None, {"prefix": "cam-02/"}))
    assert denied(camera.send("GET"))


def test_a_token_ends_and_is_bound_to_its_key(emulator, token_client):
    camera = token_client(allow("oss:PutObject"), duration=900)
    emulator.cloud.clock.offset_s = 850
    # The client's own clock stays, so the skew limit is not reached.
    assert camera.send("PUT", "cam-01/a", body=b"x").status == 200
    emulator.cloud.clock.offset_s = 0
    other = token_client(allow("oss:PutObject"))
    camera.token, good = other.token, camera.token
    assert camera.send("PUT", "cam-01/a").code == "AccessKeyIdAndSecurityTokenNotMatch"
    camera.token = "nonsense"
    assert camera.send("PUT", "cam-01/a").code == "InvalidSecurityToken"
    camera.token = good
    session = emulator.cloud.identities.find_session(camera.inner.key[0])
    emulator.cloud.identities.add_session(session._replace(expires_at=0.0))
    assert camera.send("PUT", "cam-01/a").code == "SecurityTokenExpired"


class TestAcl:
    def test_private(self, client):
        client.put("k", b"x")
        reply = client.anonymous().get("k")
        assert denied(reply)
        assert "bucket acl" in reply.texts("Message")[0]

    def test_public_read(self, client):
        client.put("k", b"x")
        client.send("PUT", None, {"acl": None}, {"x-oss-acl": "public-read"})
        nobody = client.anonymous()
        assert nobody.get("k").body == b"x"
        assert nobody.head("k").status == 200
        assert denied(nobody.put("k", b"y"))
        assert denied(nobody.send("GET", None, {"acl": None}))
        overridden = nobody.send("GET", "k", {"response-content-type": "text/html"})
        assert (overridden.status, overridden.code) == (400, "InvalidRequest")

    def test_public_read_write(self, client):
        client.send("PUT", None, {"acl": None}, {"x-oss-acl": "public-read-write"})
        nobody = client.anonymous()
        assert nobody.put("k", b"x").status == 200
        assert nobody.append("log", 0, b"x").status == 200
        assert nobody.send("DELETE", "k").status == 204

    def test_the_object_comes_before_the_bucket(self, client):
        client.put("open", b"x", x_oss_object_acl="public-read")
        client.put("shut", b"x", x_oss_object_acl="private")
        nobody = client.anonymous()
        assert nobody.get("open").status == 200
        client.send("PUT", None, {"acl": None}, {"x-oss-acl": "public-read"})
        refused = nobody.get("shut")
        assert denied(refused)
        assert "object acl" in refused.texts("Message")[0]


def test_the_owner_may_everything(emulator, client, client_of):
    emulator.cloud.identities.add_access_key("owner", "sk", kind="root", policies=())
    owner = client.as_caller("owner", "sk")
    assert owner.put("k", b"x").status == 200
    assert owner.send("PUT", bucket="owners-own").status == 200
    assert owner.send("GET", bucket=None).status == 200


def test_reads_look_for_the_bucket_first_and_writes_for_the_key(client):
    stranger = client.as_caller("nobody", "sk")
    assert stranger.send("GET", "k", bucket="missing").code == "NoSuchBucket"
    assert stranger.send("PUT", "k", body=b"x", bucket="missing").code == "InvalidAccessKeyId"


def test_a_wrong_signature_tells_what_was_expected(client):
    reply = client.as_caller(client.key[0], "wrong").put("k", b"x")
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    assert reply.texts("StringToSign")[0].startswith("OSS4-HMAC-SHA256\n")
    assert client.head("k").status == 404


def test_a_refused_body_is_not_read(emulator, client):
    stranger = client.as_caller(client.key[0], "wrong")
    with stranger.raw("PUT", "k", 500_000_000, b"x" * 1000) as connection:
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"connection: close" in answer
    assert emulator.counters()["bytes_received"] == 0


def test_a_refused_short_body_keeps_the_connection(client):
    client.append("log", 0, b"abc")
    for _ in range(3):
        assert client.append("log", 9, b"x" * 1000).headers["Connection"] == "keep-alive"
    assert client.emulator.counters()["connections"] == 1


def test_a_client_may_finish_sending_after_an_early_refusal(client):
    """The answer must survive although the client reads it only after its last byte."""
    stranger = client.as_caller(client.key[0], "wrong")
    with stranger.raw("PUT", "k", 3_000_000, b"") as connection:
        connection.settimeout(20)
        connection.sendall(b"x" * 3_000_000)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"</Error>")
