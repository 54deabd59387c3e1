"""Alibaba Cloud's own VOD and STS SDKs, old and new, as foreign clients of the local VOD."""

from __future__ import annotations

import base64
import json
import os
import urllib.request

import oss2
import pytest
from alibabacloud_sts20150401.client import Client as StsClient
from alibabacloud_sts20150401.models import AssumeRoleRequest
from alibabacloud_tea_openapi.models import Config
from alibabacloud_vod20170321 import models
from alibabacloud_vod20170321.client import Client as VodClient
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkvod.request.v20170321.CreateUploadImageRequest import CreateUploadImageRequest
from aliyunsdkvod.request.v20170321.CreateUploadVideoRequest import CreateUploadVideoRequest
from aliyunsdkvod.request.v20170321.DeleteVideoRequest import DeleteVideoRequest
from aliyunsdkvod.request.v20170321.GetPlayInfoRequest import GetPlayInfoRequest
from aliyunsdkvod.request.v20170321.GetVideoInfoRequest import GetVideoInfoRequest
from aliyunsdkvod.request.v20170321.RefreshUploadVideoRequest import RefreshUploadVideoRequest
from aliyunsdkvod.request.v20170321.SearchMediaRequest import SearchMediaRequest
from Tea.core import TeaCore
from Tea.exceptions import TeaException

from ossmedia.emulator import crc64
from ossmedia.emulator.serve import Emulator


@pytest.fixture(scope="module")
def shared():
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def cloud(shared):
    shared.reset()
    yield shared
    while TeaCore._sessions:  # the new SDKs keep their connections for ever
        TeaCore._sessions.popitem()[1].close()


class Old:
    """aliyun-python-sdk-vod: RPC 1.0."""

    def __init__(self, cloud, credential=None):
        key = (cloud.access_key_id, cloud.access_key_secret)
        self.client = AcsClient(
            *(key if credential is None else ()), region_id=cloud.region, credential=credential
        )
        self.host = cloud.vod_endpoint.partition("://")[2]

    def __call__(self, request, **parameters):
        request.set_endpoint(self.host)
        request.set_protocol_type("http")
        request.set_accept_format("json")
        for name, value in parameters.items():
            getattr(request, f"set_{name}")(value)
        return json.loads(self.client.do_action_with_exception(request))

    def close(self):
        self.client.session.close()


@pytest.fixture
def old(cloud):
    caller = Old(cloud)
    yield caller
    caller.close()


def config(cloud, key_id, secret, token=None):
    return Config(
        access_key_id=key_id,
        access_key_secret=secret,
        security_token=token,
        region_id=cloud.region,
        endpoint=cloud.vod_endpoint.partition("://")[2],
        protocol="http",
    )


@pytest.fixture
def new(cloud):
    """alibabacloud_vod20170321: ACS3."""
    return VodClient(config(cloud, cloud.access_key_id, cloud.access_key_secret))


class Upload:
    """oss2 with what a ticket says, and nothing else."""

    def __init__(self, upload_address, upload_auth):
        address, auth = (json.loads(base64.b64decode(t)) for t in (upload_address, upload_auth))
        self.address, self.auth = address, auth
        made = oss2.StsAuth(auth["AccessKeyId"], auth["AccessKeySecret"], auth["SecurityToken"])
        self.session = oss2.Session()
        # oss2 leaves empty bodies unread, and with them their connections open.
        self.responses = []
        self.session.session.hooks["response"] = lambda one, **_: self.responses.append(one)
        self.bucket = oss2.Bucket(
            made, address["Endpoint"], address["Bucket"], session=self.session
        )
        self.key = address["FileName"]

    def put(self, data):
        return self.bucket.put_object(self.key, data)

    def part(self, id, number, data):
        return self.bucket.upload_part(self.key, id, number, data)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for response in self.responses:
            response.close()
        self.session.session.close()


def fetch(url):
    with urllib.request.urlopen(url) as reply:
        return reply.read()


def test_the_old_sdk_from_create_to_delete(old):
    data = os.urandom(350_000)
    made = old(CreateUploadVideoRequest(), FileName="a.mp4", Title="gate ü & co", Tags="a,b")
    video = made["VideoId"]
    with Upload(made["UploadAddress"], made["UploadAuth"]) as upload:
        id = upload.bucket.init_multipart_upload(upload.key).upload_id
        first = upload.part(id, 1, data[:200_000])
    again = old(RefreshUploadVideoRequest(), VideoId=video)
    assert again["UploadAddress"] == made["UploadAddress"]
    assert again["UploadAuth"] != made["UploadAuth"]
    with Upload(again["UploadAddress"], again["UploadAuth"]) as upload:  # the same upload goes on
        second = upload.part(id, 2, data[200_000:])
        parts = [oss2.models.PartInfo(1, first.etag), oss2.models.PartInfo(2, second.etag)]
        done = upload.bucket.complete_multipart_upload(upload.key, id, parts)
        assert done.crc == crc64.update(0, data)
    info = old(GetVideoInfoRequest(), VideoId=video)["Video"]
    assert (info["Title"], info["Status"], info["Size"]) == ("gate ü & co", "Normal", 350_000)
    play = old(GetPlayInfoRequest(), VideoId=video, OutputType="oss", AuthTimeout=60)
    assert fetch(play["PlayInfoList"]["PlayInfo"][0]["PlayURL"]) == data
    found = old(SearchMediaRequest(), Match="Status = 'Normal'", Fields="Title,Size")
    assert [hit["MediaId"] for hit in found["MediaList"]] == [video]
    assert old(DeleteVideoRequest(), VideoIds=video)["NonExistVideoIds"] == []
    with pytest.raises(ServerException) as caught:
        old(GetVideoInfoRequest(), VideoId=video)
    refused = caught.value
    assert (refused.get_http_status(), refused.get_error_code()) == (404, "InvalidVideo.NotFound")


def test_the_old_sdk_uploads_an_image(old):
    made = old(CreateUploadImageRequest(), ImageType="default", ImageExt="png", Title="t")
    with Upload(made["UploadAddress"], made["UploadAuth"]) as upload:
        assert upload.put(b"png").status == 200
        with pytest.raises(oss2.exceptions.AccessDenied):
            upload.bucket.put_object(upload.key + "x", b"png")
        with pytest.raises(oss2.exceptions.AccessDenied):
            upload.bucket.list_objects()


def test_the_new_sdk_from_create_to_delete(new):
    data = os.urandom(300_000)
    request = models.CreateUploadVideoRequest(
        file_name="a.mov", title="gate ü & co", reference_id="camera-1", file_size=len(data)
    )
    made = new.create_upload_video(request).body
    with Upload(made.upload_address, made.upload_auth) as upload:
        assert upload.put(data).crc == crc64.update(0, data)
    refresh = models.RefreshUploadVideoRequest(video_id=made.video_id)
    again = new.refresh_upload_video(refresh).body
    assert (again.video_id, again.upload_address) == (made.video_id, made.upload_address)
    with Upload(again.upload_address, again.upload_auth) as upload:  # overwrites the source
        upload.put(data[::-1])
    info = new.get_video_info(models.GetVideoInfoRequest(reference_id="camera-1")).body.video
    assert (info.title, info.status, info.size) == ("gate ü & co", "Normal", 300_000)
    play = new.get_play_info(models.GetPlayInfoRequest(video_id=made.video_id)).body
    assert play.video_base.media_type == "video"
    assert fetch(play.play_info_list.play_info[0].play_url) == data[::-1]
    found = new.search_media(models.SearchMediaRequest(fields="Title", page_size=5)).body
    assert (found.total, found.media_list[0].video.title) == (1, "gate ü & co")
    gone = new.delete_video(models.DeleteVideoRequest(video_ids=f"{made.video_id},x")).body
    assert gone.non_exist_video_ids == ["x"]


def test_the_new_sdk_understands_refusals(new):
    for request, code in (
        (
            models.CreateUploadVideoRequest(file_name="a.exe", title="t"),
            "InvalidFileName.Extension",
        ),
        (models.CreateUploadVideoRequest(file_name="a.mp4", title="t" * 129), "LengthExceededMax"),
        (models.CreateUploadVideoRequest(file_name="a.mp4"), "MissingParameter"),
    ):
        with pytest.raises(TeaException) as caught:
            new.create_upload_video(request)
        assert (caught.value.code, caught.value.statusCode) == (code, 400)


def test_the_new_sdk_creates_images_and_attached_media(new):
    image = new.create_upload_image(models.CreateUploadImageRequest(image_type="cover")).body
    assert image.image_url == image.file_url
    request = models.CreateUploadAttachedMediaRequest(business_type="subtitle", media_ext="srt")
    media = new.create_upload_attached_media(request).body
    for made in (image, media):
        with Upload(made.upload_address, made.upload_auth) as upload:
            assert upload.put(b"content").status == 200
    found = new.search_media(models.SearchMediaRequest(search_type="attached")).body
    assert found.media_list[0].attached_media.media_id == media.media_id


def test_the_sts_way_of_both(cloud, old):
    """A client with a token of exactly two actions asks VOD by itself."""
    policy = {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["vod:CreateUploadVideo", "vod:RefreshUploadVideo"],
                "Resource": "acs:vod:*:*:*",
            }
        ],
    }
    sts = StsClient(config(cloud, cloud.access_key_id, cloud.access_key_secret))
    request = AssumeRoleRequest(
        role_arn=cloud.role_arn,
        role_session_name="phone",
        duration_seconds=900,
        policy=json.dumps(policy),
    )
    given = sts.assume_role(request).body.credentials
    key = (given.access_key_id, given.access_key_secret, given.security_token)
    caller = Old(cloud, StsTokenCredential(*key))
    made = caller(CreateUploadVideoRequest(), FileName="a.mp4", Title="t")
    caller(RefreshUploadVideoRequest(), VideoId=made["VideoId"])
    with pytest.raises(ServerException) as caught:
        caller(GetVideoInfoRequest(), VideoId=made["VideoId"])
    assert caught.value.get_error_code() == "Forbidden"
    caller.close()
    new = VodClient(config(cloud, *key))
    made = new.create_upload_video(
        models.CreateUploadVideoRequest(file_name="a.mp4", title="t")
    ).body
    with Upload(made.upload_address, made.upload_auth) as upload:
        assert upload.put(b"content").status == 200
    with pytest.raises(TeaException) as refused:
        new.delete_video(models.DeleteVideoRequest(video_ids=made.video_id))
    assert refused.value.code == "Forbidden"
    assert old(GetVideoInfoRequest(), VideoId=made.video_id)["Video"]["Status"] == "Normal"
