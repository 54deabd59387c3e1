"""What ``ossmedia vod ...`` does: uploads into ApsaraVideo VOD with the environment's own key.

In flow arguments and a file, out flow a medium and lines about it. A ticket is printed by
``refresh`` alone, whose purpose it is.
"""

from __future__ import annotations

import json
import os

from ossmedia import vod
from ossmedia.credentials import EnvironmentCredentials
from ossmedia.terminal import Progress, printable
from ossmedia.ticket import ALLOWED_HOSTS, UploadTicket
from ossmedia.vod_api import VodService

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


def _ticket(args: Namespace, grant: UploadGrant) -> UploadTicket:
    """The grant's ticket; it may lead to Alibaba Cloud, or where the caller says."""
    own = args.endpoint or os.environ.get("OSSMEDIA_ENDPOINT", "")
    allowed = (*ALLOWED_HOSTS, own) if own else ALLOWED_HOSTS
    return UploadTicket.from_json(grant.to_json(), allowed_hosts=allowed)


def upload(args: Namespace) -> int:
    """A file into a new medium, its ticket refreshed as often as it takes."""
    service = _service(args)
    size = os.stat(args.file).st_size
    name = os.path.basename(args.file)
    grant = service.create_upload_video(
        args.title or name,
        name,
        file_size=size,
        description=args.description,
        tags=args.tag,
        reference_id=args.reference_id,
    )
    with Progress(args, name) as progress:
        receipt = vod.upload(
            args.file,
            _ticket(args, grant),
            refresh=lambda video: _ticket(args, service.refresh_upload_video(video)),
            progress=progress.callback,
            ca_file=args.ca_file,
        )
    if args.json:
        print(json.dumps({"VideoId": grant.media_id, **receipt.to_json()}))
    elif not args.quiet:
        print(f"{grant.media_id}: {receipt.size} bytes, CRC-64 {receipt.crc64}")
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
