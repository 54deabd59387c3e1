"""headers.py: what a caller may add, and that no value becomes a line of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossmedia.headers import header_lines


def test_lines() -> None:
    assert header_lines() == ""
    assert (
        header_lines("video/mp4", {"Camera": "c 1"}, {"Cache-Control": "no-cache"})
        == "content-type: video/mp4\nx-oss-meta-camera: c 1\ncache-control: no-cache\n"
    )


@given(
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3),
)
def test_as_many_lines_as_values(
    content_type: str, metadata: dict[str, str], headers: dict[str, str]
) -> None:
    try:
        lines = header_lines(content_type, metadata, headers)
    except ValueError:
        return
    count = bool(content_type) + len(metadata) + len(headers)
    assert lines.count("\n") == count
    assert lines.isascii()
    assert lines.replace("\n", "").isprintable() or not lines


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "\0", "a\x7f", " a", "a ", "ü", "x" * 8193])
def test_bad_values_are_named(value: str) -> None:
    with pytest.raises(ValueError, match=r"^content_type: "):
        header_lines(value)
    with pytest.raises(ValueError, match=r"^metadata 'm': "):
        header_lines("", {"m": value})
    with pytest.raises(ValueError, match=r"^headers 'h': "):
        header_lines("", None, {"h": value})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "ä", "a_b", "x" * 201])
def test_bad_names_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"^metadata: "):
        header_lines("", {name: "v"})
    with pytest.raises(ValueError, match=r"^headers: "):
        header_lines("", None, {name: "v"})


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "host",
        "Date",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Type",
        "x-oss-date",
        "X-OSS-Security-Token",
        "x-oss-content-sha256",
        "x-oss-forbid-overwrite",
        "x-oss-meta-a",
    ],
)
def test_what_is_ours_is_not_set_by_a_caller(name: str) -> None:
    with pytest.raises(ValueError, match=r"^headers: .* is not set this way"):
        header_lines("", None, {name: "v"})


def test_limits_and_types() -> None:
    assert len(header_lines("", {"a": "v" * 4000, "b": "v" * 4190})) > 8190
    with pytest.raises(ValueError, match=r"^metadata: at most 8192 bytes of names and values, not"):
        header_lines("", {"a": "v" * 4000, "b": "v" * 4191})
    with pytest.raises(ValueError, match=r"^headers: .* twice"):
        header_lines("", {"a": "1", "A": "2"})
    with pytest.raises(TypeError, match=r"^metadata: "):
        header_lines("", {5: "v"})
    with pytest.raises(TypeError, match=r"^headers 'h': "):
        header_lines("", None, {"h": 5})
