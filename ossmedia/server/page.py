"""The page's files, and the headers that say what a browser may do with any answer.

In flow the files that lie beside this module and the settings, out flow ``/``, ``/assets/...`` and
the content security policy. The page is the same for everybody and holds no data: what a person
sees comes from the JSON routes. Only the files listed here are ever given out; they stand under the
hash of all of them, so that a browser keeps them until one changes.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ossmedia.address import HOST, Address
from ossmedia.server.problems import Problem
from ossmedia.server.settings import Settings

__all__ = ["ASSETS", "Page", "security_headers"]

_SCRIPT, _STYLE, _IMAGE = "text/javascript", "text/css", "image/svg+xml"
ASSETS = {
    "app.css": _STYLE,
    "parts.css": _STYLE,
    "icons.svg": _IMAGE,
    "mark.svg": _IMAGE,
    "app.js": _SCRIPT,
    "api.js": _SCRIPT,
    "cameras.js": _SCRIPT,
    "confirm.js": _SCRIPT,
    "days.js": _SCRIPT,
    "dom.js": _SCRIPT,
    "player.js": _SCRIPT,
    "recordings.js": _SCRIPT,
    "route.js": _SCRIPT,
    "sign_in.js": _SCRIPT,
    "status.js": _SCRIPT,
    "timeline.js": _SCRIPT,
    "words.js": _SCRIPT,
}
_FOREVER = "public, max-age=31536000, immutable"


class Page:
    """The page of one application, its files in memory."""

    def __init__(self) -> None:
        folder = files("ossmedia.server").joinpath("page")
        self._assets = {name: folder.joinpath(name).read_bytes() for name in ASSETS}
        together = hashlib.sha256()
        for name in sorted(self._assets):
            together.update(hashlib.sha256(self._assets[name]).digest())
        self._version = together.hexdigest()[:16]
        index = folder.joinpath("index.html").read_text(encoding="utf-8")
        self._index = index.replace("ASSETS/", f"/assets/{self._version}/").encode()
        self._tag = f'"{hashlib.sha256(self._index).hexdigest()[:16]}"'

    def routes(self) -> list[Route]:
        """The page and its files."""
        return [Route("/", self._page), Route("/assets/{version}/{name}", self._asset)]

    async def _page(self, request: Request) -> Response:
        """GET /: the page."""
        headers = {"cache-control": "no-cache", "etag": self._tag}
        if request.headers.get("if-none-match") == self._tag:
            return Response(status_code=304, headers=headers)
        return Response(self._index, headers=headers, media_type="text/html")

    async def _asset(self, request: Request) -> Response:
        """GET /assets/{version}/{name}: a file of the page, or 404."""
        name = request.path_params["name"]
        if request.path_params["version"] != self._version or name not in self._assets:
            raise Problem("not-found")
        headers = {"cache-control": _FOREVER}
        return Response(self._assets[name], headers=headers, media_type=ASSETS[name])


def security_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """What every answer carries. Media may come from the bucket, and from ``page.media_origins``;
    everything else from this server alone, and nothing from within the page itself."""
    oss = Address(settings.oss.bucket, settings.oss.endpoint, settings.oss.region)
    scheme, _, host = oss.endpoint.partition("://")
    origin = f"{scheme}://{oss.bucket}.{host}" if oss.style == HOST else oss.endpoint
    media = " ".join(dict.fromkeys(["'self'", origin, *settings.page.media_origins]))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": media,
        "media-src": f"{media} blob:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    told = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    }
    return [(name.encode(), value.encode()) for name, value in told.items()]
