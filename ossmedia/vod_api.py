"""ApsaraVideo VOD for the application server: upload addresses and credentials, media, play URLs.

In flow titles, names and media ids, checked against VOD's limits before a call; out flow grants,
which the server passes on undecoded, and what VOD says of its media. The server's own key never
reaches a log or an exception, nor does what VOD hands out.

Source: ApsaraVideo VOD 2017-03-21.
"""

from __future__ import annotations

from ossmedia import policy as policies
from ossmedia import vod_answers as answers
from ossmedia import vod_fields as check
from ossmedia.core_sdk import Service
from ossmedia.errors import NotFound
from ossmedia.sts import assume_role
from ossmedia.vod_answers import UploadGrant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from ossmedia.errors import OssMediaError
    from ossmedia.model import Credentials

    T = TypeVar("T")

__all__ = ["UPLOAD_ACTIONS", "UploadGrant", "VodService", "upload_policy", "upload_token"]

UPLOAD_ACTIONS = ("vod:CreateUploadVideo", "vod:RefreshUploadVideo")
MOST_DELETED = 20
LONGEST_PLAY_S = 2_592_000
IMAGE_TYPES = ("default", "cover")
IMAGE_EXTENSIONS = ("png", "jpg", "jpeg", "gif")
ATTACHED_EXTENSIONS = {
    "watermark": ("png", "gif", "apng", "mov"),
    "subtitle": ("srt", "ass", "stl", "ttml", "vtt"),
    "material": ("jpg", "gif", "png", "mp4", "mat", "zip"),
}
SEARCH_TYPES = ("video", "audio", "image", "attached")


class VodService:
    """VOD at one endpoint, called with the application server's own key.

    Args:
        credentials: of a RAM user or role that may do the operations.
        region: e.g. "cn-shanghai".
        endpoint: "https://vod.cn-shanghai.aliyuncs.com" (by the region if ""), or
            "http://127.0.0.1:8080".
        options: of ``ossmedia.sts.assume_role``: ca_file, connect_timeout_s, io_timeout_s, retry,
            clock.

    Raises:
        TypeError, ValueError: naming the field. ImportError: ossmedia[server] is not installed.
    """

    def __init__(
        self, *, credentials: Credentials, region: str, endpoint: str = "", **options: Any
    ) -> None:
        self._service = Service(
            "VOD",
            "aliyun-python-sdk-vod",
            credentials=credentials,
            region=region,
            endpoint=endpoint or f"https://vod.{region}.aliyuncs.com",
            **options,
        )

    # -- uploads

    def create_upload_video(
        self,
        title: str,
        file_name: str,
        *,
        file_size: int | None = None,
        description: str = "",
        tags: Iterable[str] = (),
        cover_url: str = "",
        cate_id: int | None = None,
        template_group_id: str = "",
        workflow_id: str = "",
        storage_location: str = "",
        app_id: str = "",
        reference_id: str = "",
        user_data: Mapping[str, Any] | None = None,
    ) -> UploadGrant:
        """A new video (or audio) medium and the right to upload its file.

        When no answer came, the medium may exist all the same: the call is then repeated only with
        a ``reference_id``, by which VOD is asked first.

        Args:
            title: at most 128 characters. description: 1,024. tags: 16 of 32.
            file_name: only its extension counts, which must be one that VOD takes.
            file_size: bytes.
            reference_id: the caller's own id, 6-64 letters, digits, "-" and "_", unique.
            user_data: e.g. {"MessageCallback": {"CallbackURL": ...}, "Extend": {...}}.

        Raises:
            TypeError, ValueError: naming the field and its limit; VOD was not called.
            OssMediaError: VOD refused, or gave no answer.
        """
        check.check_file_name(file_name)
        if not title:
            raise ValueError("title: must not be empty")
        fields = {
            "FileName": file_name,
            "FileSize": check.count("file_size", file_size, check.LARGEST_FILE),
            "CoverURL": check.text("cover_url", cover_url, 1024),
            "CateId": check.count("cate_id", cate_id),
            "TemplateGroupId": check.text("template_group_id", template_group_id, 64),
            "WorkflowId": check.text("workflow_id", workflow_id, 64),
            "ReferenceId": check.reference(reference_id),
            **check.common(title, description, tags, storage_location, app_id, user_data),
        }
        return self._created("CreateUploadVideo", fields, reference_id)

    def create_upload_image(
        self,
        image_type: str = "default",
        *,
        image_ext: str = "png",
        title: str = "",
        description: str = "",
        tags: Iterable[str] = (),
        cate_id: int | None = None,
        storage_location: str = "",
        app_id: str = "",
        user_data: Mapping[str, Any] | None = None,
    ) -> UploadGrant:
        """A new image, and the right to upload it. It cannot be refreshed: create another.

        Args:
            image_type: "default" or "cover". image_ext: png, jpg, jpeg or gif.
            others: as for a video.
        """
        fields = {
            "ImageType": check.one_of("image_type", image_type, IMAGE_TYPES),
            "ImageExt": check.one_of("image_ext", image_ext, IMAGE_EXTENSIONS),
            "CateId": check.count("cate_id", cate_id),
            **check.common(title, description, tags, storage_location, app_id, user_data),
        }
        return self._created("CreateUploadImage", fields)

    def create_upload_attached_media(
        self,
        business_type: str,
        media_ext: str,
        *,
        title: str = "",
        description: str = "",
        tags: Iterable[str] = (),
        file_name: str = "",
        file_size: int | None = None,
        cate_ids: Iterable[int] = (),
        storage_location: str = "",
        app_id: str = "",
        user_data: Mapping[str, Any] | None = None,
    ) -> UploadGrant:
        """A new watermark, subtitle or material, and the right to upload it; never refreshed.

        Args:
            business_type: "watermark", "subtitle" or "material". media_ext: one that goes with it.
            cate_ids: at most 5. others: as for a video.
        """
        kind = check.one_of("business_type", business_type, tuple(ATTACHED_EXTENSIONS))
        numbers = [check.count("cate_ids", number) for number in cate_ids]
        if len(numbers) > 5:
            raise ValueError(f"cate_ids: at most 5, not {len(numbers)}")
        fields = {
            "BusinessType": kind,
            "MediaExt": check.one_of("media_ext", media_ext, ATTACHED_EXTENSIONS[kind]),
            "FileName": check.text("file_name", file_name, 1024),
            "FileSize": check.count("file_size", file_size, check.LARGEST_FILE),
            "CateIds": ",".join(numbers),
            **check.common(title, description, tags, storage_location, app_id, user_data),
        }
        return self._created("CreateUploadAttachedMedia", fields)

    def refresh_upload_video(self, video_id: str = "", *, reference_id: str = "") -> UploadGrant:
        """New credentials for the same place, also to replace a finished video's source.

        Raises:
            NotFound: VOD knows no such video.
        """
        return self._call("RefreshUploadVideo", check.video(video_id, reference_id), answers.grant)

    def _created(self, action: str, fields: dict[str, str], reference_id: str = "") -> UploadGrant:
        def settle(failure: OssMediaError) -> UploadGrant | None:
            failure.maybe_done = True
            if not reference_id:
                raise failure
            try:
                return self.refresh_upload_video(reference_id=reference_id)
            except NotFound:
                return None

        return self._call(action, fields, answers.grant, settle)

    # -- media

    def get_video_info(self, video_id: str = "", *, reference_id: str = "") -> dict[str, Any]:
        """What VOD says of a video, by VOD's own names; ``Size`` and ``Duration`` are numbers.

        Raises:
            NotFound: VOD knows no such video.
        """
        fields = check.video(video_id, reference_id)
        return self._call("GetVideoInfo", fields, answers.video)

    def get_play_info(
        self, video_id: str, *, expires_s: int = 3600, formats: Iterable[str] = ()
    ) -> dict[str, Any]:
        """``VideoBase`` and ``PlayInfoList`` of a video. The URLs are secrets while they live.

        Args:
            expires_s: life of the URLs, 1-2,592,000 seconds.
            formats: e.g. ("mp4",); none: every stream.

        Raises:
            AccessDenied: Forbidden.IllegalStatus: it cannot be played yet. NotFound.
        """
        if isinstance(expires_s, bool) or not isinstance(expires_s, int):
            raise TypeError(f"expires_s: must be int, not {type(expires_s).__name__}")
        if not 1 <= expires_s <= LONGEST_PLAY_S:
            raise ValueError(f"expires_s: must be 1-{LONGEST_PLAY_S}, not {expires_s}")
        fields = {
            **check.video(video_id, ""),
            "AuthTimeout": str(expires_s),
            "OutputType": "oss",
            "Formats": ",".join(check.several("formats", formats)),
        }
        return self._call("GetPlayInfo", fields, answers.play_info)

    def search_media(
        self,
        match: str = "",
        *,
        search_type: str = "video",
        fields: Iterable[str] = (),
        sort_by: str = "CreationTime:Desc",
        page_no: int = 1,
        page_size: int = 10,
        scroll_token: str = "",
    ) -> dict[str, Any]:
        """One page of media: ``MediaList``, ``Total``, ``ScrollToken`` for the next page.

        Args:
            match: VOD's search language, e.g. "Status = 'Normal' and Title in ('gate')".
            search_type: "video", "audio", "image" or "attached".
            fields: names wanted besides the basic ones.
            page_size: 1-100. scroll_token: needed beyond the first 5,000 media.
        """
        for name, value, most in (("page_no", page_no, 10**9), ("page_size", page_size, 100)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name}: must be 1-{most}, not {value!r}")
        if not scroll_token and page_no * page_size > 5000:
            raise ValueError("page_no: needs a scroll_token beyond the first 5000 media")
        sent = {
            "SearchType": check.one_of("search_type", search_type, SEARCH_TYPES),
            "Match": match,
            "Fields": ",".join(check.several("fields", fields)),
            "SortBy": sort_by,
            "PageNo": str(page_no),
            "PageSize": str(page_size),
            "ScrollToken": scroll_token,
        }
        return self._call("SearchMedia", sent, answers.found)

    def delete_video(self, *video_ids: str) -> list[str]:
        """Deletes videos with their files, 1-20 at once. Returns the ids that VOD did not delete.

        Raises:
            NotFound: VOD knows none of them.
        """
        if not 1 <= len(video_ids) <= MOST_DELETED:
            raise ValueError(f"video_ids: must be 1-{MOST_DELETED}, not {len(video_ids)}")
        joined = ",".join(check.plain("video_ids", one) for one in video_ids)
        return self._call("DeleteVideo", {"VideoIds": joined}, answers.kept)

    def _call(
        self,
        action: str,
        fields: Mapping[str, str],
        read: Callable[[bytes], T],
        settle: Callable[[OssMediaError], T | None] | None = None,
    ) -> T:
        sent = {name: value for name, value in fields.items() if value}
        return self._service.call(lambda: _new_request(action), sent, read, settle=settle)

    def __repr__(self) -> str:
        return f"VodService({self._service.endpoint!r})"


def upload_policy(*, secure_transport: bool = True) -> str:
    """The session policy of the STS way: a client that holds such a token may create and refresh
    uploads, and nothing else.

    Args:
        secure_transport: by https only. False for a local cloud that speaks http.
    """
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(UPLOAD_ACTIONS)}
    statement["Resource"] = ["*"]  # VOD knows no smaller resource for these
    if secure_transport:
        statement["Condition"] = {"Bool": {"acs:SecureTransport": ["true"]}}
    return policies.to_text({"Version": "1", "Statement": [statement]})


def upload_token(
    role_arn: str,
    device: str,
    ttl_s: int = 900,
    *,
    credentials: Credentials,
    secure_transport: bool = True,
    **options: Any,
) -> Credentials:
    """The STS way: a token with which a device asks VOD by itself for addresses and credentials.

    Prefer to ask here and pass the grant on: such a token is not bound to one file.

    Args:
        role_arn, ttl_s, credentials, options: see ``ossmedia.sts.assume_role``.
        device: its id; names the session.

    Raises:
        TypeError, ValueError: naming the field and its limit. OssMediaError: from STS.
    """
    return assume_role(
        role_arn,
        policies.session_name(device),
        upload_policy(secure_transport=secure_transport),
        ttl_s,
        credentials=credentials,
        **options,
    )


def _new_request(action: str) -> Any:
    from importlib import import_module

    home = import_module(f"aliyunsdkvod.request.v20170321.{action}Request")
    return getattr(home, f"{action}Request")()
