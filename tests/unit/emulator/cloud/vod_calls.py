"""Signed calls of VOD, written for the tests from the documents."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import secrets
import time
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from ossmedia.emulator.canonical import iso_seconds
from ossmedia.emulator.serve import Emulator


class Ticket(NamedTuple):
    """What a call that creates an upload answered, decoded."""

    id: str
    endpoint: str
    bucket: str
    key: str
    auth: dict[str, str]

    @property
    def credentials(self) -> tuple[str, str, str]:
        return self.auth["AccessKeyId"], self.auth["AccessKeySecret"], self.auth["SecurityToken"]


def decoded(answer: dict[str, Any]) -> Ticket:
    (id,) = (answer[name] for name in ("VideoId", "ImageId", "MediaId") if name in answer)
    address = json.loads(base64.b64decode(answer["UploadAddress"], validate=True))
    auth = json.loads(base64.b64decode(answer["UploadAuth"], validate=True))
    assert set(address) == {"Endpoint", "Bucket", "FileName"}
    return Ticket(id, address["Endpoint"], address["Bucket"], address["FileName"], auth)


class VodCaller:
    """The VOD of one cloud, called over RPC 1.0 with one key."""

    def __init__(self, emulator: Emulator, key: tuple[str, ...] | None = None) -> None:
        self.emulator = emulator
        self.key = key or (emulator.access_key_id, emulator.access_key_secret)

    def form(self, action: str, parameters: dict[str, str]) -> str:
        sent = {
            "Action": action,
            "Version": "2017-03-21",
            "Format": "JSON",
            "AccessKeyId": self.key[0],
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": secrets.token_hex(16),
            "Timestamp": iso_seconds(time.time() + self.emulator.cloud.clock.offset_s),
            **({"SecurityToken": self.key[2]} if len(self.key) > 2 else {}),
            **parameters,
        }
        pairs = "&".join(
            f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in sorted(sent.items())
        )
        text = f"POST&%2F&{quote(pairs, safe='')}"
        digest = hmac.digest(f"{self.key[1]}&".encode(), text.encode(), "sha1")
        return urlencode({**sent, "Signature": base64.b64encode(digest).decode()})

    def raw(self, action: str, **parameters: str) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(
            self.emulator.vod_endpoint.partition("://")[2], timeout=20
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/", self.form(action, parameters), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers["Content-Type"], body

    def call(self, action: str, **parameters: str) -> tuple[int, Any]:
        status, _, body = self.raw(action, **parameters)
        return status, json.loads(body)

    def done(self, action: str, **parameters: str) -> Any:
        status, answer = self.call(action, **parameters)
        assert status == 200, answer
        assert len(answer["RequestId"]) == 36
        return answer

    def refused(self, action: str, **parameters: str) -> tuple[int, str]:
        status, answer = self.call(action, **parameters)
        assert set(answer) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
        return status, answer["Code"]

    def video(self, **parameters: str) -> Ticket:
        """CreateUploadVideo of an MP4."""
        wanted = {"FileName": "a.mp4", "Title": "gate", **parameters}
        return decoded(self.done("CreateUploadVideo", **wanted))

    def refresh(self, ticket: Ticket) -> Ticket:
        return decoded(self.done("RefreshUploadVideo", VideoId=ticket.id))

    def status(self, ticket: Ticket) -> str:
        text: str = self.done("GetVideoInfo", VideoId=ticket.id)["Video"]["Status"]
        return text
