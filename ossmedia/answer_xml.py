"""XML of OSS's answers.

In flow an answer's bytes, out flows a tree, or the texts that a target keeps. There is no document
type, so no entity, and no encoding but UTF-8, whatever the answer declares: what XML attacks are
made of ends here.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ossmedia.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["parse", "tree"]


def parse(body: bytes | bytearray | memoryview, what: str, target: Any = None) -> Any:
    """What a target of ``ElementTree.XMLParser`` gives at the end; None: the root element.

    Args:
        what: the answer's name for errors.

    Raises:
        ProtocolError: no XML, or XML with a document type.
    """
    text = bytes(body)
    if b"<!DOCTYPE" in text or b"\0" in text:
        raise ProtocolError(f"{what} holds a DOCTYPE or a NUL", retryable=False)
    parser = ElementTree.XMLParser(target=target, encoding="utf-8")  # noqa: S314 - see above
    try:
        parser.feed(text)
        return parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise ProtocolError(f"{what} is no XML: {error}") from None


def tree(body: bytes | bytearray | memoryview, root: str) -> ElementTree.Element:
    """The root element, which has this name; names come without their namespace.

    Raises:
        ProtocolError: anything else.
    """
    found: ElementTree.Element = parse(body, "the answer")
    for element in found.iter():
        element.tag = element.tag.rpartition("}")[2]
    if found.tag != root:
        raise ProtocolError(f"the answer is no {root}")
    return found
