"""VOD's news for the application's server: an upload is complete.

What flows in: a medium whose object was stored, inside the transaction that stored it. What flows
out: one POST with VOD's authentication headers, tried at most three times and remembered over a
restart, so that it may come twice but not never. It follows no redirect and ignores the answer's
body.

Source: ApsaraVideo VOD, "HTTP callback" and "Callback authentication", FileUploadComplete.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import logging
from typing import Any
from urllib.parse import urlsplit

from .canonical import iso_seconds
from .cloud import Cloud
from .vod_media import Media, Medium, user_data
from .vod_settings import VodSettings

ATTEMPTS = 3
TIMEOUT_S = 5.0

_log = logging.getLogger("ossmedia.emulator")


class Events:
    """The events of one cloud; ``add`` and ``wake`` are called in the event loop's thread."""

    def __init__(self, cloud: Cloud, media: Media, settings: VodSettings) -> None:
        self._cloud = cloud
        self._media = media
        self.settings = settings
        self._task: asyncio.Task[None] | None = None

    def add(self, medium: Medium, file_url: str) -> None:
        """The upload of a medium is complete. Without a callback in the settings nobody is told,
        not even the URL of the medium's own ``UserData``."""
        if not self.settings.callback_url:
            return
        own = user_data(medium.details.get("UserData", "")).get("MessageCallback")
        url = own.get("CallbackURL", "") if isinstance(own, dict) else ""
        body = self._body(medium, file_url)
        self._media.add_event(url or self.settings.callback_url, json.dumps(body))
        asyncio.get_running_loop().call_soon(self.wake)

    def _body(self, medium: Medium, file_url: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "EventTime": iso_seconds(self._cloud.clock.now()),
            "Size": medium.size,
            "AppId": medium.details["AppId"],
            "UserId": int(self._cloud.identities.account_id),
        }
        if medium.kind == "image":
            body |= {"EventType": "ImageUploadComplete", "ImageId": medium.id}
            body |= {"FileURL": file_url, "Status": "success"}
        elif medium.kind == "attached":
            body |= {"EventType": "AttachedMediaUploadComplete", "MediaId": medium.id}
            body |= {"AttachedMediaId": medium.id, "FileURL": file_url, "Status": "success"}
        else:
            body |= {"EventType": "FileUploadComplete", "VideoId": medium.id, "FileUrl": file_url}
        if medium.extend():
            body["Extend"] = medium.extend()
        return body

    def wake(self) -> None:
        """Begin to send what waits, if nobody does."""
        if (self._task is None or self._task.done()) and self._media.next_event() is not None:
            self._task = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while (event := self._media.next_event()) is not None:
            number, url, body = event
            for attempt in range(ATTEMPTS):
                if attempt:
                    await asyncio.sleep(self.settings.callback_pause_s)
                headers = self._headers(url)
                problem = await asyncio.to_thread(_post, url, body.encode(), headers)
                if not problem:
                    break
                _log.info("VOD event for %s, attempt %d: %s", url, attempt + 1, problem)
            self._media.settle_event(number)

    def _headers(self, url: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if self.settings.callback_key:
            stamp = str(int(self._cloud.clock.now()))
            headers["X-VOD-TIMESTAMP"] = stamp
            headers["X-VOD-SIGNATURE"] = signature(url, stamp, self.settings.callback_key)
        return headers


def signature(url: str, timestamp: str, key: str) -> str:
    """What VOD puts into ``X-VOD-SIGNATURE``; the body is not covered."""
    text = f"{url}|{timestamp}|{key}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _post(url: str, body: bytes, headers: dict[str, str]) -> str:
    """Post an event; returns what went wrong, empty for an answer 200."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return "" if status == 200 else f"status {status}"
