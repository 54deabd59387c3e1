"""Every way to name an endpoint, on the wire: path style, virtual host, CNAME, IPv6, and through a
CONNECT proxy."""

import socket
import threading

import pytest

from ossmedia import Bucket, Credentials, Retry, errors
from ossmedia.emulator.serve import Emulator

ONCE = Retry(attempts=1)


class Proxy:
    """A CONNECT proxy that takes every name to one place and remembers what was asked."""

    def __init__(self, port, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.target, self.answer, self.asked = port, answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def serve(self):
        threads = []
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self.tunnel, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def tunnel(self, client):
        with client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = client.recv(1000)
                if not piece:
                    return
                head += piece
            self.asked.append(head.split(b"\r\n")[0].decode())
            client.sendall(self.answer)
            if b" 200 " not in self.answer:
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                back = threading.Thread(target=pump, args=(server, client))
                back.start()
                pump(client, server)
                back.join()


def pump(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def round_trip(cloud, **options):
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    with Bucket("cams", region=cloud.region, credentials=key, retry=ONCE, **options) as bucket:
        with bucket.open("where/it is+%.txt", "wb") as f:
            f.write(b"here")
        with bucket.open("where/it is+%.txt") as f:
            assert f.read() == b"here"
        assert [found.key for found in bucket.list("where/")] == ["where/it is+%.txt"]
        bucket.delete("where/it is+%.txt")


def port_of(cloud):
    return int(cloud.endpoint.rsplit(":", 1)[1])


def test_path_style(oss_emulator):
    round_trip(oss_emulator, endpoint=oss_emulator.endpoint)
    round_trip(oss_emulator, endpoint=oss_emulator.endpoint, signature="v1")


@pytest.mark.parametrize(
    ("options", "host"),
    [
        (
            {"endpoint": "http://oss-cn-hangzhou.aliyuncs.com"},
            "cams.oss-cn-hangzhou.aliyuncs.com:80",
        ),
        (
            {"endpoint": "http://oss-cn-hangzhou.aliyuncs.com:8080", "internal": True},
            "cams.oss-cn-hangzhou-internal.aliyuncs.com:8080",
        ),
        (
            {"endpoint": "http://oss-accelerate.aliyuncs.com"},
            "cams.oss-accelerate.aliyuncs.com:80",
        ),
    ],
    ids=["public", "internal", "accelerate"],
)
@pytest.mark.parametrize("signature", ["v4", "v1"])
def test_virtual_host_through_a_proxy(oss_emulator, options, host, signature):
    with Proxy(port_of(oss_emulator)) as proxy:
        proxied = {"proxy": f"http://127.0.0.1:{proxy.port}", "signature": signature}
        round_trip(oss_emulator, **proxied, **options)
    assert proxy.asked
    assert set(proxy.asked) == {f"CONNECT {host} HTTP/1.1"}


def test_no_proxy_from_the_environment(oss_emulator, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    round_trip(oss_emulator, endpoint=oss_emulator.endpoint)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 no\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<html",
        b"",
        b"garbage\r\n\r\n",
    ],
    ids=["407", "403", "closes", "garbage"],
)
def test_a_proxy_that_refuses(oss_emulator, answer):
    key = Credentials(oss_emulator.access_key_id, oss_emulator.access_key_secret)
    with Proxy(port_of(oss_emulator), answer) as proxy:
        with Bucket(
            "cams",
            endpoint="http://oss-cn-hangzhou.aliyuncs.com",
            region="cn-hangzhou",
            credentials=key,
            proxy=f"http://127.0.0.1:{proxy.port}",
            retry=ONCE,
        ) as bucket:
            with pytest.raises(errors.OssMediaError) as caught:
                bucket.stat("x")
    assert isinstance(caught.value, errors.NetworkError | errors.ProtocolError)


def test_cname():
    with Emulator(buckets=["cams"], cnames={"localhost": "cams"}) as cloud:
        round_trip(cloud, endpoint=f"http://localhost:{port_of(cloud)}", cname=True)


def test_ipv6_literal():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with Emulator(host="::1", buckets=["cams"]) as cloud:
        assert "[::1]" in cloud.endpoint
        round_trip(cloud, endpoint=cloud.endpoint)
