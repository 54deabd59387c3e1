"""Upload callbacks: OSS tells the server that an object was stored.

In flow a POST of OSS, out flows a row of the index, or a refusal. OSS signs for anybody who has a
bucket, so a good signature proves nothing about whose object it is: the callback must also carry
the mark that this server gave to the device, the object must lie in this server's bucket below that
device's prefix, and the server looks at it itself before anything is noted. The same callback may
come any number of times.

Source: OSS, "Callback".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ossmedia.errors import CredentialsError
from ossmedia.server.archive import Archive, Owner
from ossmedia.server.bodies import read_body
from ossmedia.server.callback_keys import CallbackKeys, KeyUnavailable
from ossmedia.server.device_door import json_response
from ossmedia.server.devices import Device
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.problems import Problem
from ossmedia.server.sealing import Vault

__all__ = ["Callbacks"]

_WAITING = 32
_LONGEST_KEY = 1023  # bytes
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_BODY = '{"bucket":${bucket},"object":${object},"etag":${etag},"session":${x:session}}'


@dataclass(frozen=True, slots=True)
class _Told:
    """What a callback says; none of it is believed."""

    bucket: str
    key: str
    session: str


class Callbacks:
    """The route of OSS's callbacks.

    Args:
        vault: makes the marks by which a device's callbacks are known.
        url: where OSS reaches this route; "": devices are not told to ask for callbacks.
    """

    def __init__(
        self, archive: Archive, keys: CallbackKeys, vault: Vault, url: str, timeout_s: float
    ) -> None:
        self._archive = archive
        self._keys = keys
        self._secret = vault.derive("callback")
        self._url = url
        self._timeout_s = timeout_s
        self._waiting = 0

    def routes(self) -> list[Route]:
        """The one route."""
        return [Route("/v1/callbacks/oss", self._callback, methods=["POST"])]

    def headers(self, device: Device) -> dict[str, str]:
        """What a device adds to a PUT so that OSS calls; nothing where callbacks are not set up."""
        if not self._url:
            return {}
        how = {"callbackUrl": self._url, "callbackBody": _BODY, "callbackBodyType": _JSON}
        variables = {"x:session": self._mark(device.id, device.prefix)}
        return {"x-oss-callback": _packed(how), "x-oss-callback-var": _packed(variables)}

    def _mark(self, camera: str, prefix: str) -> str:
        text = f"{camera}\n{prefix}\n{self._archive.oss.name}".encode()
        return f"{camera}.{hmac.digest(self._secret, text, 'sha256').hex()[:40]}"

    async def _callback(self, request: Request) -> Response:
        """POST /v1/callbacks/oss."""
        body = await read_body(request, self._timeout_s)
        if self._waiting >= _WAITING:
            raise Problem("busy", "callbacks: too many at once", retry_after_s=2)
        self._waiting += 1
        try:
            run = asyncio.get_running_loop().run_in_executor
            owner, told = await run(self._archive.threads, self._owner, request, body)
            request.scope["ossmedia.seen"]["device"] = owner.camera
            await run(self._archive.calls, self._check_signature, request, body)
            row = await run(self._archive.calls, self._archive.look, told.key, owner, "callback")
        except (OssUnavailable, CredentialsError):
            raise Problem("oss-unavailable", retry_after_s=5) from None
        finally:
            self._waiting -= 1
        return json_response({"recorded": row is not None})

    def _owner(self, request: Request, body: bytes) -> tuple[Owner, _Told]:
        """Whose object a callback is about, by the mark that it carries.

        Raises:
            Problem: callback-refused.
        """
        told = _read(request.headers.get("content-type", ""), body)
        camera = told.session.partition(".")[0]
        prefix = self._archive.prefix(camera) if camera else None
        expected = self._mark(camera, prefix or "")
        marked = hmac.compare_digest(expected.encode(), told.session.encode("utf-8", "replace"))
        below = prefix is not None and told.key.startswith(prefix + "/")
        if not marked or not below or told.bucket != self._archive.oss.name:
            raise Problem("callback-refused")
        assert prefix is not None
        return Owner(camera, prefix), told

    def _check_signature(self, request: Request, body: bytes) -> None:
        """Raises Problem(callback-refused) for what OSS has not signed."""
        given = (
            request.headers.getlist("authorization"),
            request.headers.getlist("x-oss-pub-key-url"),
        )
        if len(given[0]) != 1 or len(given[1]) != 1:
            raise Problem("callback-refused")
        scope = request.scope
        target: bytes = scope.get("ossmedia.target") or scope.get("raw_path") or b""
        path, mark, query = target.partition(b"?")
        if self._url:  # a proxy before this server may have changed the path
            path = urlsplit(self._url).path.encode()
        signed = unquote_to_bytes(path) + mark + query + b"\n" + body
        try:
            good = self._keys.signed(_plain(given[1][0]), _plain(given[0][0]), signed)
        except KeyUnavailable:
            raise Problem("callback-refused", "the key that signed it cannot be had") from None
        if not good:
            raise Problem("callback-refused")


def _packed(values: Mapping[str, str]) -> str:
    return base64.b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()


def _plain(text: str) -> bytes:
    """What a header holds in base64.

    Raises:
        Problem: callback-refused.
    """
    try:
        return base64.b64decode(text[:4096], validate=True)
    except (binascii.Error, ValueError):
        raise Problem("callback-refused") from None


def _read(content_type: str, body: bytes) -> _Told:
    """What a callback's body says, as JSON or as a form.

    Raises:
        Problem: callback-refused.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        text = body.decode("utf-8")
        data: Any = (
            dict(parse_qsl(text, strict_parsing=True)) if kind == _FORM else json.loads(text)
        )
        told = _Told(*(data[name] for name in ("bucket", "object", "session")))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Problem("callback-refused") from None
    texts = told.bucket, told.key, told.session
    if not all(isinstance(text, str) and text for text in texts):
        raise Problem("callback-refused")
    try:
        length = len(told.key.encode())
    except UnicodeEncodeError:
        length = 0
    if not 0 < length <= _LONGEST_KEY or len(told.session) > 200 or "\0" in told.key:
        raise Problem("callback-refused")
    return told
