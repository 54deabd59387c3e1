"""A bucket's listing: the answers' XML in, rows out, page by page.

It never resolves an entity, never builds a tree, and takes nothing for granted that the service
wrote.
"""

from __future__ import annotations

from mmap import mmap
from urllib.parse import quote, unquote

from ossmedia.answer_xml import parse
from ossmedia.clock import from_iso_date
from ossmedia.errors import ProtocolError
from ossmedia.model import ObjectStat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Page", "parse_page", "rows"]

_ROW = 3584  # bytes of XML for one row with the longest key, percent-encoded
_DEPTH = 8  # a listing has 4
_FIELDS = frozenset(
    {
        "Contents/Key",
        "Contents/LastModified",
        "Contents/ETag",
        "Contents/Type",
        "Contents/Size",
        "Contents/StorageClass",
        "CommonPrefixes/Prefix",
        "EncodingType",
        "IsTruncated",
        "NextContinuationToken",
    }
)


def rows(
    ask: Callable[[str, memoryview], int], prefix: str, delimiter: str, page_size: int
) -> Iterator[ObjectStat]:
    """All rows, in the order of their keys; asks for the next page when the last one is used up.

    Args:
        ask: sends a query, puts the answer's body into the memory, returns the body's length.

    Raises:
        ProtocolError: a page that breaks the rules, or does not move on.
    """
    query = f"list-type=2&encoding-type=url&max-keys={page_size}"
    for name, value in (("prefix", prefix), ("delimiter", delimiter)):
        query += f"&{name}={quote(value, safe='')}" if value else ""
    # Anonymous memory: pages of it that are not used cost nothing.
    room = memoryview(mmap(-1, page_size * _ROW + 65_536))
    token, last = "", b""
    while True:
        more = f"&continuation-token={quote(token, safe='')}" if token else ""
        page = parse_page(room[: ask(query + more, room)])
        stuck = page.rows[0].key.encode() <= last if page.rows else bool(page.token)
        if stuck:
            raise ProtocolError("the listing does not move on", retryable=False)
        yield from page.rows
        if not page.token:
            return
        token, last = page.token, page.rows[-1].key.encode()


class Page:
    """Rows in the order of their keys, and the token of the next page ("" after the last)."""

    __slots__ = ("rows", "token")

    def __init__(self, rows: list[ObjectStat], token: str) -> None:
        self.rows = rows
        self.token = token


class _Rows:
    """The parser's target: keeps the few texts that matter."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.text: list[str] = []
        self.fields: dict[str, str] = {}
        self.contents: list[dict[str, str]] = []
        self.prefixes: list[str] = []

    def start(self, tag: str, _: dict[str, str]) -> None:
        self.path.append(tag.rpartition("}")[2])
        self.text.clear()
        if len(self.path) > _DEPTH:
            raise ProtocolError("the listing is nested too deep", retryable=False)
        if self.path == ["ListBucketResult", "Contents"]:
            self.contents.append({})

    def data(self, text: str) -> None:
        self.text.append(text)

    def end(self, _: str) -> None:
        name = "/".join(self.path[1:])
        if self.path[0] == "ListBucketResult" and name in _FIELDS:
            text = "".join(self.text)
            parent, _, leaf = name.rpartition("/")
            if parent == "Contents":
                self.contents[-1][leaf] = text
            elif parent == "CommonPrefixes":
                self.prefixes.append(text)
            else:
                self.fields[leaf] = text
        self.path.pop()
        self.text.clear()

    def close(self) -> _Rows:
        return self


def parse_page(body: bytes | bytearray | memoryview) -> Page:
    """The rows of a ListObjectsV2 answer that was asked for with encoding-type=url.

    A common prefix comes as a row of type "Prefix", size 0.

    Raises:
        ProtocolError: no such answer, or one that breaks its rules.
    """
    rows = parse(body, "the listing", _Rows())
    assert isinstance(rows, _Rows)
    return _page(rows)


def _page(rows: _Rows) -> Page:
    encoded = rows.fields.get("EncodingType") == "url"
    truncated = rows.fields.get("IsTruncated", "")
    if truncated not in ("true", "false"):
        raise ProtocolError("the listing does not say whether it is complete")
    token = rows.fields.get("NextContinuationToken", "")
    if (truncated == "true") != bool(token):
        raise ProtocolError("the listing's continuation token contradicts its end")
    try:
        found = [_row(fields, encoded) for fields in rows.contents]
        found += [ObjectStat(_decode(p, encoded), 0, "", 0.0, "Prefix", "") for p in rows.prefixes]
        found.sort(key=lambda row: row.key.encode())
        return Page(found, _decode(token, encoded))
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"the listing holds a bad row: {type(error).__name__}") from None


def _row(fields: dict[str, str], encoded: bool) -> ObjectStat:
    size = fields["Size"]
    if not size.isascii() or not size.isdigit() or len(size) > 15:
        raise ValueError("Size")
    return ObjectStat(
        _decode(fields["Key"], encoded),
        int(size),
        fields.get("ETag", "").strip('"'),
        from_iso_date(fields["LastModified"]),
        fields.get("Type", "Normal"),
        fields.get("StorageClass", "Standard"),
    )


def _decode(text: str, encoded: bool) -> str:
    return unquote(text, errors="strict") if encoded else text
