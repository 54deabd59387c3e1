"""VOD: upload addresses and credentials, media and their states, play information.

What flows in: RPC calls whose callers were authenticated, and objects as they are stored. What
flows out: the answers of eight operations, or the documented refusals, and events. It never
transcodes: what was uploaded is the one stream there is. Media and settings survive a restart.

Source: ApsaraVideo VOD 2017-03-21: CreateUploadVideo, RefreshUploadVideo, CreateUploadImage,
CreateUploadAttachedMedia, GetVideoInfo, GetPlayInfo, SearchMedia, DeleteVideo.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from . import vod_answers as answers
from . import vod_checks as check
from . import vod_search as search
from . import vod_tickets as tickets
from .cloud import Cloud
from .errors import RpcError
from .identities import Caller, Identities
from .policies import Context, Evaluation
from .records import StoredObject
from .rpc import Call
from .vod_events import Events
from .vod_media import Kind, Media, Medium
from .vod_settings import VodSettings

VERSION = "2017-03-21"
MAX_DELETED = 20

Answer = dict[str, Any]
Operation = Callable[[Call, Caller, Identities, float, Context], Answer]


class Vod:
    """The VOD of one cloud; the event loop's thread calls it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._media = Media(cloud.store)
        stored = cloud.store.fact("vod_settings")
        self.settings = VodSettings.from_json(stored) if stored else VodSettings()
        self._events = Events(cloud, self._media, self.settings)
        self._pages = search.Pages()
        self._bucket = tickets.bucket_name(cloud)
        cloud.store.hidden_bucket = self._bucket
        cloud.store.on_put = self._object_stored
        handlers: dict[str, Callable[[Call], Answer]] = {
            "CreateUploadVideo": self._create_video,
            "RefreshUploadVideo": self._refresh_video,
            "CreateUploadImage": self._create_image,
            "CreateUploadAttachedMedia": self._create_attached,
            "GetVideoInfo": self._video_info,
            "GetPlayInfo": self._play_info,
            "SearchMedia": self._search,
            "DeleteVideo": self._delete,
        }
        self.operations: Mapping[tuple[str, str], Operation] = {
            (VERSION, name): self._guarded(handler) for name, handler in handlers.items()
        }

    def change(self, values: dict[str, Any]) -> None:
        """Change settings; they are kept over a restart.

        Raises:
            ValueError: naming the setting.
        """
        self.settings.change(values)
        self._cloud.store.set_fact("vod_settings", self.settings.to_json())

    def reset(self) -> None:
        """Forget all media, events and settings. Inside a transaction."""
        self._media.clear()
        self.settings = self._events.settings = VodSettings()
        self._cloud.store.set_fact("vod_settings", "")

    def _guarded(self, handler: Callable[[Call], Answer]) -> Operation:
        def guarded(
            call: Call, caller: Caller, identities: Identities, now: float, context: Context
        ) -> Answer:
            del now
            resource = f"acs:vod:{self._cloud.region}:{identities.account_id}:*"
            wanted = [(f"vod:{call.action}", resource)]
            allowed = Evaluation().authorize(caller, wanted, context=context) == "allow"
            if not allowed and caller.kind != "root":
                raise RpcError(403, "Forbidden", "User not authorized to operate on this resource.")
            self._events.wake()
            return handler(call)

        return guarded

    def _status(self, medium: Medium) -> str:
        return medium.status(self._cloud.clock.now(), self.settings.processing_s)

    # -- objects ---------------------------------------------------------------------------------

    def _object_stored(self, stored: StoredObject) -> None:
        """An object of VOD's bucket is whole: its medium's upload is, too. In the transaction that
        stores it, so that there is never one without the other."""
        medium = self._media.find_key(stored.key) if stored.bucket == self._bucket else None
        if medium is None:
            return
        if stored.kind == "Appendable":
            self._cloud.guess("an appended object does not complete the upload of a VOD medium")
            return
        medium.uploaded_s = medium.modified_s = self._cloud.clock.now()
        medium.size = stored.size
        self._media.put(medium)
        self._events.add(medium, tickets.file_url(self._cloud, medium))

    # -- uploads ---------------------------------------------------------------------------------

    def _create_video(self, call: Call) -> Answer:
        ext = check.file_extension(call)
        check.required(call, "Title")
        reference = check.reference(call)
        if reference and self._media.find_reference(reference) is not None:
            self._cloud.guess("a ReferenceId that is in use is InvalidParameter")
            raise check.invalid("ReferenceId", "is in use")
        kind: Kind = "audio" if ext in check.AUDIO_EXTENSIONS else "video"
        medium = self._create(call, kind, "sv", ext, reference)
        return {"VideoId": medium.id, **self._ticket(medium)}

    def _create_image(self, call: Call) -> Answer:
        check.required(call, "ImageType")
        kind = check.one_of(call, "ImageType", ("default", "cover"))
        ext = check.one_of(call, "ImageExt", check.IMAGE_EXTENSIONS)
        medium = self._create(call, "image", f"image/{kind}", ext)
        url = tickets.file_url(self._cloud, medium)
        return {"ImageId": medium.id, "ImageURL": url, "FileURL": url, **self._ticket(medium)}

    def _create_attached(self, call: Call) -> Answer:
        check.required(call, "BusinessType")
        kind = check.one_of(call, "BusinessType", tuple(check.ATTACHED_EXTENSIONS))
        ext = check.one_of(call, "MediaExt", check.ATTACHED_EXTENSIONS[kind])
        medium = self._create(call, "attached", f"attached/{kind}", ext)
        url = tickets.file_url(self._cloud, medium)
        return {"MediaId": medium.id, "MediaURL": url, "FileURL": url, **self._ticket(medium)}

    def _create(self, call: Call, kind: Kind, folder: str, ext: str, reference: str = "") -> Medium:
        cloud, now = self._cloud, self._cloud.clock.now()
        title = check.text(call, "Title", check.MAX_TITLE, cloud)
        details = check.details(call, cloud, tickets.storage_location(cloud))
        key = tickets.new_key(folder, ext)
        medium = Medium(uuid.uuid4().hex, kind, key, ext, title, now, now, reference, details)
        for name in ("ImageType", "BusinessType"):
            if call.parameters.get(name):
                details[name] = call.parameters[name].lower()
        with cloud.store.transaction():
            tickets.make_bucket(cloud)
            self._media.put(medium)
        return medium

    def _ticket(self, medium: Medium) -> Answer:
        return dict(tickets.ticket(self._cloud, medium, self.settings.ticket_s))

    def _refresh_video(self, call: Call) -> Answer:
        medium = self._named_video(call)
        return {"VideoId": medium.id, **self._ticket(medium)}

    # -- queries ---------------------------------------------------------------------------------

    def _named_video(self, call: Call) -> Medium:
        own = check.reference(call)
        found = (
            self._media.find_reference(own)
            if own
            else self._media.find(check.required(call, "VideoId"))
        )
        if found is None or found.kind not in ("video", "audio"):
            raise RpcError(404, "InvalidVideo.NotFound", "The video does not exist.")
        return found

    def _video_info(self, call: Call) -> Answer:
        medium = self._named_video(call)
        return {"Video": answers.video(medium, self._status(medium), self._cloud.region)}

    def _play_info(self, call: Call) -> Answer:
        medium = self._named_video(call)
        life_s = check.number(call, "AuthTimeout", 3600, 1, 2_592_000)
        output = check.one_of(call, "OutputType", ("cdn", "oss"))
        if output == "cdn":
            self._cloud.guess("play URLs lead to OSS: there is no CDN here")
        if self._status(medium) != "Normal":
            message = "The current status of the video is illegal: it cannot be played yet."
            raise RpcError(403, "Forbidden.IllegalStatus", message)
        formats = [text for text in call.parameters.get("Formats", "").lower().split(",") if text]
        if formats and medium.ext not in formats:
            self._cloud.guess("a video without a stream of the wanted Formats is InvalidVideo")
            message = "The video has no stream of the wanted formats."
            raise RpcError(404, "InvalidVideo.NoneStream", message)
        url = tickets.play_url(self._cloud, medium, life_s)
        return answers.play_info(medium, url)

    def _search(self, call: Call) -> Answer:
        kind = check.one_of(call, "SearchType", ("video", "audio", "image", "attached"))
        test = search.parse_match(call.parameters.get("Match", ""))
        rows = [
            search.row_of(medium, self._status(medium))
            for medium in self._media.all()
            if medium.kind == kind
        ]
        found = [row for row in rows if test(row.fields)]
        found = search.sorted_rows(found, call.parameters.get("SortBy", ""))
        page, token = self._pages.page(call, found)
        names = [name.strip() for name in call.parameters.get("Fields", "").split(",") if name]
        shown = [self._hit(row, names) for row in page]
        return {"Total": len(found), "ScrollToken": token, "MediaList": shown}

    def _hit(self, row: search.Row, names: list[str]) -> Answer:
        url = tickets.file_url(self._cloud, row.medium)
        return answers.hit(row.medium, row.fields["Status"], self._cloud.region, url, names)

    def _delete(self, call: Call) -> Answer:
        ids = [text for text in check.required(call, "VideoIds").split(",") if text]
        if len(ids) > MAX_DELETED:
            raise RpcError(400, "VideoIdsExceededMax", "The VideoIds exceeded maximum.")
        found = {id: self._media.find(id) for id in ids}
        videos = [
            medium
            for medium in found.values()
            if medium is not None and medium.kind in ("video", "audio")
        ]
        if not videos:
            raise RpcError(404, "InvalidVideo.NotFound", "The video does not exist.")
        store = self._cloud.store
        with store.transaction():
            for medium in videos:
                self._media.delete(medium.id)
                stored = store.object(self._bucket, medium.key)
                if stored is not None:
                    store.delete_object(stored)
        gone = {medium.id for medium in videos}
        return {"NonExistVideoIds": [id for id in found if id not in gone], "ForbiddenVideoIds": []}
