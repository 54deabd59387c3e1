"""PostObject: a browser's form."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest

BOUNDARY = "----boundary7MA4"


def form(fields, file=b"content", filename="clip.mp4", content_type="video/mp4", tail=""):
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file is not None:
        head = (
            f"--{BOUNDARY}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        )
        parts.append(head.encode() + file + b"\r\n")
    return b"".join(parts) + f"{tail}--{BOUNDARY}--\r\n".encode()


@pytest.fixture
def post(client):
    nobody = client.anonymous()

    def send(body, content_type=f"multipart/form-data; boundary={BOUNDARY}"):
        return nobody.send("POST", None, {}, {"content-type": content_type}, body)

    return send


@pytest.fixture
def signed(emulator):
    """Fields with a V1 signature over a policy of these conditions."""

    def make(*conditions, expires_in=600, **fields):
        moment = time.gmtime(emulator.cloud.clock.now() + expires_in)
        policy = {
            "expiration": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", moment),
            "conditions": [{"bucket": "cams"}, *conditions],
        }
        text = base64.b64encode(json.dumps(policy).encode()).decode()
        digest = hmac.digest(emulator.access_key_secret.encode(), text.encode(), "sha1")
        return {
            "key": "up/${filename}",
            **fields,
            "OSSAccessKeyId": emulator.access_key_id,
            "policy": text,
            "Signature": base64.b64encode(digest).decode(),
        }

    return make


def test_a_signed_form_stores_its_file(client, post, signed):
    data = bytes(range(256)) * 3000 + b"\r\n--" + BOUNDARY[:-1].encode() + b"\r\n"
    fields = signed(["starts-with", "$key", "up/"], **{"x-oss-meta-cam": "7"})
    reply = post(form(fields, data))
    assert (reply.status, reply.body) == (204, b"")
    got = client.get("up/clip.mp4")
    assert got.body == data
    assert got.headers["Content-Type"] == "video/mp4"
    assert got.headers["x-oss-meta-cam"] == "7"
    assert reply.headers["ETag"] == got.headers["ETag"]


@pytest.mark.parametrize("size", [0, 1, 5, 100])
def test_short_files_and_every_split_of_the_body(client, signed, size):
    body = form(signed(), b"x" * size)
    for step in (1, 7, 64):
        pieces = [body[start : start + step] for start in range(0, len(body), step)]
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        reply = client.anonymous().send("POST", None, {}, headers, iter(pieces))
        assert reply.status == 204
        assert client.get("up/clip.mp4").body == b"x" * size


def test_success_status_and_redirect(post, signed):
    reply = post(form(signed(success_action_status="201")))
    assert reply.status == 201
    assert reply.texts("Key") == ["up/clip.mp4"]
    assert reply.texts("Bucket") == ["cams"]
    assert post(form(signed(success_action_status="200"))).status == 200
    assert post(form(signed(success_action_status="999"))).status == 204
    redirect = post(form(signed(success_action_redirect="http://x.example/done?a=b")))
    assert redirect.status == 303
    assert redirect.headers["Location"] == "http://x.example/done?a=b"


def test_content_type_precedence(client, post, signed):
    post(form(signed(**{"Content-Type": "a/b"})))
    assert client.head("up/clip.mp4").headers["Content-Type"] == "a/b"
    post(form(signed(**{"Content-Type": "a/b", "x-oss-content-type": "c/d"})))
    assert client.head("up/clip.mp4").headers["Content-Type"] == "c/d"


def test_what_follows_the_file_is_ignored_but_not_a_second_file(client, post, signed):
    button = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nGo\r\n'
    assert post(form(signed(), tail=button)).status == 204
    second = button.replace("submit", "file")
    reply = post(form(signed(key="two"), tail=second))
    assert (reply.status, reply.code) == (400, "IncorrectNumberOfFilesInPOSTRequest")
    assert client.head("two").status == 404
    none = post(form(signed(), file=None))
    assert none.code == "IncorrectNumberOfFilesInPOSTRequest"


def test_the_policy_is_kept(client, post, signed):
    reply = post(form(signed(["content-length-range", 1, 5])))
    assert (reply.status, reply.code) == (400, "EntityTooLarge")
    assert post(form(signed(["content-length-range", 10, 50]))).code == "EntityTooSmall"
    assert post(form(signed(["eq", "$key", "other"]))).code == "AccessDenied"
    assert post(form(signed(expires_in=-10))).code == "AccessDenied"
    assert client.send("GET").texts("Contents/Key") == []


def test_a_wrong_signature_and_half_a_signature(post, signed):
    fields = signed()
    fields["Signature"] = base64.b64encode(bytes(20)).decode()
    reply = post(form(fields))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    del fields["Signature"]
    assert post(form(fields)).code == "InvalidArgument"


def test_without_a_policy_the_bucket_must_be_open(client, post):
    assert post(form({"key": "k"})).code == "AccessDenied"
    client.send("PUT", None, {"acl": None}, {"x-oss-acl": "public-read-write"})
    assert post(form({"key": "k"})).status == 204
    assert client.get("k").body == b"content"


def test_forbid_overwrite(client, post, signed):
    forbid = {"x-oss-forbid-overwrite": "true"}
    assert post(form(signed(**forbid))).status == 204
    assert post(form(signed(**forbid), b"new")).code == "FileAlreadyExists"
    assert client.get("up/clip.mp4").body == b"content"


def test_bad_bodies(post, signed):
    good = form(signed())
    wrong_type = post(good, "application/octet-stream")
    assert (wrong_type.status, wrong_type.code) == (400, "RequestIsNotMultiPartContent")
    assert post(good, "multipart/form-data").code == "RequestIsNotMultiPartContent"
    for bad in (good[:-6], b"junk" + good, good.replace(b"name=", b"nome="), b""):
        reply = post(bad)
        assert (reply.status, reply.code) == (400, "MalformedPOSTRequest"), bad[:40]
    long_head = good.replace(b'name="file"', b'name="file"; x="' + b"y" * 9000 + b'"')
    assert post(long_head).code == "MalformedPOSTRequest"


def test_limits(emulator, client, post, signed):
    long_field = post(form(signed(**{"x-oss-meta-a": "y" * (2 * 1024 * 1024 + 1)})))
    assert (long_field.status, long_field.code) == (400, "FieldItemTooLong")
    many = {f"x:f{n}": "y" * 2_000_000 for n in range(5)}
    assert post(form(signed(**many))).code == "MaxPOSTPreDataLengthExceededError"
    emulator.set_limits(max_object_size=10)
    assert post(form(signed(), b"x" * 11)).code == "EntityTooLarge"
    assert post(form(signed(), b"x" * 10)).status == 204
    assert post(form({"x": "y"})).code == "InvalidArgument"
    assert post(form(signed(key=""))).code == "InvalidObjectName"
