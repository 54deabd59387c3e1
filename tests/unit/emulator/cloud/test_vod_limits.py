"""The limits of VOD's parameters, each at its edge and one beyond, and the search language."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ossmedia.emulator.errors import RpcError
from ossmedia.emulator.vod_media import Medium, user_data
from ossmedia.emulator.vod_search import parse_match, row_of
from tests.unit.emulator.cloud.vod_calls import VodCaller

VIDEO = {"FileName": "a.mp4", "Title": "t"}
INVALID, LONG = (400, "InvalidParameter"), (400, "LengthExceededMax")
EXTENSION, MISSING = (400, "InvalidFileName.Extension"), (400, "MissingParameter")
ILLEGAL, TAGS = (400, "IllegalCharacters"), (400, "TagsExceededMax")


@pytest.fixture
def vod(emulator):
    return VodCaller(emulator)


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"Title": ""}, MISSING),
        ({"FileName": ""}, MISSING),
        ({"FileName": "mp4"}, EXTENSION),
        ({"FileName": ".mp4"}, EXTENSION),
        ({"FileName": "a.exe"}, EXTENSION),
        ({"FileName": "a."}, EXTENSION),
        ({"FileName": "A.FLV"}, None),
        ({"FileName": "song.mp3"}, None),
        ({"Title": "t" * 128}, None),
        ({"Title": "t" * 129}, LONG),
        ({"Title": "ü" * 64}, None),
        ({"Title": "ü" * 64 + "x"}, LONG),
        ({"Title": "a\nb"}, ILLEGAL),
        ({"Title": "\U0001f600"}, ILLEGAL),
        ({"Description": "d" * 1024}, None),
        ({"Description": "d" * 1025}, LONG),
        ({"Tags": ",".join("t" * 16)}, None),
        ({"Tags": ",".join("t" * 17)}, TAGS),
        ({"Tags": "t" * 32}, None),
        ({"Tags": "a," + "t" * 33}, LONG),
        ({"FileSize": "0"}, None),
        ({"FileSize": str(10_000 * 5 * 1024**3)}, None),
        ({"FileSize": str(10_000 * 5 * 1024**3 + 1)}, INVALID),
        ({"FileSize": "-1"}, INVALID),
        ({"FileSize": "1e3"}, INVALID),
        ({"CateId": "x"}, INVALID),
        ({"AppId": "app-1"}, None),
        ({"AppId": "1"}, INVALID),
        ({"ReferenceId": "a" * 5}, INVALID),
        ({"ReferenceId": "a" * 6}, None),
        ({"ReferenceId": "a" * 64}, None),
        ({"ReferenceId": "a" * 65}, INVALID),
        ({"ReferenceId": "abc.def"}, INVALID),
        ({"StorageLocation": "x.oss-cn-hangzhou.aliyuncs.com"}, (404, "InvalidStorage.NotFound")),
        ({"TemplateGroupId": "0" * 32}, (404, "InvalidTemplateGroupId.NotFound")),
        ({"TemplateGroupId": "VOD_NO_TRANSCODE"}, None),
        ({"WorkflowId": "w"}, INVALID),
        ({"UserData": "{"}, INVALID),
        ({"UserData": "[]"}, INVALID),
        ({"UserData": '{"MessageCallback":{"CallbackURL":"ftp://x"}}'}, INVALID),
        ({"UserData": '{"MessageCallback":"{"}'}, INVALID),
        ({"UserData": '{"MessageCallback":"{\\"CallbackURL\\":\\"http://x\\"}"}'}, None),
        ({"UserData": json.dumps({"Extend": "e" * 512})}, None),
        ({"UserData": json.dumps({"Extend": "e" * 513})}, INVALID),
    ],
    ids=lambda value: str(value)[:40],
)
def test_create_upload_video(vod, parameters, refusal):
    status, answer = vod.call("CreateUploadVideo", **{**VIDEO, **parameters})
    assert (status, answer.get("Code")) == (refusal or (200, None))
    assert vod.done("SearchMedia", SearchType="audio")["Total"] + vod.done("SearchMedia")[
        "Total"
    ] == (0 if refusal else 1)


def test_a_reference_is_unique(vod):
    vod.video(ReferenceId="camera_1")
    assert vod.refused("CreateUploadVideo", **VIDEO, ReferenceId="camera_1") == INVALID


def test_the_own_storage_location(vod, emulator):
    ticket = vod.video()
    location = f"{ticket.bucket}.oss-{emulator.region}.aliyuncs.com"
    assert vod.video(StorageLocation=location).bucket == ticket.bucket


@pytest.mark.parametrize(
    ("action", "parameters", "refusal"),
    [
        ("CreateUploadImage", {}, MISSING),
        ("CreateUploadImage", {"ImageType": "default"}, None),
        ("CreateUploadImage", {"ImageType": "other"}, INVALID),
        ("CreateUploadImage", {"ImageType": "default", "ImageExt": "tiff"}, INVALID),
        ("CreateUploadImage", {"ImageType": "default", "Title": "t" * 129}, LONG),
        ("CreateUploadAttachedMedia", {}, MISSING),
        ("CreateUploadAttachedMedia", {"BusinessType": "material", "MediaExt": "zip"}, None),
        ("CreateUploadAttachedMedia", {"BusinessType": "watermark", "MediaExt": "zip"}, INVALID),
        ("CreateUploadAttachedMedia", {"BusinessType": "x", "MediaExt": "png"}, INVALID),
        ("CreateUploadAttachedMedia", {"BusinessType": "material", "CateIds": "1,2,3,4,5"}, None),
        (
            "CreateUploadAttachedMedia",
            {"BusinessType": "material", "CateIds": "1,2,3,4,5,6"},
            INVALID,
        ),
        ("RefreshUploadVideo", {}, MISSING),
        ("RefreshUploadVideo", {"VideoId": "x"}, (404, "InvalidVideo.NotFound")),
        ("RefreshUploadVideo", {"ReferenceId": "nobody"}, (404, "InvalidVideo.NotFound")),
        ("GetVideoInfo", {}, MISSING),
        ("GetPlayInfo", {}, MISSING),
        ("GetPlayInfo", {"VideoId": "x"}, (404, "InvalidVideo.NotFound")),
        ("DeleteVideo", {}, MISSING),
        ("SearchMedia", {"SearchType": "films"}, INVALID),
        ("SearchMedia", {"PageSize": "0"}, INVALID),
        ("SearchMedia", {"PageSize": "101"}, INVALID),
        ("SearchMedia", {"PageSize": "100", "PageNo": "50"}, None),
        ("SearchMedia", {"PageSize": "100", "PageNo": "51"}, INVALID),
        ("SearchMedia", {"ScrollToken": "x"}, INVALID),
        ("SearchMedia", {"SortBy": "Colour:Asc"}, INVALID),
        ("SearchMedia", {"SortBy": "CreationTime"}, INVALID),
    ],
    ids=lambda value: str(value)[:40],
)
def test_other_calls(vod, action, parameters, refusal):
    status, answer = vod.call(action, **parameters)
    assert (status, answer.get("Code")) == (refusal or (200, None))


def test_pages(vod, emulator):
    ids = []
    for number in range(5):
        emulator.set_clock(number)
        ids.append(vod.video(Title=f"{number}").id)
    newest = vod.done("SearchMedia", PageSize="2")
    assert [hit["MediaId"] for hit in newest["MediaList"]] == [ids[4], ids[3]]
    assert newest["Total"] == 5
    token = newest["ScrollToken"]
    assert len(token) == 32
    page = vod.done("SearchMedia", PageSize="2", PageNo="3", ScrollToken=token)
    assert [hit["MediaId"] for hit in page["MediaList"]] == [ids[0]]
    far = {"PageSize": "100", "PageNo": "14", "ScrollToken": token}
    assert vod.refused("SearchMedia", **far) == INVALID
    oldest = vod.done("SearchMedia", SortBy="CreationTime:Asc", PageSize="1")
    assert oldest["MediaList"][0]["MediaId"] == ids[0]
    match = "Title in ('1','3') and Status = 'Uploading'"
    found = vod.done("SearchMedia", Match=match, Fields="Title,Size")["MediaList"]
    assert [hit["Video"]["Title"] for hit in found] == ["3", "1"]
    assert {hit["Video"]["Size"] for hit in found} == {0}


DETAILS = {"AppId": "app-1", "StorageLocation": "s", "Tags": "day,night", "CateId": "7"}
MEDIUM = Medium("id1", "video", "k", "mp4", "It's a Gate", 1e9, 1e9, "ref", DETAILS, 1e9, 500)
FIELDS = row_of(MEDIUM, "Normal").fields


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("Status = 'Normal'", True),
        ("Status='normal'", False),
        ("Status in ('Uploading','Normal')", True),
        ("Status in ('Uploading')", False),
        ("Title = 'gate'", True),
        (r"Title = 'it\'s'", True),
        ("Tags = 'night'", True),
        ("Tags = 'nigh'", False),
        ("CateId = '7' and VideoId = 'id1'", True),
        ("CateId = '8' and VideoId = 'id1'", False),
        ("CateId = '8' or VideoId = 'id1' and Status = 'Normal'", True),
        ("VideoId = 'id1' or CateId = '8' and Status = 'Uploading'", True),
        ("Size = ('499','501')", True),
        ("Size = ('500','1000')", False),
        ("Size = ['500','1000')", True),
        ("Size = ('99','500']", True),
        ("CreationTime = ('2001-01-01T00:00:00Z','2002-01-01T00:00:00Z')", True),
        ("CreationTime = ('2002-01-01T00:00:00Z','2003-01-01T00:00:00Z')", False),
    ],
)
def test_match(text, holds):
    assert parse_match(text)(FIELDS) is holds


@pytest.mark.parametrize(
    "text",
    [
        "Status",
        "Status =",
        "Status = Normal",
        "Status = 'Normal' and",
        "Status = 'Normal' Size = '1'",
        "'x' = Status",
        "Colour = 'red'",
        "Status in ('a'",
        "Size = ('1','2','3')",
        "Status = ('a','b')",
        "Status != 'Normal'",
        "Status in 'a'",
        "(Status = 'a')",
    ],
)
def test_match_that_is_refused(text):
    with pytest.raises(RpcError) as caught:
        parse_match(text)(FIELDS)
    assert (caught.value.status, caught.value.code) == INVALID


WORDS = ["Status", "Size", "=", "'1'", "'Normal'", "(", ")", "[", "]", ",", "in", "and", "or", "'"]


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text())
def test_any_match_is_understood_or_refused(text):
    with suppress(RpcError):
        assert parse_match(text)(FIELDS) in (True, False)


@given(st.text())
@example("[" * 100_000)
@example('{"MessageCallback": "' + "[" * 100_000 + '"}')
def test_any_user_data_is_an_object_or_refused(text):
    with suppress(ValueError):
        assert isinstance(user_data(text), dict)
