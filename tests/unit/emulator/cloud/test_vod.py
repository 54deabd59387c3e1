"""VOD in the local cloud: tickets that open one object, states, play information, search."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from xml.etree import ElementTree

import pytest

from ossmedia import Bucket, Credentials, errors
from ossmedia.emulator.canonical import parse_iso_time
from ossmedia.emulator.serve import Emulator
from tests.unit.emulator.cloud.vod_calls import VodCaller, decoded


@pytest.fixture
def vod(emulator):
    return VodCaller(emulator)


@pytest.fixture
def open_bucket():
    made = []

    def open_with(ticket, name=None):
        made.append(
            Bucket(
                name or ticket.bucket,
                endpoint=ticket.endpoint,
                region=ticket.auth["Region"],
                credentials=Credentials(*ticket.credentials),
            )
        )
        return made[-1]

    yield open_with
    for bucket in made:
        bucket.close()


def put(bucket, key, data, **options):
    with bucket.open(key, "wb", **options) as f:
        f.write(data)
    return f.result


def denied(action):
    with pytest.raises(errors.OssMediaError) as caught:
        action()
    error = caught.value.__cause__ or caught.value
    assert isinstance(error, errors.AccessDenied), error


def test_a_ticket(vod, emulator):
    before = emulator.cloud.clock.now()
    ticket = vod.video(FileName="D:\\clip.MP4")
    assert len(ticket.id) == 32
    assert ticket.endpoint == emulator.endpoint
    assert ticket.bucket.startswith("outin-")
    assert ticket.key.startswith("sv/")
    assert ticket.key.endswith(".mp4")
    assert ticket.auth["AccessKeyId"].startswith("STS.")
    assert (ticket.auth["Expiration"], ticket.auth["Region"]) == ("3600", "cn-hangzhou")
    end = parse_iso_time(ticket.auth["ExpireUTCTime"])
    assert before + 3600 <= end <= emulator.cloud.clock.now() + 3601
    assert vod.status(ticket) == "Uploading"


def test_a_ticket_opens_its_own_object_and_nothing_else(vod, open_bucket):
    ticket, other = vod.video(), vod.video()
    bucket = open_bucket(ticket)
    for key in (other.key, ticket.key + "x", ticket.key[:-1], "sv/x.mp4", "sv/*"):
        denied(lambda key=key: put(bucket, key, b"x"))
        denied(lambda key=key: put(bucket, key, bytes(300_000), block_size=102_400))
    denied(lambda: bucket.stat(ticket.key))
    denied(lambda: bucket.delete(ticket.key))
    denied(lambda: list(bucket.list()))
    denied(lambda: put(open_bucket(ticket, "cams"), ticket.key, b"x"))
    assert put(bucket, ticket.key, b"whole").size == 5
    many = open_bucket(other)
    assert put(many, other.key, bytes(300_000), block_size=102_400).size == 300_000
    with pytest.raises(OSError, match="boom"), many.open(other.key, "wb", block_size=102_400) as f:
        f.write(bytes(300_000))
        raise OSError("boom")


def test_the_bucket_is_vods_own(vod, emulator, client, open_bucket):
    emulator.set_limits(max_buckets=2)
    ticket = vod.video()
    listed = client.send("GET", bucket=None).texts("Buckets/Bucket/Name")
    assert listed == ["cams", "clips"]
    put(open_bucket(ticket), ticket.key, b"x")
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert client.send(method, ticket.key, bucket=ticket.bucket).status == 403
    for method in ("GET", "PUT", "DELETE"):
        assert client.send(method, bucket=ticket.bucket).status == 403
    anonymous = client.anonymous().send("GET", ticket.key, bucket=ticket.bucket)
    assert anonymous.status == 403


@pytest.mark.parametrize("life", [1, 3])
def test_life_of_a_ticket(vod, emulator, open_bucket, life):
    emulator.set_vod(ticket_s=life)
    ticket = vod.video()
    assert ticket.auth["Expiration"] == str(life)
    bucket = open_bucket(ticket)
    emulator.set_clock(life + 2)
    with pytest.raises(errors.StreamBroken) as caught:
        put(bucket, ticket.key, b"x")
    assert isinstance(caught.value.__cause__, errors.CredentialsExpired)
    fresh = vod.refresh(ticket)
    assert fresh[:4] == ticket[:4]
    assert fresh.auth["AccessKeyId"] != ticket.auth["AccessKeyId"]
    assert put(open_bucket(fresh), fresh.key, b"x").size == 1


def test_from_uploading_to_normal(vod, emulator, open_bucket):
    emulator.set_vod(processing_s=60)
    ticket = vod.video()
    assert vod.refused("GetPlayInfo", VideoId=ticket.id) == (403, "Forbidden.IllegalStatus")
    put(open_bucket(ticket), ticket.key, b"video")
    assert vod.status(ticket) == "UploadSucc"
    assert vod.refused("GetPlayInfo", VideoId=ticket.id) == (403, "Forbidden.IllegalStatus")
    emulator.set_clock(61)
    assert vod.status(ticket) == "Normal"
    assert vod.done("GetVideoInfo", VideoId=ticket.id)["Video"]["Size"] == 5


def test_parts_complete_the_upload_at_the_end_only(vod, open_bucket):
    ticket = vod.video()
    with open_bucket(ticket).open(ticket.key, "wb", block_size=102_400, blocks=2) as f:
        f.write(bytes(500_000))
        assert vod.status(ticket) == "Uploading"
    assert vod.status(ticket) == "Normal"


def test_an_appended_object_is_no_upload(vod, emulator, open_bucket):
    ticket = vod.video()
    with open_bucket(ticket).open(ticket.key, "ab") as f:
        f.write(b"x")
    assert vod.status(ticket) == "Uploading"
    assert any("appended" in guess for guess in emulator.cloud.guesses)


def test_play_information(vod, emulator, open_bucket):
    ticket = vod.video(CoverURL="http://cover.test/a.jpg")
    put(open_bucket(ticket), ticket.key, b"the film")
    answer = vod.done("GetPlayInfo", VideoId=ticket.id, OutputType="oss", AuthTimeout="60")
    assert answer["VideoBase"]["Status"] == "Normal"
    assert answer["VideoBase"]["CoverURL"] == "http://cover.test/a.jpg"
    (stream,) = answer["PlayInfoList"]["PlayInfo"]
    assert (stream["Format"], stream["Size"]) == ("mp4", 8)
    with urllib.request.urlopen(stream["PlayURL"]) as reply:
        assert reply.read() == b"the film"
    request = urllib.request.Request(stream["PlayURL"], headers={"Range": "bytes=4-7"})
    with urllib.request.urlopen(request) as reply:
        assert reply.read() == b"film"
    for changed in (stream["PlayURL"].replace(".mp4?", ".mp5?"), stream["PlayURL"][:-1]):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(changed)
        assert caught.value.code in (403, 404)
        caught.value.close()
    emulator.set_clock(62)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(stream["PlayURL"])
    assert caught.value.code == 403
    caught.value.close()
    none = vod.refused("GetPlayInfo", VideoId=ticket.id, Formats="m3u8")
    assert none == (404, "InvalidVideo.NoneStream")
    for timeout in ("0", "2592001", "x"):
        wrong = vod.refused("GetPlayInfo", VideoId=ticket.id, AuthTimeout=timeout)
        assert wrong == (400, "InvalidParameter")


def test_information_of_a_video(vod):
    given = {
        "Title": "gate ü",
        "Description": "seen",
        "Tags": "a,b",
        "CateId": "7",
        "ReferenceId": "my_clip-1",
        "UserData": '{"Extend":{"n":1}}',
        "TemplateGroupId": "VOD_NO_TRANSCODE",
    }
    ticket = vod.video(**given)
    shown = vod.done("GetVideoInfo", ReferenceId="my_clip-1")["Video"]
    assert shown["VideoId"] == ticket.id
    assert shown == {**shown, **given, "CateId": 7}
    assert (shown["AppId"], shown["RegionId"]) == ("app-1000000", "cn-hangzhou")
    again = vod.done("RefreshUploadVideo", ReferenceId="my_clip-1")
    assert decoded(again)[:4] == ticket[:4]


def test_images_and_attached_media(vod, open_bucket):
    image = vod.done("CreateUploadImage", ImageType="cover", ImageExt="jpg", Title="t")
    ticket = decoded(image)
    assert image["ImageURL"] == image["FileURL"]
    assert ticket.key.startswith("image/cover/")
    assert ticket.key.endswith(".jpg")
    put(open_bucket(ticket), ticket.key, b"jpg")
    (hit,) = vod.done("SearchMedia", SearchType="image", Fields="URL")["MediaList"]
    assert hit["Image"]["ImageId"] == ticket.id
    assert (hit["Image"]["Status"], hit["Image"]["URL"]) == ("Normal", image["FileURL"])
    media = vod.done("CreateUploadAttachedMedia", BusinessType="subtitle", MediaExt="vtt")
    assert decoded(media).key.endswith(".vtt")
    for id in (ticket.id, decoded(media).id):  # created anew, never refreshed
        refused = vod.refused("RefreshUploadVideo", VideoId=id)
        assert refused == (404, "InvalidVideo.NotFound")
        assert vod.refused("DeleteVideo", VideoIds=id) == (404, "InvalidVideo.NotFound")


def test_delete(vod, open_bucket, emulator):
    first, second = vod.video(), vod.video()
    put(open_bucket(first), first.key, b"x")
    answer = vod.done("DeleteVideo", VideoIds=f"{first.id},nobody,{second.id}")
    assert answer["NonExistVideoIds"] == ["nobody"]
    for ticket in (first, second):
        assert vod.refused("GetVideoInfo", VideoId=ticket.id) == (404, "InvalidVideo.NotFound")
    assert emulator.cloud.store.object(first.bucket, first.key) is None
    many = ",".join(["x"] * 21)
    assert vod.refused("DeleteVideo", VideoIds=many) == (400, "VideoIdsExceededMax")


def test_answers_in_xml(vod):
    for title in ("one", "two"):
        vod.video(Title=title)
    status, kind, body = vod.raw("SearchMedia", Format="XML", SortBy="Title:Asc")
    assert (status, kind) == (200, "text/xml;charset=utf-8")
    root = ElementTree.fromstring(body)
    assert root.tag == "SearchMediaResponse"
    assert [e.findtext("Video/Title") for e in root.iterfind("MediaList")] == ["one", "two"]
    status, _, body = vod.raw("GetVideoInfo", Format="XML", VideoId="x")
    assert (status, ElementTree.fromstring(body).findtext("Code")) == (404, "InvalidVideo.NotFound")


def test_who_may(vod, emulator):
    policy = {
        "Version": "1",
        "Statement": [
            {"Effect": "Allow", "Action": ["vod:CreateUploadVideo"], "Resource": "acs:vod:*:*:*"}
        ],
    }
    identities = emulator.cloud.identities
    identities.add_access_key("uploader", "sk", policies=(policy,))
    identities.add_access_key("owner", "sk", kind="root")
    narrow = VodCaller(emulator, ("uploader", "sk"))
    ticket = narrow.video()
    assert narrow.refused("RefreshUploadVideo", VideoId=ticket.id) == (403, "Forbidden")
    assert VodCaller(emulator, ("owner", "sk")).status(ticket) == "Uploading"
    assert VodCaller(emulator, ("uploader", "no")).refused("GetVideoInfo") == (
        400,
        "SignatureDoesNotMatch",
    )
    # A ticket's credentials open VOD's bucket, not VOD.
    assert VodCaller(emulator, ticket.credentials).refused("GetVideoInfo")[0] == 403
    assert vod.refused("TranscodeEverything") == (404, "InvalidApi.NotFound")


def test_media_tickets_and_settings_survive_a_restart(tmp_path, open_bucket):
    with Emulator(data=tmp_path) as first:
        first.set_vod(ticket_s=900, callback_url="http://127.0.0.1:1/", callback_key="k1")
        vod = VodCaller(first)
        ticket, done = vod.video(Title="kept"), vod.video()
        put(open_bucket(done), done.key, b"x")
        key = (first.access_key_id, first.access_key_secret)
    with Emulator(data=tmp_path) as second:
        vod = VodCaller(second, key)
        assert second.vod.settings.ticket_s == 900
        assert second.vod.settings.callback_key == "k1"
        assert vod.done("GetVideoInfo", VideoId=ticket.id)["Video"]["Title"] == "kept"
        assert vod.status(done) == "Normal"
        moved = ticket._replace(endpoint=second.endpoint)
        put(open_bucket(moved), ticket.key, b"y")
        assert vod.status(ticket) == "Normal"


def test_settings_by_the_control_api(emulator):
    def control(body=None):
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{emulator.control_endpoint}/vod", data) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    assert control()[1]["ticket_s"] == 3600
    status, shown = control({"ticket_s": 1, "callback_key": "secret1", "callback_url": "http://x"})
    assert (status, shown["ticket_s"], shown["callback_key"]) == (200, 1, True)
    for wrong, named in (
        ({"ticket_s": 0}, "ticket_s"),
        ({"ticket_s": 2.5}, "ticket_s"),
        ({"ticket_s": 3601}, "ticket_s"),
        ({"processing_s": -1}, "processing_s"),
        ({"callback_url": "ftp://x"}, "callback_url"),
        ({"callback_url": "http://u:p@x"}, "callback_url"),
        ({"callback_key": "a b"}, "callback_key"),
        ({"callback_key": 5}, "callback_key"),
        ({"other": 1}, "other"),
    ):
        status, answer = control({"processing_s": 5, **wrong})
        assert status == 400
        assert named in answer["error"]
    assert control()[1]["processing_s"] == 0
    assert "secret1" not in repr(emulator.vod.settings)
    emulator.reset()
    assert control()[1] == {**shown, "ticket_s": 3600, "callback_key": False, "callback_url": ""}
