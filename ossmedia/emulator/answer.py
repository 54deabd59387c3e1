"""One answer, as data, and how a refusal becomes one.

What flows in: status, headers and a small body, or a refusal. What flows out: an answer the wire
can send, with the error body in XML (and for HEAD in a header). It holds no content bytes of
objects, only where they are.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import xml
from .blobs import Segment
from .errors import OssError
from .request import Request


@dataclass(slots=True)
class Answer:
    """Status, headers, and either a small body or a range of stored content.

    Fields:
        headers: in order; names in any case.
        segments: stored content to send instead of *body*.
        start, length: the range of it, in bytes.
        close: close the connection after this answer.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    segments: tuple[Segment, ...] | None = None
    start: int = 0
    length: int = 0
    close: bool = False

    def set(self, name: str, value: str) -> None:
        """Set a header, replacing one of the same name."""
        self.drop(name)
        self.headers.append((name, value))

    def drop(self, name: str) -> None:
        """Remove a header."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]

    def get(self, name: str) -> str | None:
        """The value of a header, or None."""
        return next((value for given, value in self.headers if given.lower() == name.lower()), None)


def xml_answer(
    root: str, children: Iterable[xml.Node], headers: Iterable[tuple[str, str]] = ()
) -> Answer:
    """200 with an XML document."""
    body = xml.document(root, children)
    return Answer(200, [("Content-Type", "application/xml"), *headers], body)


def refusal(request: Request | None, request_id: str, error: OssError) -> Answer:
    """The answer that tells the client of *error*."""
    host = request.host if request is not None else ""
    nodes: list[xml.Node] = [
        ("Code", error.code),
        ("Message", error.message),
        ("RequestId", request_id),
        ("HostId", host),
        *error.extra.items(),
    ]
    if error.ec:
        nodes += [
            ("EC", error.ec),
            ("RecommendDoc", f"https://api.aliyun.com/troubleshoot?q={error.ec}"),
        ]
    body = xml.document("Error", nodes)
    answer = Answer(error.status, list(error.headers.items()))
    if error.ec:
        answer.set("x-oss-ec", error.ec)
    if error.status == 304:
        return answer
    if request is not None and request.method == "HEAD":
        answer.set("x-oss-err", base64.b64encode(body).decode())
        return answer
    answer.set("Content-Type", "application/xml")
    answer.body = body
    return answer
