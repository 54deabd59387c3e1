"""Cross-origin rules of a bucket: what pages of other origins may ask for with a browser.

What flows in: a rules document, a request with an ``Origin``, a browser's question beforehand
(OPTIONS). What flows out: the documented XML and the ``Access-Control-*`` headers of the first rule
that fits, or none of them. A rule never replaces a signature or a permission.

Source: OSS, PutBucketCors, GetBucketCors, DeleteBucketCors, OptionObject.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from . import xml
from .answer import Answer
from .cloud import Cloud
from .errors import OssError
from .request import Request

_MOST_RULES = 10
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; *max_age_s* None: not said."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age_s: int | None

    def fits(self, origin: str, method: str, headers: Iterable[str]) -> bool:
        """Whether a request matches: its origin, its method, and every header it names."""
        return (
            any(_matches(allowed, origin) for allowed in self.origins)
            and method in self.methods
            and all(
                any(_matches(allowed.lower(), header.lower()) for allowed in self.headers)
                for header in headers
            )
        )


def _matches(pattern: str, text: str) -> bool:
    """Whether *text* is *pattern*, in which one asterisk stands for anything."""
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)


def _texts(parent: ElementTree.Element, name: str) -> tuple[str, ...]:
    found = tuple((child.text or "").strip() for child in parent.findall(name))
    if any(text.count("*") > 1 for text in found):
        raise xml.malformed(f"{name} may hold one asterisk")
    return found


def read_rules(document: bytes) -> tuple[list[Rule], bool]:
    """The rules of a document, and whether every answer says ``Vary: Origin``.

    Raises:
        OssError: 400 MalformedXML.
    """
    tree = xml.parse(document, "CORSConfiguration")
    rules = [_rule(element) for element in tree.findall("CORSRule")]
    if not 0 < len(rules) <= _MOST_RULES:
        raise xml.malformed(f"a CORSConfiguration needs 1-{_MOST_RULES} CORSRule")
    return rules, (xml.text_of(tree, "ResponseVary") or "").lower() == "true"


def _rule(element: ElementTree.Element) -> Rule:
    rule = Rule(
        _texts(element, "AllowedOrigin"),
        _texts(element, "AllowedMethod"),
        _texts(element, "AllowedHeader"),
        _texts(element, "ExposeHeader"),
        _max_age(xml.text_of(element, "MaxAgeSeconds")),
    )
    if not rule.origins or not rule.methods:
        raise xml.malformed("a CORSRule needs AllowedOrigin and AllowedMethod")
    if not _METHODS.issuperset(rule.methods):
        raise xml.malformed("AllowedMethod must be GET, PUT, POST, DELETE or HEAD")
    if any("*" in header for header in rule.exposed):
        raise xml.malformed("ExposeHeader may hold no asterisk")
    return rule


def _max_age(text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 999_999_999):
        raise xml.malformed("MaxAgeSeconds must be 0-999999999")
    return int(text)


async def put_bucket_cors(cloud: Cloud, request: Request) -> Answer:
    """PutBucketCors: instead of the rules there were."""
    cloud.bucket(request)
    largest = cloud.limits.max_document_bytes
    body = await request.body.read(largest, lambda: xml.malformed(f"more than {largest} bytes"))
    read_rules(body)
    _save(cloud, request, body)
    return Answer(200)


async def get_bucket_cors(cloud: Cloud, request: Request) -> Answer:
    """GetBucketCors."""
    bucket = cloud.bucket(request)
    if bucket.cors is None:
        message = "The CORS Configuration does not exist."
        raise OssError(404, "NoSuchCORSConfiguration", message, extra={"BucketName": bucket.name})
    return Answer(200, [("Content-Type", "application/xml")], bucket.cors)


async def delete_bucket_cors(cloud: Cloud, request: Request) -> Answer:
    """DeleteBucketCors: 204 also without any."""
    _save(cloud, request, None)
    return Answer(204)


def _save(cloud: Cloud, request: Request, document: bytes | None) -> None:
    bucket = cloud.bucket(request)
    bucket.cors = document
    with cloud.store.transaction():
        cloud.store.put_bucket(bucket)


async def option_object(cloud: Cloud, request: Request) -> Answer:
    """OptionObject: may a request like that be sent? Browsers ask it without a signature."""
    found = cross_origin_headers(cloud, request)
    if not any(name == "Access-Control-Allow-Origin" for name, _ in found):
        message = (
            "CORSResponse: This CORS request is not allowed. This is usually because the "
            "evaluation of Origin, request method / Access-Control-Request-Method or "
            "Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
        )
        raise OssError(403, "AccessForbidden", message)
    return Answer(200)  # with those headers, as every answer has them


def cross_origin_headers(cloud: Cloud, request: Request) -> list[tuple[str, str]]:
    """What an answer says to the browser that sent the request."""
    origin = request.header.get("origin", "")
    bucket = cloud.store.bucket(request.bucket) if request.bucket else None
    if bucket is None or bucket.cors is None:
        return []
    rules, vary = read_rules(bucket.cors)
    told = [("Vary", "Origin")] if vary else []
    asks = request.method == "OPTIONS"
    method = request.header.get("access-control-request-method", "") if asks else request.method
    wanted = request.header.get("access-control-request-headers", "") if asks else ""
    headers = [name.strip() for name in wanted.split(",") if name.strip()]
    rule = next((rule for rule in rules if origin and rule.fits(origin, method, headers)), None)
    if rule is None:
        return told
    told.append(("Access-Control-Allow-Origin", "*" if "*" in rule.origins else origin))
    told.append(("Access-Control-Allow-Methods", ", ".join(rule.methods)))
    for name, values in (
        ("Access-Control-Allow-Headers", headers),
        ("Access-Control-Expose-Headers", rule.exposed),
    ):
        if values:
            told.append((name, ", ".join(values)))
    if rule.max_age_s is not None:
        told.append(("Access-Control-Max-Age", str(rule.max_age_s)))
    return told
