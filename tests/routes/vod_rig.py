"""An application server on the local cloud's VOD, and devices that hold nothing but their key."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

from ossmedia import AppServerTickets, Credentials
from ossmedia.server.parts import Parts, open_registry
from ossmedia.server.serve import Running
from ossmedia.vod_api import VodService
from tests.unit.server.rig import write_settings

CALLBACK_KEY = "QJC7sYAWC82N"


def free_port() -> int:
    """A port that was free a moment ago: VOD's console must know the server's address before the
    server is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class VodServer:
    """One application server; a context manager. Several may share a folder's database.

    Args:
        tables: of the settings, over the usual ones.
        events: have VOD post its events here.
    """

    def __init__(
        self, cloud: Any, folder: Path, *, events: bool = False, clock: Any = None, **tables: Any
    ) -> None:
        self.cloud = cloud
        port = free_port() if events else 0
        url = f"http://127.0.0.1:{port}/v1/callbacks/vod" if events else ""
        vod = {
            "region": cloud.region,
            "endpoint": cloud.vod_endpoint,
            "role_arn": cloud.role_arn,
            "callback_url": url,
            **tables.pop("vod", {}),
        }
        self.settings = write_settings(
            folder,
            http={"port": port, **tables.pop("http", {})},
            sts={
                "role_arn": cloud.role_arn,
                "endpoint": cloud.sts_endpoint,
                "region": cloud.region,
                "secure_transport": False,
            },
            oss={"bucket": "cams", "endpoint": cloud.endpoint, "region": cloud.region},
            vod=vod,
            **tables,
        )
        self.environ = {
            "OSS_ACCESS_KEY_ID": cloud.access_key_id,
            "OSS_ACCESS_KEY_SECRET": cloud.access_key_secret,
            "OSSMEDIA_VOD_CALLBACK_KEYS": CALLBACK_KEY,
        }
        options = {} if clock is None else {"clock": clock}
        self.parts = Parts(self.settings, environ=self.environ, **options)
        self.running = Running(self.parts)
        self.url = self.running.url
        self.index = self.parts.archive.index
        self.database, _, self.registry = open_registry(self.settings)
        if events:
            cloud.set_vod(callback_url=url, callback_key=CALLBACK_KEY, callback_pause_s=0.05)

    def __enter__(self) -> VodServer:
        self.running.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.running.__exit__(None, None, None)
        self.database.close()

    def key(self, device_id: str, **record: Any) -> str:
        """Registers a device; gives its key."""
        text: str = self.registry.add(device_id, **record)[1]
        return text

    def tickets(self, device_id: str, key: str = "", **options: Any) -> AppServerTickets:
        """A device's view; it is registered if it has no key yet."""
        return AppServerTickets(
            self.url,
            device_id,
            key or self.key(device_id),
            allow_insecure=True,
            allowed_hosts=(self.cloud.endpoint,),
            **options,
        )

    def service(self, credentials: Credentials | None = None) -> VodService:
        """VOD, called with the account's own key, or another."""
        own = Credentials(self.cloud.access_key_id, self.cloud.access_key_secret)
        return VodService(
            credentials=credentials or own,
            region=self.cloud.region,
            endpoint=self.cloud.vod_endpoint,
        )

    def media(self) -> list[str]:
        """The ids of all videos that VOD has."""
        found = self.service().search_media(page_size=100)
        return [one["MediaId"] for one in found["MediaList"]]

    def played(self, media_id: str) -> bytes:
        """The bytes that VOD plays."""
        streams = self.service().get_play_info(media_id)["PlayInfoList"]["PlayInfo"]
        with urllib.request.urlopen(streams[0]["PlayURL"]) as reply:
            return bytes(reply.read())


def until(true: Any, seconds: float = 60.0) -> None:
    """Waits for something that another process or thread brings about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def event(**fields: Any) -> bytes:
    """An event's body as VOD writes it."""
    usual = {"EventTime": "2026-11-23T07:49:17Z", "EventType": "FileUploadComplete"}
    return json.dumps({**usual, **fields}).encode()
