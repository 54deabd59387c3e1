"""Searching VOD's media: the ``Match`` language, sorting and pages.

What flows in: the parameters of SearchMedia and all media. What flows out: one page of them. What
the language of the real service can do beyond equality, lists, ranges, ``and`` and ``or`` is
refused, not guessed.

Source: ApsaraVideo VOD 2017-03-21, SearchMedia; "Protocol for media asset search".
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .canonical import iso_seconds
from .rpc import Call
from .vod_checks import invalid, number
from .vod_media import Medium

MAX_SHALLOW = 5000
MAX_JUMP = 1200
_TOKENS = 1000

Test = Callable[[dict[str, str]], bool]

_WORD = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9_.]*)|('(?:[^'\\]|\\.)*')|([=(),\[\]]))")
_SORTS = {"CreationTime", "Title", "Size"}


class Row(NamedTuple):
    """A medium and its fields as the language compares them."""

    medium: Medium
    fields: dict[str, str]


def row_of(medium: Medium, status: str) -> Row:
    """The fields that may stand in ``Match``."""
    id_name = {"image": "ImageId", "attached": "MediaId", "audio": "AudioId"}.get(medium.kind)
    fields = {
        "MediaId": medium.id,
        id_name or "VideoId": medium.id,
        "Title": medium.title,
        "Description": medium.details.get("Description", ""),
        "Tags": medium.details.get("Tags", ""),
        "CateId": medium.details.get("CateId", ""),
        "AppId": medium.details["AppId"],
        "ReferenceId": medium.reference,
        "StorageLocation": medium.details["StorageLocation"],
        "Status": status,
        "CreationTime": iso_seconds(medium.created_s),
        "ModificationTime": iso_seconds(medium.modified_s),
        "Size": str(medium.size),
    }
    return Row(medium, fields)


def parse_match(text: str) -> Test:
    """The test that a ``Match`` text stands for; ``and`` binds tighter than ``or``.

    Raises:
        RpcError: 400 InvalidParameter for what is not understood.
    """
    words = _words(text)
    if not words:
        return lambda _fields: True
    groups: list[list[Test]] = [[]]
    while True:
        groups[-1].append(_term(words))
        if not words:
            break
        joint = words.pop(0).lower()
        if joint == "or":
            groups.append([])
        elif joint != "and":
            raise _not_understood()
    return lambda fields: any(all(test(fields) for test in group) for group in groups)


def _not_understood() -> Exception:
    rule = "must be field = 'value', field in ('a','b') or field = ('from','to') with and / or"
    return invalid("Match", rule)


def _words(text: str) -> list[str]:
    words, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _WORD.match(text, position)
        if match is None:
            raise _not_understood()
        words.append(match.group().strip())
        position = match.end()
    return words


def _take(words: list[str], pattern: str) -> str:
    if not words or not re.fullmatch(pattern, words[0], re.DOTALL):
        raise _not_understood()
    return words.pop(0)


def _value(words: list[str]) -> str:
    return re.sub(r"\\(.)", r"\1", _take(words, "'.*'")[1:-1], flags=re.DOTALL)


def _term(words: list[str]) -> Test:
    name = _take(words, "[A-Za-z].*")
    among = _take(words, "=|[Ii][Nn]").lower() == "in"
    if not among and words and words[0].startswith("'"):
        value = _value(words)
        return lambda fields: _equal(name, _field(fields, name), value)
    opening = _take(words, r"\(" if among else r"[(\[]")
    values = [_value(words)]
    while words and words[0] == ",":
        words.pop(0)
        values.append(_value(words))
    closing = _take(words, r"\)" if among else r"[)\]]")
    if among:
        return lambda fields: any(_equal(name, _field(fields, name), value) for value in values)
    if len(values) != 2 or name not in ("CreationTime", "ModificationTime", "Size"):
        raise _not_understood()
    return lambda fields: _inside(_field(fields, name), values, opening == "[", closing == "]")


def _field(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise invalid("Match", f"names the field {name[:40]!r}, which cannot be searched here")
    return fields[name]


def _equal(name: str, actual: str, wanted: str) -> bool:
    """Titles and descriptions are searched for a piece of text, tags one by one."""
    if name in ("Title", "Description"):
        return wanted.casefold() in actual.casefold()
    return wanted in actual.split(",") if name == "Tags" else wanted == actual


def _inside(actual: str, ends: list[str], closed_low: bool, closed_high: bool) -> bool:
    low, value, high = (_ordered(text) for text in (ends[0], actual, ends[1]))
    above = value >= low if closed_low else value > low
    return above and (value <= high if closed_high else value < high)


def _ordered(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isascii() and text.isdigit() else (0, text)


def sorted_rows(rows: Sequence[Row], text: str) -> list[Row]:
    """Rows in the order of ``SortBy``, newest first by default.

    Raises:
        RpcError: 400 InvalidParameter.
    """
    ordered = sorted(rows, key=lambda row: row.medium.id)
    for piece in reversed((text or "CreationTime:Desc").split(",")):
        name, _, direction = piece.strip().partition(":")
        if name not in _SORTS or direction not in ("Asc", "Desc"):
            raise invalid("SortBy", "must be CreationTime:Desc, CreationTime:Asc or alike")
        ordered.sort(key=lambda row: _sort_key(row, name), reverse=direction == "Desc")
    return ordered


def _sort_key(row: Row, name: str) -> tuple[float, str]:
    if name == "Title":
        return (0.0, row.medium.title)
    return (row.medium.created_s if name == "CreationTime" else float(row.medium.size), "")


class Pages:
    """Pages of results, and the scroll tokens given out so far."""

    def __init__(self) -> None:
        self._reached: OrderedDict[str, int] = OrderedDict()

    def page(self, call: Call, rows: list[Row]) -> tuple[list[Row], str]:
        """The page a call asks for, and the token for the next call.

        Raises:
            RpcError: 400 InvalidParameter beyond the first 5,000 rows without a token, and more
                than 1,200 rows behind a token's position.
        """
        size = number(call, "PageSize", 10, 1, 100)
        first = (number(call, "PageNo", 1, 1, 10**9) - 1) * size
        token = call.parameters.get("ScrollToken", "")
        if token:
            if token not in self._reached:
                raise invalid("ScrollToken", "is unknown")
            if first > self._reached[token] + MAX_JUMP:
                raise invalid("PageNo", f"may lead {MAX_JUMP} records behind ScrollToken at most")
        elif first + size > MAX_SHALLOW:
            raise invalid("PageNo", f"needs a ScrollToken beyond {MAX_SHALLOW} records")
        fresh = secrets.token_hex(16)
        self._reached[fresh] = first + size
        if len(self._reached) > _TOKENS:
            self._reached.popitem(last=False)
        return rows[first : first + size], fresh
