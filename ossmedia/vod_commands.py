"""What ``ossmedia vod ...`` does: uploads into ApsaraVideo VOD, by tickets of an application server
or with the environment's own key.

In flow arguments and a file, out flow a medium and lines about it. A ticket is printed by
``refresh`` alone, whose purpose it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ossmedia import vod
from ossmedia.credentials import EnvironmentCredentials
from ossmedia.terminal import Progress, printable
from ossmedia.ticket import ALLOWED_HOSTS, UploadTicket
from ossmedia.vod_api import VodService
from ossmedia.vod_tickets import AppServerTickets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ossmedia.vod_answers import UploadGrant

__all__ = ["info", "refresh", "upload"]


def _service(args: Namespace) -> VodService:
    region = args.region or os.environ.get("OSSMEDIA_REGION", "")
    if not region:
        raise ValueError("--region: needed, or OSSMEDIA_REGION")
    return VodService(
        credentials=EnvironmentCredentials()(),
        region=region,
        endpoint=args.vod_endpoint or os.environ.get("OSSMEDIA_VOD_ENDPOINT", ""),
        ca_file=args.ca_file,
    )


def _allowed(args: Namespace) -> tuple[str, ...]:
    """Where tickets may lead: to Alibaba Cloud, and where the caller says."""
    own = args.endpoint or os.environ.get("OSSMEDIA_ENDPOINT", "")
    return (*ALLOWED_HOSTS, own) if own else ALLOWED_HOSTS


class _FromVod:
    """Tickets that VOD gives to the environment's own key."""

    def __init__(self, args: Namespace) -> None:
        self._args = args
        self._service = _service(args)

    def create(self, title: str, file_name: str, size: int) -> UploadTicket:
        args = self._args
        return self._ticket(
            self._service.create_upload_video(
                title,
                file_name,
                file_size=size,
                description=args.description,
                tags=args.tag,
                reference_id=args.reference_id,
            )
        )

    def refresh(self, media_id: str) -> UploadTicket:
        return self._ticket(self._service.refresh_upload_video(media_id))

    def _ticket(self, grant: UploadGrant) -> UploadTicket:
        return UploadTicket.from_json(grant.to_json(), allowed_hosts=_allowed(self._args))


class _FromServer:
    """Tickets that an application server gives to a device."""

    def __init__(self, args: Namespace) -> None:
        for name in ("device", "device_key"):
            if not getattr(args, name):
                raise ValueError(f"--{name.replace('_', '-')}: needed with --server")
        if args.reference_id:
            raise ValueError("--reference-id: the application server makes its own")
        self._args = args
        self._tickets = AppServerTickets(
            args.server,
            args.device,
            Path(args.device_key),
            ca_file=args.ca_file or None,
            allow_insecure=args.allow_http,
            allowed_hosts=_allowed(args),
        )

    def create(self, title: str, file_name: str, size: int) -> UploadTicket:
        more = {"description": self._args.description, "tags": self._args.tag}
        return self._tickets.create(title, file_name, size, **more)

    def refresh(self, media_id: str) -> UploadTicket:
        return self._tickets.refresh(media_id)


def upload(args: Namespace) -> int:
    """A file into a new medium, its ticket refreshed as often as it takes."""
    if not args.server and (args.device or args.device_key):
        raise ValueError("--device, --device-key: only with --server")
    source = _FromServer(args) if args.server else _FromVod(args)
    size = os.stat(args.file).st_size
    name = os.path.basename(args.file)
    begun = vod.unfinished(args.checkpoint, args.file) if args.checkpoint else ""
    ticket = source.refresh(begun) if begun else source.create(args.title or name, name, size)
    with Progress(args, name) as progress:
        receipt = vod.upload(
            args.file,
            ticket,
            refresh=source.refresh,
            progress=progress.callback,
            checkpoint=args.checkpoint or None,
            ca_file=args.ca_file,
        )
    if args.json:
        print(json.dumps({"VideoId": ticket.media_id, **receipt.to_json()}))
    elif not args.quiet:
        print(f"{ticket.media_id}: {receipt.size} bytes, CRC-64 {receipt.crc64}")
    return 0


def refresh(args: Namespace) -> int:
    """A new ticket for a video, as JSON. It holds credentials."""
    print(json.dumps(_service(args).refresh_upload_video(args.video_id).to_json()))
    return 0


def info(args: Namespace) -> int:
    """What VOD says of a video, and with --play where it can be watched."""
    service = _service(args)
    found = service.get_video_info(args.video_id)
    if args.play:
        streams = service.get_play_info(args.video_id)["PlayInfoList"]["PlayInfo"]
        found["PlayURL"] = [stream["PlayURL"] for stream in streams]
    if args.json:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        for one in value if isinstance(value, list) else [value]:
            print(f"{name + ':':22}{printable(_shown(one))}")
    return 0


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
