"""Uploads into VOD for devices: a device says what it has, VOD gives the place and the right.

In flow wishes of devices and events of VOD, out flow grants, passed on undecoded, and rows of the
index. A medium belongs to the device that asked for it: nobody else can refresh its upload. What a
medium has become is asked of VOD, never taken from an event. Grants are neither kept nor logged.
What a device makes by itself, with a token to ask VOD, VOD cannot tell the device of: it becomes a
recording of no camera, which administrators see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from mimetypes import guess_type
from typing import Any

from ossmedia.clock import SYSTEM, Clock, from_iso_date
from ossmedia.errors import AccessDenied, NotFound, OssMediaError, ServiceError, Unavailable
from ossmedia.server.devices import Device
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.problems import Problem
from ossmedia.server.recordings import (
    GONE,
    GROWING,
    READY,
    VOD,
    Found,
    Index,
    recording_id,
)
from ossmedia.server.vod_calls import VodCalls
from ossmedia.server.vod_media import VodMedia, VodUpload, reference_of
from ossmedia.server.vod_settings import VodSettings
from ossmedia.server.vod_wishes import VodWish
from ossmedia.vod_answers import UploadGrant

__all__ = ["NotRefreshable", "TokenReused", "UnknownMedium", "VodUploads", "said"]

_ACTION_OF = {
    "video": "CreateUploadVideo",
    "image": "CreateUploadImage",
    "attached": "CreateUploadAttachedMedia",
}
_USUAL_APP = "app-1000000"  # VOD's own, where none is named
_PLACES = ("storage_location", "app_id", "template_group_id", "workflow_id")
# VOD's words for a video. What is none of these is still on its way.
_STATE_OF = {
    "Normal": READY,
    "Blocked": READY,
    "TranscodeFail": READY,
    "UploadFail": GONE,
    "Deleted": GONE,
}


class UnknownMedium(Exception):
    """There is no such medium, or it is another device's."""


class NotRefreshable(Exception):
    """VOD refreshes videos only: for others another upload is asked for."""


class TokenReused(Exception):
    """The device has used its token for another file."""


class VodUploads:
    """The uploads of one application; see ``Archive.vod`` for what it does for the page.

    Args:
        store: where the database is used.
        calls: asks VOD.
    """

    def __init__(
        self,
        settings: VodSettings,
        media: VodMedia,
        index: Index,
        calls: VodCalls,
        store: Executor,
        clock: Clock = SYSTEM,
    ) -> None:
        self._places: dict[str, Any] = {name: getattr(settings, name) for name in _PLACES}
        self._media = media
        self._index = index
        self._calls = calls
        self._store = store
        self._clock = clock
        self._bucket = f"vod:{settings.region}"
        self._app = (settings.app_id or _USUAL_APP) if settings.role_arn else ""

    async def _stored(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._store, work, *args)

    # -- devices ---------------------------------------------------------------------------------

    async def create(self, device: Device, wish: VodWish) -> UploadGrant:
        """A medium for a device's file. Asked again with the same client token, also after a lost
        answer on either side, it is the same medium.

        Raises:
            TokenReused.
            OverBudget, StoreUnavailable: come again.
            OssMediaError: VOD refused, or gave no answer.
        """
        wanted = self._wanted(device, wish)
        held: VodUpload = await self._stored(self._media.begin, wanted)
        if not held.same_file(wanted):
            raise TokenReused
        if held.media_id is not None:
            return await self._refreshed(video_id=held.media_id)
        first = held.created_at == wanted.created_at
        grant = await self._granted(wish, held.reference, first)
        await self._stored(self._note_grant, held, grant.media_id)
        return grant

    def _wanted(self, device: Device, wish: VodWish) -> VodUpload:
        now = self._clock.now()
        return VodUpload(
            reference=reference_of(device.id, wish.client_token),
            device_id=device.id,
            kind=wish.kind,
            media_id=None,
            title=wish.title,
            file_name=wish.file_name,
            size=wish.size,
            status="",
            start_at=now if wish.start is None else wish.start,
            created_at=now,
            changed_at=now,
        )

    async def _granted(self, wish: VodWish, reference: str, first: bool) -> UploadGrant:
        """Asks VOD for a new medium, but for one that it knows by this reference already."""
        if wish.kind == "video" and not first:
            try:
                return await self._refreshed(reference_id=reference)
            except NotFound:
                pass
        own = reference if wish.kind == "video" else ""
        try:
            return await self._calls.do(
                _ACTION_OF[wish.kind], lambda service: wish.create(service, own, self._places)
            )
        except ServiceError as refusal:
            if isinstance(refusal, Unavailable):
                raise
            if own:
                try:  # another process of ours may have been first
                    return await self._refreshed(reference_id=own)
                except NotFound:
                    pass
            await self._stored(self._media.forget, reference)
            raise

    async def _refreshed(self, **who: str) -> UploadGrant:
        return await self._calls.do(
            "RefreshUploadVideo", lambda service: service.refresh_upload_video(**who)
        )

    def _note_grant(self, upload: VodUpload, media_id: str) -> None:
        """Videos become recordings, which people see; the others are kept by their ids alone."""
        self._media.granted(upload.reference, media_id)
        if upload.kind == "video":
            size, now = upload.size or 0, self._clock.now()
            self._index.record(self._found(upload, media_id, size, now, GROWING, "report"))

    def _found(
        self,
        upload: VodUpload,
        media_id: str,
        size: int,
        now: float,
        state: str,
        seen_by: str,
        duration_s: float | None = None,
    ) -> Found:
        return Found(
            bucket=self._bucket,
            key=media_id,
            camera=upload.device_id,
            kind=VOD,
            size=size,
            etag="",
            modified_at=now,
            content_type=guess_type(upload.file_name)[0] or "",
            start_at=upload.start_at,
            duration_s=duration_s,
            title=upload.title,
            state=state,
            seen_by=seen_by,
        )

    async def refresh(self, device: Device, media_id: str) -> UploadGrant:
        """New credentials for the same place, for the device whose medium it is.

        Raises:
            UnknownMedium, NotRefreshable.
            OverBudget, StoreUnavailable, OssMediaError: see ``create``.
        """
        upload: VodUpload | None = await self._stored(self._media.find, media_id)
        if upload is None or upload.device_id != device.id:
            raise UnknownMedium
        if upload.kind != "video":
            raise NotRefreshable
        try:
            return await self._refreshed(video_id=media_id)
        except NotFound:
            await self._stored(self._note_gone, media_id)
            raise UnknownMedium from None

    # -- VOD -------------------------------------------------------------------------------------

    async def look(self, media_id: str) -> bool:
        """Asks VOD what a medium of ours has become, and notes it; harmless when repeated.

        Returns:
            False: the medium is not one of ours. Where devices get tokens to ask VOD by themselves,
            every video of the settings' ``app_id`` is.

        Raises:
            OverBudget, StoreUnavailable, OssMediaError: nothing was noted.
        """
        upload: VodUpload | None = await self._stored(self._media.find, media_id)
        if upload is None and not self._app:
            return False
        if upload is not None and upload.kind != "video":
            # There is nothing to ask: the one event of these is their end.
            await self._stored(self._media.set_status, media_id, "Normal")
            return True
        try:
            info = await self._calls.do(
                "GetVideoInfo", lambda service: service.get_video_info(media_id)
            )
        except NotFound:
            known: bool = await self._stored(self._note_gone, media_id)
            return known or upload is not None
        if upload is None:
            if info.get("AppId", _USUAL_APP) != self._app:
                return False
            upload = self._of_nobody(media_id, info)
        await self._stored(self._note, upload, media_id, info)
        return True

    def _of_nobody(self, media_id: str, info: dict[str, Any]) -> VodUpload:
        """A video that nobody asked this server for, by VOD's words."""
        title, now = str(info.get("Title", ""))[:128], self._clock.now()
        try:
            start_at = from_iso_date(str(info.get("CreationTime", "")))
        except ValueError:
            start_at = now
        return VodUpload("", "", "video", media_id, title, title, None, "", start_at, now, now)

    def _note(self, upload: VodUpload, media_id: str, info: dict[str, Any]) -> None:
        status = str(info.get("Status", ""))[:40]
        state = _STATE_OF.get(status, GROWING)
        self._media.set_status(media_id, status)
        if state == GONE:
            self._index.mark(recording_id(self._bucket, media_id), GONE)
            return
        size, duration_s = info.get("Size") or upload.size or 0, info.get("Duration") or None
        now = self._clock.now()
        self._index.record(self._found(upload, media_id, size, now, state, "callback", duration_s))

    def _note_gone(self, media_id: str) -> bool:
        """Whether it was a recording."""
        self._media.set_status(media_id, "Deleted")
        return self._index.mark(recording_id(self._bucket, media_id), GONE) > 0

    # -- the page --------------------------------------------------------------------------------

    def play_url(self, media_id: str, life_s: int) -> str:
        """A URL that plays a video for so many seconds. It is a secret while it lives.

        Raises:
            Problem: it cannot be played, or not yet. OssUnavailable: nothing is known.
        """
        try:
            info = self._calls.now(lambda vod: vod.get_play_info(media_id, expires_s=life_s))
        except (NotFound, AccessDenied) as error:
            if error.code.startswith(("InvalidVideo", "Forbidden.IllegalStatus")):
                raise Problem("vod-not-playable") from None
            raise OssUnavailable(f"VOD: {said(error)}") from None
        except OssMediaError as error:
            raise OssUnavailable(f"VOD: {said(error)}") from None
        streams = [stream.get("PlayURL", "") for stream in info["PlayInfoList"]["PlayInfo"]]
        if not streams or not streams[0]:
            raise Problem("vod-not-playable")
        return str(streams[0])

    def delete(self, media_id: str) -> None:
        """Deletes a video; that it is not there is no error.

        Raises:
            OssUnavailable: VOD refused, or gave no answer.
        """
        try:
            kept = self._calls.now(lambda vod: vod.delete_video(media_id))
        except NotFound:
            kept = []
        except OssMediaError as error:
            raise OssUnavailable(f"VOD: {said(error)}") from None
        if kept:
            raise OssUnavailable("VOD: the video may not be deleted")
        self._media.set_status(media_id, "Deleted")

    def close(self) -> None:
        """Gives the threads back; calls in flight end first."""
        self._calls.close()


def said(error: OssMediaError) -> str:
    """What may be told of VOD's refusal: its code, never a text."""
    return error.code if isinstance(error, ServiceError) else type(error).__name__
