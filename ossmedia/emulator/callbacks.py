"""Upload callbacks: the cloud tells the application's server, and its answer becomes the client's.

What flows in: the callback a client asked for, and the stored object. What flows out: a real POST
to the named server and either its body or 203 CallbackFailed; the object stays in both cases. With
the package ``cryptography`` the POST is signed as OSS signs it, with a key that lives as long as
the process; without it the two signature headers are left out. It follows no redirect.

Source: OSS, "Callback" and "Upload callbacks".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import http.client
import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from .answer import Answer, refusal
from .cloud import Cloud
from .errors import OssError
from .records import StoredObject
from .request import Request, invalid

MAX_PARAMETER = 5 * 1024
MAX_ANSWER = 1024 * 1024
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_KNOWN = frozenset(
    (
        *("bucket", "object", "etag", "size", "mimeType", "crc64", "contentMd5", "operation"),
        *("imageInfo.height", "imageInfo.width", "imageInfo.format"),
        *("vpcId", "clientIp", "reqId"),
    )
)


class Callback(NamedTuple):
    """A checked callback: where to, what body, and the client's own variables."""

    urls: tuple[str, ...]
    host: str
    body: str
    body_type: str
    variables: dict[str, str]


def wanted(request: Request) -> Callback | None:
    """The callback that a request asks for, in its headers or its query.

    Raises:
        OssError: 400 InvalidArgument for one that could not be carried out.
    """
    in_header, in_query = request.header.get("x-oss-callback"), request.query.get("callback")
    if in_header is not None and in_query is not None:
        raise invalid("callback", "", "is given in the header and in the query")
    text = in_header if in_header is not None else in_query
    if text is None:
        return None
    variables = request.header.get("x-oss-callback-var", request.query.get("callback-var"))
    return parse(text, {} if variables is None else _variables(variables))


def parse(text: str, variables: dict[str, str]) -> Callback:
    """A callback from base64 of JSON.

    Raises:
        OssError: 400 InvalidArgument.
    """
    values = _decode(text, "callback")
    urls = tuple(str(values.get("callbackUrl", "")).split(";"))
    body, kind = values.get("callbackBody", ""), values.get("callbackBodyType", _FORM)
    if not all(urls) or len(urls) > 5:
        raise invalid("callbackUrl", ";".join(urls), "must hold 1 to 5 URLs")
    for url in urls:
        _split(url)
    if not isinstance(body, str) or not body:
        raise invalid("callbackBody", "", "must not be empty")
    if kind not in (_FORM, _JSON):
        raise invalid("callbackBodyType", str(kind), f"must be {_FORM} or {_JSON}")
    for name in _VARIABLE.findall(body):
        if name not in _KNOWN and not name.startswith("x:"):
            raise invalid("callbackBody", name, "holds an unknown variable")
    return Callback(urls, str(values.get("callbackHost", "")), body, kind, variables)


def _variables(text: str) -> dict[str, str]:
    values = _decode(text, "callback-var")
    # oss2 sends names without their "x:", and the service takes them.
    return {name.removeprefix("x:"): str(value) for name, value in values.items()}


def _decode(text: str, name: str) -> dict[str, object]:
    if len(text) > MAX_PARAMETER:
        raise invalid(name, "", f"may hold {MAX_PARAMETER} bytes")
    try:
        values = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise invalid(name, text, "must be base64 of JSON") from None
    if not isinstance(values, dict):
        raise invalid(name, text, "must be base64 of a JSON object")
    return values


class Target(NamedTuple):
    """A callback URL in pieces."""

    secure: bool
    host: str
    port: int | None
    path: str


def _split(url: str) -> Target:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        raise invalid("callbackUrl", url, "has a port that is no number") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("callbackUrl", url, "must be an http or https URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", parts.hostname, port, path)


def body_of(callback: Callback, values: Mapping[str, str | int]) -> bytes:
    """The body to post, with every ``${...}`` replaced as the body's type demands."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        value: str | int = (
            callback.variables.get(name[2:], "") if name[:2] == "x:" else values.get(name, "")
        )
        if callback.body_type == _JSON:
            return json.dumps(value)
        return quote(str(value), safe="")

    return _VARIABLE.sub(replace, callback.body).encode()


def _values(request: Request, stored: StoredObject) -> dict[str, str | int]:
    return {
        "bucket": stored.bucket,
        "object": stored.key,
        "etag": stored.etag,
        "size": stored.size,
        "mimeType": stored.attributes.content_type,
        "crc64": str(stored.crc),
        "contentMd5": stored.md5,
        "clientIp": request.client_ip,
        "reqId": request.id,
        "operation": request.operation,
    }


async def perform(
    cloud: Cloud, request: Request, callback: Callback, stored: StoredObject, answer: Answer
) -> Answer:
    """Call the application's server; its answer becomes the body of *answer*.

    Returns:
        200 with the server's JSON, or 203 with CallbackFailed; the headers of *answer* stay.
    """
    body = body_of(callback, _values(request, stored))
    failure = ""
    for url in callback.urls:
        try:
            async with asyncio.timeout(cloud.limits.callback_timeout_s):
                reply = await asyncio.to_thread(_post, cloud, callback, url, body, request.id)
        except TimeoutError:
            failure = "no answer in time"
        except _Failed as error:
            failure = str(error)
        else:
            answer.set("Content-Type", _JSON)
            answer.status, answer.body = 200, reply
            return answer
    failed = OssError(
        203,
        "CallbackFailed",
        f"Error status : -1. Callback failed: {failure}.",
        ec="0007-00000203",
        headers={name: value for name, value in answer.headers if name != "Content-Type"},
    )
    return refusal(request, request.id, failed)


class _Failed(Exception):
    """A callback server that did not answer as it must."""


def _post(cloud: Cloud, callback: Callback, url: str, body: bytes, request_id: str) -> bytes:
    target = _split(url)
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=cloud.limits.callback_timeout_s)
    headers = {
        "User-Agent": "http-client/0.0.1",
        "Content-Type": callback.body_type,
        "Connection": "close",
        "x-oss-request-id": request_id,
    }
    if callback.host:
        headers["Host"] = callback.host
    if cloud.callback_key is not None:
        path, mark, query = target.path.partition("?")
        headers |= cloud.callback_key.headers(unquote(path) + mark + query, body)
    try:
        connection.request("POST", target.path, body, headers)
        reply = connection.getresponse()
        length = reply.getheader("Content-Length", "")
        content = reply.read(MAX_ANSWER + 1)
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(f"{type(error).__name__} at {target.host}") from None
    finally:
        connection.close()
    if reply.status != 200:
        raise _Failed(f"status {reply.status}")
    if not length.isdecimal() or int(length) != len(content) or len(content) > MAX_ANSWER:
        raise _Failed("the answer needs a Content-Length of at most 1 MB")
    try:
        json.loads(content)
    except ValueError:
        raise _Failed("the answer is no JSON") from None
    return content
