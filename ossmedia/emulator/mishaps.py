"""Faults in the act: what a rule does to one request.

What flows in: the rule that fired, the request, and later its answer. What flows out: delays,
made-up answers, spoiled answers, closed and reset connections. It never touches stored data;
whether the operation took effect depends only on when the rule acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from .answer import Answer, refusal
from .cloud import Cloud
from .errors import OssError
from .faults import Rule
from .request import Request
from .wire import CloudProtocol, Send

_GARBAGE = b"<html><body><h1>Bad gateway</h1><p>no XML, <b>and not closed"
_MADE = ("status", "early", "skew", "expire")


class Dropped(Exception):
    """The connection has to be closed without an answer."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "dropped")
        self.reset = reset


def _error(rule: Rule, cloud: Cloud) -> OssError:
    """The refusal a rule makes up."""
    headers = dict(rule.headers)
    if rule.action == "expire":
        message = "The security token you provided has expired."
        return OssError(403, "SecurityTokenExpired", message, headers=headers)
    if rule.action == "skew":
        headers["Date"] = cloud.clock.http_date(rule.seconds)
        message = "The difference between the request time and the current time is too large."
        ec = "0002-00000504"
        extra = {"MaxAllowedSkewMilliseconds": "900000", "ServerTime": headers["Date"]}
        return OssError(403, "RequestTimeTooSkewed", message, ec=ec, extra=extra, headers=headers)
    return OssError(rule.status, rule.code, rule.message, headers=headers)


async def _act(rule: Rule, cloud: Cloud) -> Answer | None:
    """Do what the rule says, now."""
    if rule.action in _MADE:
        raise _error(rule, cloud)
    if rule.action in ("drop", "reset"):
        raise Dropped(reset=rule.action == "reset")
    if rule.action == "stall":
        await asyncio.sleep(rule.seconds)
    if rule.action == "garbage":
        return _garbage(rule)
    return None


def _garbage(rule: Rule) -> Answer:
    headers = [*rule.headers.items(), ("Content-Type", "text/html")]
    return Answer(rule.status, headers, _GARBAGE)


async def before(rule: Rule, cloud: Cloud, request: Request) -> Answer | None:
    """What happens before the operation, or while its body arrives.

    Returns:
        An answer that takes the place of the operation, or None.

    Raises:
        OssError: the refusal the rule makes up.
        Dropped: the connection has to go.
    """
    if rule.body_bytes >= 0:

        async def watch(received: int) -> None:
            if received >= rule.body_bytes:
                request.body.watch = None
                await _act(rule, cloud)

        request.body.watch = watch
        return None
    if rule.when == "after":
        return None
    if rule.action in ("drop", "status", "garbage", "expire", "skew"):
        # The client sends everything, and only then learns that it was for nothing.
        await _swallow(request)
    return await _act(rule, cloud)


async def _swallow(request: Request) -> None:
    if request.has_body and not request.expects_continue:
        while not request.body.complete:
            await request.body.skip()


async def after(rule: Rule, cloud: Cloud, answer: Answer) -> None:
    """What happens to the answer of an operation that took effect.

    Raises:
        Dropped: the answer is lost.
    """
    if rule.action == "wrong_crc":
        answer.set("x-oss-hash-crc64ecma", str(int(answer.get("x-oss-hash-crc64ecma") or 0) ^ 1))
    elif rule.action == "drop_crc":
        answer.drop("x-oss-hash-crc64ecma")
    elif rule.action == "wrong_etag":
        answer.set("ETag", f'"{"0" * 32}"')
    elif rule.action == "close":
        answer.close = True
    elif rule.action == "date":
        answer.set("Date", cloud.clock.http_date(rule.seconds))
    if rule.when == "after" and rule.body_bytes < 0:
        await _after_effect(rule, cloud, answer)


async def _after_effect(rule: Rule, cloud: Cloud, answer: Answer) -> None:
    if rule.action in ("drop", "reset"):
        raise Dropped(reset=rule.action == "reset")
    if rule.action == "stall":
        await asyncio.sleep(rule.seconds)
    made: Answer | None = None
    if rule.action in _MADE:
        made = refusal(None, "", _error(rule, cloud))
    elif rule.action == "garbage":
        made = _garbage(rule)
    if made is not None:
        answer.status, answer.headers, answer.body = made.status, made.headers, made.body
        answer.segments = None


def faulty_send(rule: Rule, send: Send, protocol: CloudProtocol) -> Send:
    """*send*, or one that cuts the answer's body or lets it drip."""
    if rule.action not in ("cut", "drip"):
        return send
    left = rule.answer_bytes

    async def cut(message: MutableMapping[str, Any]) -> None:
        nonlocal left
        if message["type"] == "http.response.body":
            piece = message["body"][:left]
            left -= len(piece)
            if left <= 0:
                protocol.last_words(piece)
                raise Dropped(reset=False)
            message = {**message, "body": piece}
        await send(message)

    async def drip(message: MutableMapping[str, Any]) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        body, more = message["body"], message["more_body"]
        for start in range(0, len(body), max(1, rule.answer_bytes)):
            piece = body[start : start + max(1, rule.answer_bytes)]
            await send({"type": message["type"], "body": piece, "more_body": True})
            await asyncio.sleep(rule.seconds)
        if not more:
            await send({"type": message["type"], "body": b"", "more_body": False})

    return cut if rule.action == "cut" else drip
