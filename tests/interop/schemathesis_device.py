"""Loaded by schemathesis: signs each of its requests as a device does.

In flow requests that it made up and the key in OSSMEDIA_TEST_DEVICE, out flow the same requests
with an Authorization header that holds, so that what lies behind authentication is fuzzed.
"""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis

from ossmedia.device_auth import Claim, DeviceKey, new_nonce, sign_request


class Signed(requests.auth.AuthBase):
    def __init__(self, device_id: str, key: str) -> None:
        self._id, self._key = device_id, DeviceKey.parse(key)

    def __call__(self, request: Any) -> Any:
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        host = urlsplit(request.url).netloc
        claim = Claim(self._id, self._key.id, str(int(time.time())), "", new_nonce())
        claim = sign_request(self._key, claim, request.method, request.path_url, host, content)
        request.headers["Authorization"] = claim.header()
        return request


device, _, text = os.environ.get("OSSMEDIA_TEST_DEVICE", "").partition(" ")
if device:
    schemathesis.auth.set_from_requests(Signed(device, text))
