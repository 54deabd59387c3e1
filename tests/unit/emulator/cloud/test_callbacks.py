"""Upload callbacks: a real POST, its answer for ours, 203 when it fails, the object always kept."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import urllib.request

import pytest

from ossmedia.emulator import callbacks


class Receiver(http.server.BaseHTTPRequestHandler):
    """An application server that keeps what it was sent."""

    seen: list
    reply = (200, b'{"ok": true}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers.items()), body))
        status, content = self.reply
        self.send_response(status)
        if status != 299:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    kind = type("OneReceiver", (Receiver,), {"seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kind.url = f"http://127.0.0.1:{server.server_port}"
    yield kind
    server.shutdown()
    thread.join()
    server.server_close()


def encoded(**values):
    return base64.b64encode(json.dumps(values).encode()).decode()


def test_put_with_a_form_callback(client, receiver):
    callback = encoded(
        callbackUrl=f"{receiver.url}/done%20it?x=%31",
        callbackBody="b=${bucket}&k=${object}&s=${size}&t=${mimeType}&v=${x:cam}&c=${crc64}"
        "&e=${etag}&o=${operation}&w=${imageInfo.width}&r=${reqId}",
    )
    variables = base64.b64encode(b'{"x:cam": "gate 1&2"}').decode()
    reply = client.put(
        "a/b c",
        b"content",
        **{
            "x-oss-callback": callback,
            "x-oss-callback-var": variables,
            "content-type": "video/mp4",
        },
    )
    assert (reply.status, reply.body) == (200, b'{"ok": true}')
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["x-oss-hash-crc64ecma"]
    path, headers, body = receiver.seen[0]
    assert path == "/done%20it?x=%31"
    assert headers["User-Agent"] == "http-client/0.0.1"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    crc, etag = reply.headers["x-oss-hash-crc64ecma"], reply.headers["ETag"].strip('"')
    assert body.decode() == (
        f"b=cams&k=a%2Fb%20c&s=7&t=video%2Fmp4&v=gate%201%262&c={crc}&e={etag}&o=PutObject&w=&r="
        f"{reply.headers['x-oss-request-id']}"
    )


def test_the_signature_is_the_services(client, receiver):
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding

    url = f"{receiver.url}/a%20b/c?d=%20e"
    client.put("k", b"x", **{"x-oss-callback": encoded(callbackUrl=url, callbackBody="${object}")})
    _, headers, body = receiver.seen[0]
    key_url = base64.b64decode(headers["x-oss-pub-key-url"]).decode()
    assert key_url.startswith(client.emulator.endpoint)
    with urllib.request.urlopen(key_url) as answer:
        key = serialization.load_pem_public_key(answer.read())
    signature = base64.b64decode(headers["authorization"])
    signed = b"/a b/c?d=%20e\n" + body
    key.verify(signature, signed, padding.PKCS1v15(), hashes.MD5())


def test_complete_with_a_json_callback_and_five_urls(client, receiver):
    upload = client.initiate("m")
    etag = client.part("m", upload, 1, b"x").headers["ETag"]
    dead = "http://127.0.0.1:1"
    callback = encoded(
        callbackUrl=f"{dead};{receiver.url}/",
        callbackHost="app.example",
        callbackBody='{"k":${object},"s":${size},"v":${x:a}}',
        callbackBodyType="application/json",
    )
    reply = client.complete("m", upload, [(1, etag)], **{"x-oss-callback": callback})
    assert reply.body == b'{"ok": true}'
    assert reply.headers["ETag"].endswith('-1"')
    _, headers, body = receiver.seen[0]
    assert headers["Host"] == "app.example"
    assert json.loads(body) == {"k": "m", "s": 1, "v": ""}


@pytest.mark.parametrize(
    "reply",
    [(500, b"{}"), (200, b"no json"), (200, b""), (299, b"{}"), (302, b"{}")],
    ids=["500", "text", "empty", "no-length", "redirect"],
)
def test_a_failing_callback_is_203_and_the_object_stays(client, receiver, reply):
    receiver.reply = reply
    callback = encoded(callbackUrl=receiver.url, callbackBody="a=b")
    answer = client.put("k", b"content", **{"x-oss-callback": callback})
    assert answer.status == 203
    assert answer.xml.findtext("Code") == "CallbackFailed"
    assert answer.headers["ETag"]
    assert client.get("k").body == b"content"


def test_a_callback_server_that_does_not_answer(client, emulator, receiver):
    emulator.set_limits(callback_timeout_s=0.05)
    released = threading.Event()
    receiver.do_POST = lambda self: released.wait(10)
    callback = encoded(callbackUrl=receiver.url, callbackBody="a=b")
    answer = client.put("k", b"content", **{"x-oss-callback": callback})
    released.set()
    assert answer.status == 203
    assert client.get("k").body == b"content"


@pytest.mark.parametrize(
    "text",
    [
        "%%%",
        base64.b64encode(b"no json").decode(),
        base64.b64encode(b"[]").decode(),
        encoded(callbackBody="a"),
        encoded(callbackUrl="http://x"),
        encoded(callbackUrl="http://x", callbackBody=""),
        encoded(callbackUrl="http://x:port/", callbackBody="a"),
        encoded(callbackUrl="ftp://x/", callbackBody="a"),
        encoded(callbackUrl=";".join(["http://x"] * 6), callbackBody="a"),
        encoded(callbackUrl="http://x", callbackBody="${nonsense}"),
        encoded(callbackUrl="http://x", callbackBody="a", callbackBodyType="text/plain"),
        encoded(callbackUrl="http://x", callbackBody="a" * 5000),
    ],
)
def test_an_impossible_callback_is_refused_before_storing(client, text):
    reply = client.put("k", b"x", **{"x-oss-callback": text})
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert client.head("k").status == 404


def test_header_and_query_at_once(client):
    callback = encoded(callbackUrl="http://x", callbackBody="a")
    headers = {"x-oss-callback": callback}
    reply = client.send("PUT", "k", {"callback": callback}, headers, b"x")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_names_of_variables_may_lack_their_prefix():
    variables = base64.b64encode(b'{"cam": "1"}').decode()
    assert callbacks._variables(variables) == {"cam": "1"}


def test_a_url_without_scheme(client, receiver):
    url = receiver.url.removeprefix("http://")
    callback = encoded(callbackUrl=url, callbackBody="a=b")
    assert client.put("k", b"x", **{"x-oss-callback": callback}).body == b'{"ok": true}'


def test_post_object_with_a_callback(client, receiver):
    client.send("PUT", None, {"acl": None}, {"x-oss-acl": "public-read-write"})
    callback = encoded(callbackUrl=receiver.url, callbackBody="v=${x:cam}&k=${object}")
    fields = {"key": "k", "callback": callback, "x:cam": "7"}
    body = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    body += '--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--B--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=B"}
    reply = client.anonymous().send("POST", None, {}, headers, body.encode())
    assert (reply.status, reply.body) == (200, b'{"ok": true}')
    assert receiver.seen[0][2] == b"v=7&k=k"
