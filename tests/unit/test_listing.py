"""listing.py: pages as OSS writes them, pages as it must not, and the way from one to the next."""

from __future__ import annotations

from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.errors import ProtocolError
from ossmedia.listing import parse_page, rows
from ossmedia.model import ObjectStat

KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=30
)


def xml(
    keys: list[str], prefixes: tuple[str, ...] = (), token: str = "", encoded: bool = True
) -> bytes:
    code = quote if encoded else escape
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>\n  <Name>cams</Name>'
    text += "<Prefix></Prefix><MaxKeys>1000</MaxKeys><Delimiter></Delimiter>"
    text += "<EncodingType>url</EncodingType>" if encoded else ""
    text += f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>"
    text += f"<NextContinuationToken>{code(token)}</NextContinuationToken>" if token else ""
    for key in keys:
        text += f"<Contents><Key>{code(key)}</Key><LastModified>2024-05-31T17:08:37.000Z"
        text += '</LastModified><ETag>"5B3C"</ETag><Type>Appendable</Type><Size>5</Size>'
        text += "<StorageClass>IA</StorageClass><Owner><ID>1</ID></Owner></Contents>"
    for prefix in prefixes:
        text += f"<CommonPrefixes><Prefix>{code(prefix)}</Prefix></CommonPrefixes>"
    return (text + f"<KeyCount>{len(keys)}</KeyCount></ListBucketResult>").encode()


def test_a_page() -> None:
    page = parse_page(xml(["a b", "d"], ("c/",), "next+page"))
    assert page.token == "next+page"
    assert page.rows == [
        ObjectStat("a b", 5, "5B3C", 1717175317.0, "Appendable", "IA"),
        ObjectStat("c/", 0, "", 0.0, "Prefix", ""),
        ObjectStat("d", 5, "5B3C", 1717175317.0, "Appendable", "IA"),
    ]
    assert parse_page(xml([])).rows == []


@given(st.lists(KEYS, unique=True, max_size=8))
def test_keys_come_back_as_they_are(keys: list[str]) -> None:
    keys.sort(key=str.encode)
    assert [row.key for row in parse_page(xml(keys)).rows] == keys


def test_names_that_are_not_encoded_are_taken_as_they_are() -> None:
    assert [r.key for r in parse_page(xml(["100%25", "a+b"], encoded=False)).rows] == [
        "100%25",
        "a+b",
    ]
    assert parse_page(xml(["a+b", "c"]).replace(b"%2B", b"+")).rows[0].key == "a+b"


def test_a_namespace_does_not_matter() -> None:
    page = parse_page(xml(["k"]).replace(b"<ListBucketResult>", b'<ListBucketResult xmlns="x:y">'))
    assert [row.key for row in page.rows] == ["k"]


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html></html>",
        b"<Error><Code>x</Code></Error>",
        xml(["k"])[:-1],
        xml(["k"]) + b"<x/>",
        xml(["k"]).replace(b"<Size>5", b"<Size>-5"),
        xml(["k"]).replace(b"<Size>5", b"<Size>5.0"),
        xml(["k"]).replace(b"<Size>5", b"<Size>" + b"9" * 10_000),
        xml(["k"]).replace(b"<Size>5</Size>", b""),
        xml(["k"]).replace(b"<Key>k</Key>", b""),
        xml(["k"]).replace(b"2024-05-31T", b""),
        xml(["k"]).replace(b"<Key>k", b"<Key>%FF"),
        xml(["k"]).replace(b"<Key>k", b"<Key>\xff"),
        xml(["k"]).replace(b"<Key>k", b"<Key>&secret;"),
        xml(["k"]).replace(b"<IsTruncated>false", b"<IsTruncated>maybe"),
        xml(["k"]).replace(b"<IsTruncated>false", b"<IsTruncated>true"),
        xml(["k"], token="t").replace(b"<IsTruncated>true", b"<IsTruncated>false"),
        xml(["k"]).replace(b"<Name>", b"<a>" * 100_000),
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + xml(["k"])[39:],
        b'<!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + b"]><x>&l9;</x>",
        '<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>'.encode("utf-16"),
    ],
    ids=lambda b: ascii(b[:30]),
)
def test_hostile_pages_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^the listing"):
        parse_page(body)


class Pages:
    """Answers with one body after the other and keeps the queries."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = list(bodies)
        self.queries: list[dict[str, list[str]]] = []

    def __call__(self, query: str, room: memoryview) -> int:
        self.queries.append(parse_qs(query, strict_parsing=True))
        body = self.bodies.pop(0)
        room[: len(body)] = body
        return len(body)


def test_all_pages_one_after_the_other() -> None:
    pages = Pages(xml(["a", "b"], token="t&1"), xml(["c"], ("d/",), token="t2"), xml(["e"]))
    found = rows(pages, "x y&", "/", 2)
    assert pages.queries == []
    assert next(found).key == "a"
    assert len(pages.queries) == 1
    assert [row.key for row in found] == ["b", "c", "d/", "e"]
    assert pages.queries[0] == {
        "list-type": ["2"],
        "encoding-type": ["url"],
        "max-keys": ["2"],
        "prefix": ["x y&"],
        "delimiter": ["/"],
    }
    assert [q.get("continuation-token") for q in pages.queries] == [None, ["t&1"], ["t2"]]


@pytest.mark.parametrize(
    "second",
    [xml(["a"], token="t2"), xml(["b"]), xml([], token="t2"), xml(["a", "c"])],
    ids=["back", "same", "nothing", "overlap"],
)
def test_a_listing_that_does_not_move_on_ends(second: bytes) -> None:
    pages = Pages(xml(["a", "b"], token="t"), second, *[second] * 5)
    with pytest.raises(ProtocolError, match="does not move on"):
        list(rows(pages, "", "", 1000))
    assert len(pages.queries) == 2


def test_a_full_page_of_the_longest_keys_has_room() -> None:
    keys = [chr(0x4E00 + n) * 341 for n in range(1000)]
    pages = Pages(xml(sorted(keys, key=str.encode)))
    assert len(list(rows(pages, "", "", 1000))) == 1000
