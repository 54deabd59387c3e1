"""vod_api.py, vod_fields.py, vod_answers.py: limits before the call, grants, media, and no secret
anywhere."""

from __future__ import annotations

import logging
import pickle
import traceback
import urllib.request
from typing import Any

import pytest

from ossmedia import Credentials, Retry, UploadTicket, errors, vod, vod_answers
from ossmedia.vod_answers import UploadGrant
from ossmedia.vod_api import VodService, upload_policy, upload_token
from tests.unit.emulator.cloud.vod_calls import VodCaller

QUICK = Retry(attempts=3, base_s=0.001, cap_s=0.002)
VIDEO = ("gate", "clip.mp4")


@pytest.fixture
def cloud(oss_emulator):
    oss_emulator.reset()
    yield oss_emulator
    oss_emulator.reset()


def service(cloud, **changes):
    fields = {
        "credentials": Credentials(cloud.access_key_id, cloud.access_key_secret),
        "region": cloud.region,
        "endpoint": cloud.vod_endpoint,
        "retry": QUICK,
        **changes,
    }
    return VodService(**fields)


@pytest.fixture
def api(cloud):
    return service(cloud)


def upload(cloud, grant, data=b"content"):
    ticket = UploadTicket.from_json(
        grant.to_json(), allowed_hosts=(cloud.endpoint,), clock=cloud.cloud.clock
    )
    import io

    return vod.upload(io.BytesIO(data), ticket)


def test_from_create_to_delete(api, cloud):
    grant = api.create_upload_video(
        *VIDEO,
        file_size=7,
        description="seen",
        tags=("a", "b"),
        cate_id=7,
        cover_url="http://cover.test/x.png",
        template_group_id="VOD_NO_TRANSCODE",
        reference_id="camera-1",
        user_data={"Extend": {"n": 1}},
    )
    assert (grant.id_name, grant.url) == ("VideoId", "")
    upload(cloud, grant)
    again = api.refresh_upload_video(grant.media_id)
    assert again.media_id == grant.media_id
    assert again.upload_address == grant.upload_address
    assert again.upload_auth != grant.upload_auth
    assert api.refresh_upload_video(reference_id="camera-1").media_id == grant.media_id
    info = api.get_video_info(grant.media_id)
    assert info == api.get_video_info(reference_id="camera-1")
    wanted = {"Title": "gate", "Description": "seen", "Tags": "a,b", "CateId": 7, "Size": 7}
    assert info == {**info, **wanted, "Status": "Normal", "UserData": '{"Extend": {"n": 1}}'}
    play = api.get_play_info(grant.media_id, expires_s=60, formats=("mp4",))
    with urllib.request.urlopen(play["PlayInfoList"]["PlayInfo"][0]["PlayURL"]) as reply:
        assert reply.read() == b"content"
    found = api.search_media("Status = 'Normal'", fields=("Title",))
    assert (found["Total"], found["MediaList"][0]["Video"]["Title"]) == (1, "gate")
    assert len(found["ScrollToken"]) == 32
    assert api.delete_video(grant.media_id, "nobody") == ["nobody"]
    with pytest.raises(errors.NotFound) as caught:
        api.get_video_info(grant.media_id)
    assert caught.value.code == "InvalidVideo.NotFound"


def test_images_and_attached_media(api, cloud):
    image = api.create_upload_image("cover", image_ext="jpg", title="t", tags=["x"])
    media = api.create_upload_attached_media("subtitle", "vtt", cate_ids=(1, 2), file_size=3)
    assert (image.id_name, media.id_name) == ("ImageId", "MediaId")
    assert image.url.endswith(".jpg")
    for grant in (image, media):
        upload(cloud, grant)
    kinds = [api.search_media(search_type=kind)["Total"] for kind in ("image", "attached")]
    assert kinds == [1, 1]


WRONG: list[tuple[str, Any, str]] = [
    ("create_upload_video", ("t" * 129, "a.mp4"), "title: must be at most 128 characters, not 129"),
    ("create_upload_video", ("", "a.mp4"), "title: must not be empty"),
    ("create_upload_video", (5, "a.mp4"), "title: must be str, not int"),
    ("create_upload_video", ("a\nb", "a.mp4"), "title: must not hold control characters"),
    ("create_upload_video", ("t", "a.exe"), "file_name: must end with a video or audio format"),
    ("create_upload_video", ("t", ".mp4"), "file_name: must end with"),
    ("create_upload_video", ("t", "a" * 1021 + ".mp4"), "file_name: must be at most 1024"),
    ("create_upload_video", ("t", None), "file_name: must be str, not NoneType"),
    ("create_upload_video", (*VIDEO, {"description": "d" * 1025}), "description: must be at most"),
    ("create_upload_video", (*VIDEO, {"tags": "t" * 17}), "tags: must be several texts, not one"),
    ("create_upload_video", (*VIDEO, {"tags": ["t"] * 17}), "tags: at most 16, not 17"),
    ("create_upload_video", (*VIDEO, {"tags": ["t" * 33]}), "tags: must be at most 32 characters"),
    ("create_upload_video", (*VIDEO, {"tags": ["a,b"]}), "tags: must not hold commas"),
    ("create_upload_video", (*VIDEO, {"file_size": -1}), "file_size: must be 0-"),
    ("create_upload_video", (*VIDEO, {"file_size": 1.5}), "file_size: must be int, not float"),
    ("create_upload_video", (*VIDEO, {"cate_id": True}), "cate_id: must be int, not bool"),
    ("create_upload_video", (*VIDEO, {"reference_id": "short"}), "reference_id: must be 6-64"),
    ("create_upload_video", (*VIDEO, {"reference_id": "a.b.c.d"}), "reference_id: must be 6-64"),
    ("create_upload_video", (*VIDEO, {"user_data": {"x": {1}}}), "user_data: must be a mapping"),
    ("create_upload_image", ("film",), "image_type: must be one of default, cover, not 'film'"),
    ("create_upload_image", ("cover", {"image_ext": "tiff"}), "image_ext: must be one of png"),
    ("create_upload_attached_media", ("film", "png"), "business_type: must be one of"),
    ("create_upload_attached_media", ("subtitle", "png"), "media_ext: must be one of srt"),
    (
        "create_upload_attached_media",
        ("material", "png", {"cate_ids": range(6)}),
        "cate_ids: at most 5, not 6",
    ),
    ("refresh_upload_video", (), "video_id, reference_id: exactly one of them"),
    ("refresh_upload_video", ("x", {"reference_id": "camera-1"}), "video_id, reference_id: exactl"),
    ("refresh_upload_video", ("a b",), "video_id: must be 1-128 letters"),
    ("get_play_info", ("x", {"expires_s": 0}), "expires_s: must be 1-2592000, not 0"),
    ("get_play_info", ("x", {"expires_s": "60"}), "expires_s: must be int, not str"),
    ("search_media", ("", {"page_size": 101}), "page_size: must be 1-100, not 101"),
    ("search_media", ("", {"page_no": 0}), "page_no: must be 1-1000000000, not 0"),
    ("search_media", ("", {"page_no": 501}), "page_no: needs a scroll_token"),
    ("search_media", ("", {"search_type": "x"}), "search_type: must be one of video"),
    ("delete_video", (), "video_ids: must be 1-20, not 0"),
    ("delete_video", ("x",) * 21, "video_ids: must be 1-20, not 21"),
    ("delete_video", ("a,b",), "video_ids: must be 1-128 letters"),
]


@pytest.mark.parametrize(("action", "args", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_limits_are_named_before_the_call(api, cloud, action, args, text):
    named = args[-1] if args and isinstance(args[-1], dict) else {}
    cloud.reset_counters()
    with pytest.raises((TypeError, ValueError)) as caught:
        getattr(api, action)(*[one for one in args if one is not named], **named)
    assert str(caught.value).startswith(text)
    assert cloud.counters()["connections"] == 0


def test_wrong_settings(cloud):
    for changes, text in (
        ({"credentials": "x"}, "credentials: must be Credentials, not str"),
        ({"endpoint": "ftp://x"}, "endpoint: must begin with http"),
        ({"endpoint": "http://u:p@x"}, "endpoint: must not hold a user"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            service(cloud, **changes)
    assert "vod.cn-shanghai.aliyuncs.com" in repr(
        VodService(credentials=Credentials("a", "b"), region="cn-shanghai")
    )


def test_refusals_are_ours(api, cloud):
    with pytest.raises(errors.ServiceError) as caught:
        service(cloud, credentials=Credentials(cloud.access_key_id, "canary")).search_media()
    assert caught.value.code.startswith(("SignatureDoesNotMatch", "InvalidAccessKeySecret"))
    assert "canary" not in str(caught.value)
    assert not caught.value.retryable
    grant = api.create_upload_video(*VIDEO)
    with pytest.raises(errors.AccessDenied) as caught:
        api.get_play_info(grant.media_id)
    assert (caught.value.code, caught.value.retryable) == ("Forbidden.IllegalStatus", False)
    with pytest.raises(errors.ServiceError) as refused:
        api.create_upload_video(*VIDEO, workflow_id="none")
    assert (refused.value.status, refused.value.code) == (400, "InvalidParameter")


def total(api):
    return api.search_media()["Total"]


def test_a_query_is_repeated(api, cloud):
    cloud.fault("drop", operation="Rpc", times=2)
    assert total(api) == 0
    cloud.fault("status", operation="Rpc", status=503, times=2)
    with pytest.raises(errors.Unavailable):
        service(cloud, retry=Retry(attempts=2, base_s=0.001)).search_media()


def test_a_create_without_an_answer_is_not_repeated(api, cloud):
    cloud.fault("drop", operation="Rpc", when="after")
    with pytest.raises(errors.NetworkError) as caught:
        api.create_upload_video(*VIDEO)
    assert caught.value.maybe_done
    assert total(api) == 1  # it did happen


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_create_with_a_reference_is_settled(api, cloud, when):
    """Whether the lost call took effect or not: there is one medium in the end, and a grant."""
    cloud.fault("drop", operation="Rpc", when=when)
    grant = api.create_upload_video(*VIDEO, reference_id="camera-1")
    assert total(api) == 1
    upload(cloud, grant)
    assert api.get_video_info(reference_id="camera-1")["Status"] == "Normal"


def test_no_secret_in_logs_reprs_and_errors(api, cloud, caplog):
    caplog.set_level(logging.DEBUG)
    grant = api.create_upload_video(*VIDEO)
    cloud.fault("garbage", operation="Rpc", when="after", status=200)
    with pytest.raises(errors.ProtocolError) as caught:
        api.create_upload_video(*VIDEO)
    shown = "".join(traceback.format_exception(caught.value))
    shown += caplog.text + repr(grant) + repr(api) + str(grant)
    for secret in (cloud.access_key_secret, grant.upload_auth):
        assert secret not in shown
    assert grant.media_id in repr(grant)


def test_a_grant_is_a_value():
    grant = UploadGrant("VideoId", "v", "address", "canary")
    assert pickle.loads(pickle.dumps(grant)) == grant
    assert "canary" not in repr(grant)
    wanted = {"VideoId": "v", "UploadAddress": "address", "UploadAuth": "canary"}
    assert grant.to_json() == wanted
    for fields in (("Id", "v", "a", "b"), ("VideoId", "", "a", "b"), ("VideoId", "v", "a", None)):
        with pytest.raises(ValueError, match=r"^(id_name|media_id|upload_auth): "):
            UploadGrant(*fields)


def test_sizes_as_texts_or_numbers():
    for text in (
        b'{"Video":{"Size":"5","Duration":"1.5"}}',
        b'{"Video":{"Size":5,"Duration":1.5}}',
    ):
        assert vod_answers.video(text) == {"Size": 5, "Duration": 1.5}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"VideoId":"v"}', b"null", b"5"])
def test_answers_that_cannot_be_read(body):
    for read in (vod_answers.grant, vod_answers.video, vod_answers.play_info, vod_answers.found):
        with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
            read(body)


def test_the_sts_way(cloud):
    """A token for exactly two actions."""
    key = Credentials(cloud.access_key_id, cloud.access_key_secret)
    token = upload_token(
        cloud.role_arn,
        "phone-1",
        credentials=key,
        secure_transport=False,
        endpoint=cloud.sts_endpoint,
    )
    assert token.access_key_id.startswith("STS.")
    phone = service(cloud, credentials=token)
    grant = phone.create_upload_video(*VIDEO)
    upload(cloud, phone.refresh_upload_video(grant.media_id))
    for action in (
        lambda: phone.get_video_info(grant.media_id),
        lambda: phone.get_play_info(grant.media_id),
        lambda: phone.delete_video(grant.media_id),
        phone.search_media,
        phone.create_upload_image,
        lambda: phone.create_upload_attached_media("material", "png"),
    ):
        with pytest.raises(errors.AccessDenied) as caught:
            action()
        assert caught.value.code == "Forbidden"
    caller = VodCaller(cloud, (token.access_key_id, token.access_key_secret, token.security_token))
    assert caller.video().bucket.startswith("outin-")


def test_the_policy_of_the_sts_way():
    import json

    policy = json.loads(upload_policy())
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == ["vod:CreateUploadVideo", "vod:RefreshUploadVideo"]
    assert statement["Condition"] == {"Bool": {"acs:SecureTransport": ["true"]}}
    assert "Condition" not in upload_policy(secure_transport=False)
