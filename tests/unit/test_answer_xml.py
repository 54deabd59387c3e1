"""XML of OSS's answers: read strictly, in one encoding, without a document type."""

from __future__ import annotations

import pytest

from ossmedia.answer_xml import parse, tree
from ossmedia.errors import ProtocolError

LAUGH = '<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>'


def test_names_come_without_their_namespace() -> None:
    found = tree(b'<a xmlns="http://x"><b>1</b><c><b>2</b></c></a>', "a")
    assert [(e.tag, e.text) for e in found.iter("b")] == [("b", "1"), ("b", "2")]
    assert found.findtext("c/b") == "2"


def test_a_declared_encoding_changes_nothing() -> None:
    text = '<?xml version="1.0" encoding="latin-1"?><a>\u00e9</a>'
    assert tree(text.encode(), "a").text == "\u00e9"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"<a>",
        b"<a></b>",
        b"<a/><a/>",
        b"<a>&b;</a>",
        b"<a>\xff</a>",
        b"<a>\0</a>",
        LAUGH.encode(),
        LAUGH.encode("utf-16"),
        b'<?xml version="1.0" encoding="cp037"?>' + LAUGH.encode("cp037"),
        b'<?xml version="1.0" encoding="no-such"?><a>\xff</a>',
        b'<?xml version="1.0" encoding="big5"?><a>\xff</a>',
    ],
)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^the answer (is no XML|holds a DOCTYPE or a NUL)"):
        tree(body, "a")


def test_another_root_is_refused_by_name() -> None:
    with pytest.raises(ProtocolError, match=r"^the answer is no ListPartsResult$"):
        tree(b"<Error/>", "ListPartsResult")


def test_a_target_keeps_what_it_wants() -> None:
    class Texts:
        def __init__(self) -> None:
            self.kept = ""

        def data(self, text: str) -> None:
            self.kept += text

        def close(self) -> str:
            return self.kept

    assert parse(b"<a>1<b>2</b>3</a>", "it", Texts()) == "123"
    with pytest.raises(ProtocolError, match=r"^it is no XML"):
        parse(b"<a>", "it", Texts())
