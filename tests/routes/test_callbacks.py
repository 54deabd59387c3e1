"""Upload callbacks, whole: a camera stores with the headers it was given, the local cloud calls and
signs, the server looks. And callbacks by strangers, whose signature holds as well."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ossmedia import AppServerCredentials, Bucket, CallbackFailed, Credentials, Spool
from tests.routes.archive_rig import Site, Viewer
from tests.unit.server.rig import Answer, send

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # oss2 leaves answers unread
PATH = "/v1/callbacks/oss"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class World:
    """A server that OSS may call, a camera, and the key the cloud signs with."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.key = site.device("cam-1")
        self.provider = AppServerCredentials(site.url, "cam-1", self.key, allow_insecure=True)
        self.provider()
        self.headers: dict[str, str] = self.provider.place["callback"]
        cloud = site.cloud
        self.bucket = Bucket(
            "cams", endpoint=cloud.endpoint, region=cloud.region, credentials=self.provider
        )
        variables = json.loads(base64.b64decode(self.headers["x-oss-callback-var"]))
        self.session: str = variables["x:session"]
        self.signer = cloud.cloud.callback_key

    def put(self, key: str, data: bytes = b"video", **options: Any) -> None:
        with self.bucket.open(key, "wb", headers=self.headers, **options) as f:
            f.write(data)

    def call(self, signer: Any = None, path: str = PATH, **changed: Any) -> Answer:
        """A callback as the cloud would sign it, with what is changed."""
        told = {"bucket": "cams", "object": "cams/cam-1/a.mp4", "session": self.session, **changed}
        body = json.dumps({name: value for name, value in told.items() if value is not None})
        return self.post(body.encode(), signer, path)

    def post(self, body: bytes, signer: Any = None, path: str = PATH, kind: str = "") -> Answer:
        headers = (signer or self.signer).headers(path, body)
        headers["Content-Type"] = kind or "application/json"
        return send(self.site.url, "POST", path, body, headers)

    def known(self) -> list[str]:
        """Keys in the index."""
        rows = self.site.archive.catalogue.listing(None, None, 200, None)[0]
        return sorted(row.key for row in rows)


@pytest.fixture
def world(cloud: Any, tmp_path: Path) -> Iterator[World]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}{PATH}"
    tables = {"http": {"port": port}, "recordings": {"callback_url": url}}
    with Site(cloud, tmp_path, **tables) as site:
        made = World(site)
        yield made
        made.bucket.close()


def test_a_stored_object_is_known_at_once(world: World) -> None:
    world.put("cams/cam-1/clip.mp4", b"video")
    assert world.known() == ["cams/cam-1/clip.mp4"]
    row = world.site.archive.catalogue.listing(["cam-1"], None, 9, None)[0][0]
    assert (row.size, row.camera) == (5, "cam-1")
    known = world.site.archive.index.get(row.id)
    assert known is not None
    assert known.seen_by == "callback"
    assert known.crc64, "it was looked at"


def test_a_stored_object_of_several_parts_is_known_at_once(world: World) -> None:
    """OSS calls back at the completion, so that is where it has to be told."""
    world.put("cams/cam-1/long.mp4", b"video" * 200_000, block_size=102_400)
    assert world.known() == ["cams/cam-1/long.mp4"]
    row = world.site.archive.catalogue.listing(["cam-1"], None, 9, None)[0][0]
    assert row.size == 1_000_000
    known = world.site.archive.index.get(row.id)
    assert known is not None
    assert known.seen_by == "callback"


def test_so_is_one_that_waited_in_the_spool(world: World, tmp_path: Path) -> None:
    cloud = world.site.cloud
    where = {"endpoint": cloud.endpoint, "region": cloud.region}
    with (
        Spool(tmp_path / "spool") as spool,
        Bucket("cams", **where, credentials=world.provider, spool=spool) as bucket,
    ):
        for key, size in (("short", 5), ("long", 300_000)):
            options = {"headers": world.headers, "block_size": 102_400}
            with bucket.open(f"cams/cam-1/{key}.mp4", "wb", **options) as f:
                f.write(b"v" * size)
        assert spool.drain(30)
    assert world.known() == ["cams/cam-1/long.mp4", "cams/cam-1/short.mp4"]


def test_a_put_of_bytes_calls_back_too(world: World) -> None:
    assert world.bucket.put("cams/cam-1/put.mp4", b"v", headers=world.headers).size == 1
    assert world.known() == ["cams/cam-1/put.mp4"]


def test_a_callback_that_fails_keeps_nothing_in_the_spool(world: World, tmp_path: Path) -> None:
    """203: the objects are stored, each once, and the spool lets go of them."""
    cloud = world.site.cloud
    how = {"callbackUrl": f"http://127.0.0.1:{_free_port()}/", "callbackBody": "a=b"}
    headers = {"x-oss-callback": base64.b64encode(json.dumps(how).encode()).decode()}
    where = {"endpoint": cloud.endpoint, "region": cloud.region}
    account = Credentials(cloud.access_key_id, cloud.access_key_secret)
    cloud.reset_counters()
    with (
        Spool(tmp_path / "spool") as spool,
        Bucket("cams", **where, credentials=account, spool=spool) as bucket,
    ):
        for key, size in (("short", 5), ("long", 300_000)):
            with bucket.open(key, "wb", headers=headers, block_size=102_400) as f:
                f.write(b"v" * size)
        assert spool.drain(30)
        assert {one.receipt.size for one in spool.receipts()} == {5, 300_000}
    made = cloud.counters()["requests"]
    assert (made["PutObject"], made["CompleteMultipartUpload"]) == (1, 1)


def test_no_callback_is_offered_where_none_is_set_up(cloud: Any, tmp_path: Path) -> None:
    with Site(cloud, tmp_path) as site:
        provider = AppServerCredentials(
            site.url, "cam-1", site.device("cam-1"), allow_insecure=True
        )
        provider()
        assert "callback" not in provider.place


def test_the_same_callback_again_changes_nothing(world: World) -> None:
    world.put("cams/cam-1/a.mp4")
    (before,) = world.site.archive.catalogue.listing(None, None, 9, None)[0]
    row = world.site.archive.index.get(before.id)
    for _ in range(5):
        assert world.call().json == {"recorded": True}
    assert world.site.archive.index.get(before.id) == row


def test_an_old_callback_does_not_bring_back_what_was_deleted(world: World) -> None:
    world.put("cams/cam-1/a.mp4")
    (row,) = world.site.archive.catalogue.listing(None, None, 9, None)[0]
    assert world.site.archive.delete([row.id]) is True
    assert world.call().json == {"recorded": False}
    assert world.known() == []


def test_what_a_callback_says_of_the_object_is_not_believed(world: World) -> None:
    world.site.store("cams/cam-1/a.mp4", b"12345")
    answer = world.call(size=10**12, etag="FORGED", crc64="1", mimeType="text/html")
    assert answer.json == {"recorded": True}
    (row,) = world.site.archive.catalogue.listing(None, None, 9, None)[0]
    assert (row.size, row.content_type) == (5, "video/mp4")


def test_a_form_is_read_as_well(world: World) -> None:
    world.site.store("cams/cam-1/a.mp4")
    body = f"bucket=cams&object=cams%2Fcam-1%2Fa.mp4&session={world.session}".encode()
    answer = world.post(body, kind="application/x-www-form-urlencoded")
    assert answer.json == {"recorded": True}


class Stranger:
    """Another key pair, at an address of its own choice."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def headers(self, path: str, body: bytes) -> dict[str, str]:
        text = path.encode() + b"\n" + body
        signature = self.private.sign(text, padding.PKCS1v15(), hashes.MD5())
        return {
            "authorization": base64.b64encode(signature).decode(),
            "x-oss-pub-key-url": base64.b64encode(self.url.encode()).decode(),
        }


def test_strangers(world: World) -> None:
    """Each correctly signed by OSS, or by somebody: nothing of it is noted."""
    site = world.site
    site.device("cam-2")
    site.device("cam-10")
    for key in ("cams/cam-1/a.mp4", "cams/cam-2/a.mp4", "cams/cam-10/a.mp4", "elsewhere/a.mp4"):
        site.store(key)
    mark = world.session.partition(".")[2]
    refused = {
        "a foreign bucket": {"bucket": "clips"},
        "another camera's key": {"object": "cams/cam-2/a.mp4"},
        "a neighbour's key": {"object": "cams/cam-10/a.mp4"},
        "a key of nobody": {"object": "elsewhere/a.mp4"},
        "a way out": {"object": "cams/cam-1/../cam-2/a.mp4", "session": f"cam-2.{mark}"},
        "the prefix itself": {"object": "cams/cam-1"},
        "no session": {"session": None},
        "an empty session": {"session": ""},
        "another device's session": {"session": f"cam-2.{mark}"},
        "an unknown device's session": {"session": f"cam-9.{mark}"},
        "nobody's session": {"session": f".{mark}"},
        "a cut session": {"session": world.session[:-1]},
        "a long session": {"session": world.session + "0" * 500},
        "a session that is no text": {"session": 5},
        "an object that is no text": {"object": ["cams/cam-1/a.mp4"]},
        "a NUL": {"object": "cams/cam-1/a\0.mp4"},
        "half a character": {"object": "cams/cam-1/\ud800"},
        "a long key": {"object": "cams/cam-1/" + "x" * 1024},
    }
    for case, changed in refused.items():
        assert world.call(**changed).code == "callback-refused", case
    for body in (b"", b"[]", b"null", b"{", b"\xff", b"[" * 60_000):
        assert world.post(body).code == "callback-refused", body[:10]
    assert world.known() == []


def test_signatures_that_do_not_hold(world: World) -> None:
    site = world.site
    site.store("cams/cam-1/a.mp4")
    good = world.signer.url
    for url in (good, "http://127.0.0.1:9/k.pem", "https://gosspublic.alicdn.com/k.pem", ""):
        assert world.call(Stranger(url)).code == "callback-refused", url
    body = json.dumps(
        {"bucket": "cams", "object": "cams/cam-1/a.mp4", "session": world.session}
    ).encode()
    headers = world.signer.headers(PATH, body)
    bent = [
        {"authorization": headers["authorization"]},
        {"x-oss-pub-key-url": headers["x-oss-pub-key-url"]},
        {**headers, "authorization": "not base64!"},
        {**headers, "x-oss-pub-key-url": "\u00fc".encode().decode("latin-1")},
        {**headers, "authorization": headers["authorization"][:-4] + "AAAA"},
        world.signer.headers("/another/path", body),
        world.signer.headers(PATH, body + b" "),
        {},
    ]
    for case in bent:
        assert send(site.url, "POST", PATH, body, case).code == "callback-refused", case
    assert send(site.url, "POST", PATH + "?x=1", body, headers).code == "callback-refused"
    assert world.known() == []
    assert send(site.url, "POST", PATH, body, headers).json == {"recorded": True}


def test_a_stranger_without_a_mark_makes_the_server_fetch_nothing(world: World) -> None:
    """The key is fetched only for who was given a session."""
    site = world.site
    site.cloud.reset_counters()
    before = site.parts.callbacks._keys._fetched
    for number in range(20):
        stranger = Stranger(f"{site.cloud.endpoint}/k{number}.pem") if number < 2 else world.signer
        assert world.call(stranger, session=f"cam-1.{number}").code == "callback-refused"
    assert site.parts.callbacks._keys._fetched == before


def test_while_oss_does_not_answer_the_server_says_so(world: World) -> None:
    world.put("cams/cam-1/first.mp4")  # the key is known from here on
    world.site.cloud.fault("status", operation="HeadObject", times=0, status=503)
    with pytest.raises(CallbackFailed):
        world.put("cams/cam-1/a.mp4")
    world.site.cloud.clear_faults()
    assert world.known() == ["cams/cam-1/first.mp4"]
    assert world.call().json == {"recorded": True}


def test_a_proxy_may_change_the_path(cloud: Any, tmp_path: Path) -> None:
    """OSS signs the address it was told; a proxy in front may have taken a part of it away."""
    tables = {"recordings": {"callback_url": "https://cams.example.com/app%20x/v1/callbacks/oss"}}
    with pytest.raises(ValueError, match=r"recordings\.callback_url: must be https://HOST/PATH"):
        Site(cloud, tmp_path, **tables)
    tables["recordings"]["callback_url"] = "https://cams.example.com/app/v1/callbacks/oss"
    with Site(cloud, tmp_path, **tables) as site:
        world = World(site)
        site.store("cams/cam-1/a.mp4")
        told = {"bucket": "cams", "object": "cams/cam-1/a.mp4", "session": world.session}
        body = json.dumps(told).encode()
        headers = world.signer.headers(f"/app{PATH}", body)
        assert send(site.url, "POST", PATH, body, headers).json == {"recorded": True}
        headers = world.signer.headers(PATH, body)
        assert send(site.url, "POST", PATH, body, headers).code == "callback-refused"
        world.bucket.close()


def test_a_disabled_camera_is_still_below_its_prefix_only(world: World) -> None:
    """What it stored while it was allowed to is a recording; nothing else becomes one."""
    world.site.store("cams/cam-1/a.mp4")
    world.site.registry.disable("cam-1")
    assert world.call().json == {"recorded": True}
    assert world.call(object="cams/cam-2/a.mp4").code == "callback-refused"


def test_nobody_sees_the_mark_in_a_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    world.put("cams/cam-1/a.mp4")
    world.call(session=world.session + "x")
    assert world.session not in caplog.text
    viewer: Viewer = world.site.viewer("ann", "cam-1")
    assert world.session not in viewer.get("/v1/recordings").body.decode()
    assert b"PUBLIC" in world.signer.public_pem()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    assert (
        Stranger("x").private.public_key().public_bytes(serialization.Encoding.PEM, form)
        != world.signer.public_pem()
    )
