"""XML of OSS, both ways.

What flows in: nested tuples of names and texts, or the bytes of a request body. What flows out: the
bytes of an answer, or a plain element tree. It never resolves an entity, reads a document type or
keeps a namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote
from xml.etree import ElementTree

from .errors import OssError

Node = tuple[str, "str | int | Iterable[Node]"]
"""(element name, text) or (element name, child nodes)."""

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_SPECIAL = re.compile("[&<>\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x7f]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str) -> str:
    """Text for an element: markup escaped, control characters as ``&#x1;``, as OSS writes them."""
    return _SPECIAL.sub(lambda found: _NAMED.get(found[0]) or f"&#x{ord(found[0]):X};", text)


def _write(node: Node, out: list[str]) -> None:
    name, value = node
    if isinstance(value, str | int):
        out.append(f"<{name}>{escape(str(value))}</{name}>")
        return
    out.append(f"<{name}>")
    for child in value:
        _write(child, out)
    out.append(f"</{name}>")


def document(name: str, children: Iterable[Node]) -> bytes:
    """A whole document with *name* as its root."""
    out: list[str] = []
    _write((name, children), out)
    return _HEAD + "".join(out).encode()


def url_text(text: str) -> str:
    """*text* as ``encoding-type=url`` has it: a blank is ``%20``, a plus ``%2B``, a slash stays."""
    return quote(text, safe="/~")


def malformed(reason: str) -> OssError:
    """The refusal of a body that is not the wanted XML."""
    message = (
        "The XML you provided was not well-formed or did not validate against our published "
        f"schema: {reason}."
    )
    return OssError(400, "MalformedXML", message, ec="0016-00000608")


def parse(body: bytes, root: str) -> ElementTree.Element:
    """The root element of *body*, names without their namespace.

    Raises:
        OssError: 400 MalformedXML when it is not well-formed, holds a document type, or has
            another root.
    """
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise malformed("a document type is not allowed")
    try:
        tree = ElementTree.fromstring(body)  # noqa: S314 - no document type, so no entity
    except ElementTree.ParseError as error:
        raise malformed(str(error)) from None
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    if tree.tag != root:
        raise malformed(f"the root element must be {root}")
    return tree


def text_of(parent: ElementTree.Element, name: str) -> str | None:
    """The text of the first child *name*, or None without such a child."""
    child = parent.find(name)
    return None if child is None else (child.text or "")
