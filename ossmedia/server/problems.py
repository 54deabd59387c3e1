"""Refusals as problem documents (RFC 9457), each with a stable code.

In flow a code and, where it helps, a detail, out flows a JSON answer. The table below is the whole
list. Details never repeat a secret, and those of the sender's identity are always the same text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

__all__ = ["CODES", "Problem", "problem_response"]

# code: HTTP status, title
CODES: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read"),
    "malformed-json": (400, "The body is no JSON object"),
    "unknown-field": (400, "The request holds a field that is not known"),
    "invalid-field": (400, "A field has a value that cannot be"),
    "unauthorized": (401, "The request is not signed by a known device"),
    "clock-skew": (401, "The request's time is too far from the server's"),
    "challenge-invalid": (401, "The challenge is over, or is not this device's"),
    "replayed": (401, "The request was seen before"),
    "signed-out": (401, "Nobody is signed in"),
    "sign-in-refused": (401, "The name or the password is wrong"),
    "device-disabled": (403, "The device is disabled"),
    "wrong-device": (403, "The request is about another device"),
    "prefix-outside": (403, "The prefix is not the device's"),
    "mode-not-allowed": (403, "The device may not have this mode"),
    "enrolment-refused": (403, "The code is not good for this device"),
    "forbidden": (403, "Not from this address"),
    "not-this-page": (403, "The request does not come from this server's own page"),
    "https-needed": (403, "Signing in needs https"),
    "callback-refused": (403, "The callback is not from OSS or VOD, or about nobody's recording"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "request-timeout": (408, "The request did not arrive in time"),
    "kept": (409, "The recording is kept"),
    "being-deleted": (409, "The recording is being deleted"),
    "not-a-file": (409, "This recording is not one file"),
    "vod-only": (409, "This recording lies in VOD, which this server has no access to"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-encoding": (415, "The body must be plain JSON"),
    "wrong-host": (421, "This server does not answer to this name"),
    "vod-refused": (422, "VOD refused this"),
    "too-many-requests": (429, "The device asks too often"),
    "client-token-used": (409, "The client token stands for another file"),
    "vod-not-playable": (409, "The video cannot be played, or not yet"),
    "vod-not-refreshable": (409, "VOD refreshes videos only; ask for another upload"),
    "too-many-sign-ins": (429, "Too many tries to sign in; come again"),
    "too-many-tokens": (429, "The device has too many different tokens"),
    "headers-too-large": (431, "The request's head is too large"),
    "internal": (500, "The server failed"),
    "sts-unavailable": (503, "No token can be had at the moment"),
    "vod-unavailable": (503, "VOD does not answer the server"),
    "oss-unavailable": (503, "OSS does not answer the server"),
    "over-budget": (503, "Too many tokens were asked for; come again"),
    "store-unavailable": (503, "The server's database does not answer"),
    "busy": (503, "Too many requests wait; come again"),
}


@dataclass(eq=False)
class Problem(Exception):
    """A refusal, raised where it is found.

    Args:
        code: one of ``CODES``.
        detail: a sentence for a person.
        more: members of the document besides type, title, status, code, detail.
        retry_after_s: whole seconds, for Retry-After.
        close: the rest of the request is not waited for.
    """

    code: str
    detail: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None
    close: bool = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code][0]

    def body(self) -> bytes:
        """The document."""
        status, title = CODES[self.code]
        data = {
            "type": f"urn:ossmedia:problem:{self.code}",
            "title": title,
            "status": status,
            "code": self.code,
            **({"detail": self.detail} if self.detail else {}),
            **({"retry_after_s": self.retry_after_s} if self.retry_after_s else {}),
            **self.more,
        }
        # A detail may repeat what was sent: even taken for HTML it would hold no element.
        return json.dumps(data).replace("<", "\\u003c").encode()


def problem_response(problem: Problem) -> Response:
    """The answer that tells a problem."""
    headers = {"cache-control": "no-store"}
    if problem.retry_after_s:
        headers["retry-after"] = str(problem.retry_after_s)
    if problem.close:
        headers["connection"] = "close"
    if problem.status == 401:
        people = problem.code in ("signed-out", "sign-in-refused")
        headers["www-authenticate"] = "OSSMEDIA-Session" if people else "OSSMEDIA1-HMAC-SHA256"
    return Response(problem.body(), problem.status, headers, media_type="application/problem+json")
