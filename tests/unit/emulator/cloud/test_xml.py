"""XML of OSS, both ways."""

from __future__ import annotations

import pytest

from ossmedia.emulator import xml
from ossmedia.emulator.errors import OssError


def test_a_document():
    body = xml.document("A", [("B", 1), ("C", [("D", "x&<>\x01\x7f\t")]), ("E", "")])
    assert body.decode().split("\n")[1] == (
        "<A><B>1</B><C><D>x&amp;&lt;&gt;&#x1;&#x7F;\t</D></C><E></E></A>"
    )


def test_names_lose_their_namespace():
    tree = xml.parse(b'<n:A xmlns:n="u"><n:B>x</n:B><n:C/></n:A>', "A")
    assert xml.text_of(tree, "B") == "x"
    assert xml.text_of(tree, "C") == ""
    assert xml.text_of(tree, "D") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<A>",
        b"<B/>",
        b'<!DOCTYPE A SYSTEM "file:///etc/passwd"><A/>',
        b'<!DOCTYPE A [<!ENTITY a "aaaa">]><A>&a;</A>',
        b"\xff\xfe",
    ],
)
def test_what_is_not_the_wanted_document(body):
    with pytest.raises(OssError) as caught:
        xml.parse(body, "A")
    assert (caught.value.status, caught.value.code) == (400, "MalformedXML")


def test_url_text():
    assert xml.url_text("a b+c/~é") == "a%20b%2Bc/~%C3%A9"
