"""Fuzzes the parsers that are Python: a spool's records, and the JSON of tickets, credentials and
checkpoints.

In flow good records and random mutations of them, half with their check sums made right again, so
that what is behind them is reached; out flows nothing but a broken invariant. One target is one
function that takes bytes; its invariant is its docstring.

    python -m tests.fuzz.python_parsers --runs 1000000

The same targets with libFuzzer's feedback are libfuzzer_parsers.py beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from base64 import b64decode, b64encode
from binascii import crc32
from collections.abc import Callable
from pathlib import Path

from ossmedia import Credentials, crc64
from ossmedia.checkpoint import Checkpoint, read_checkpoint
from ossmedia.clock import Clock
from ossmedia.spool_blocks import (
    BLOCK_HEADER,
    FILE_HEADER,
    LARGEST_BLOCK,
    FileHeader,
    block_header,
    find_block,
    parse_block,
    parse_file_header,
)
from ossmedia.ticket import UploadTicket

__all__ = ["TARGETS", "inside_ticket", "mutations", "use_folder"]

SECRET = "canarysecretcanary"
SALT, START = 0x1122334455667788, 1 << 33
# What the errors of a ticket begin with.
NAMES = ("ticket:", "UploadAddress", "UploadAuth", "VideoId", "ImageId", "MediaId", "media id:")
SPECIAL = [
    b"\0",
    b"\xff" * 8,
    b"\x80",
    b"{",
    b"}",
    b'"',
    b"\\u0000",
    b"null",
    b"1e999",
    b"-1",
    b"[",
]


class _Noon(Clock):
    """A time of day that does not move: tickets that say "3,000 s from now" stay comparable."""

    def now(self) -> float:
        return 2e9


CLOCK = _Noon()
Fix = Callable[[bytes], bytes]


def refusal(error: Exception, *begins: str) -> None:
    """It names one of these, and shows no secret."""
    assert str(error).startswith(begins), error
    assert SECRET not in str(error)


def spool_file(data: bytes) -> None:
    """A header is None, a newer format, or exactly what it would be written as."""
    try:
        header = parse_file_header(data)
    except ValueError as error:
        refusal(error, "format ")
        return
    if header is not None:
        again, end = header.pack(), FILE_HEADER + len(header.words)
        assert len(again) == header.first_block >= end
        assert again[:48] == data[:48]
        assert again[FILE_HEADER:end] == data[FILE_HEADER:end]


def spool_block(data: bytes) -> None:
    """A block is None or within its limits, and the same numbers are written as the same bytes."""
    block = parse_block(SALT, START, data)
    if block is None:
        return
    assert 0 < block.length <= LARGEST_BLOCK
    assert block.offset >= START
    assert 0 <= block.synced <= block.offset
    again = block_header(
        SALT, START, block.length, block.offset, block.before, block.after, block.synced
    )
    if again != data[:BLOCK_HEADER]:  # more unsynced bytes than there are before it: none are
        assert block.synced == 0
        assert again[:24] == data[:24]


def spool_search(data: bytes) -> None:
    """A search ends, and finds only what stands there, at a multiple of 32, before the end."""
    found = find_block(lambda at, size: data[at : at + size], SALT, START, 0, len(data))
    good = [
        at
        for at in range(0, len(data), BLOCK_HEADER)
        if parse_block(SALT, START, data[at : at + BLOCK_HEADER]) is not None
    ]
    assert (None if found is None else found[0]) == (good[0] if good else None)


def in_public(values: dict[str, str]) -> bool:
    """The secret's text stands in a ticket's host, bucket, key or region."""
    address = json.loads(b64decode(values["UploadAddress"]))
    region = json.loads(b64decode(values["UploadAuth"])).get("Region")
    return any(SECRET in str(text) for text in (*address.values(), region))


def ticket(data: bytes) -> None:
    """A ticket is refused by naming a field and showing no secret, or is the same again after a
    trip through JSON. A mutation may copy a secret's text into a field that errors quote."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        taken = UploadTicket.from_json(values, clock=CLOCK)
    except (TypeError, ValueError) as error:
        if SECRET not in str(error) or not in_public(values):
            refusal(error, *NAMES)
        return
    assert UploadTicket.from_json(taken.to_json(), clock=CLOCK) == taken
    assert taken.endpoint.startswith("https://")
    assert taken.endpoint.removeprefix("https://").partition(":")[0].endswith(".aliyuncs.com")
    public = (taken.media_id, taken.key, taken.credentials.access_key_id)
    assert SECRET not in repr(taken) or any(SECRET in text for text in public)


def credentials(data: bytes) -> None:
    """As a ticket."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(values, dict):
        return
    try:
        taken = Credentials.from_json(values)
    except (TypeError, ValueError) as error:
        refusal(error, *Credentials.__slots__)
        return
    assert Credentials.from_json(taken.to_json()) == taken
    assert SECRET not in repr(taken) or SECRET in taken.access_key_id
    for text in (taken.access_key_id, taken.access_key_secret, taken.security_token):
        assert text.isascii()
        assert text.isprintable()


def checkpoint(data: bytes) -> None:
    """A checkpoint is None, or has what an upload needs to go on."""
    FILE.write_bytes(data)
    found = read_checkpoint(FILE)
    if found is not None:
        assert found.upload_id
        assert found.size >= 0
        assert 102_400 <= found.block_size <= 1 << 30


FILE = Path(tempfile.gettempdir()) / "unset"


def _fix_file(data: bytes) -> bytes:
    length = int.from_bytes(data[12:16], "little")
    if len(data) < FILE_HEADER:
        return data
    check = crc64(data[FILE_HEADER : FILE_HEADER + length], crc64(data[:56]))
    return data[:56] + check.to_bytes(8, "little") + data[64:]


def _fix_block(data: bytes) -> bytes:
    check = crc32(data[:28], SALT & 0xFFFFFFFF)
    return data[:28].ljust(28, b"\0") + check.to_bytes(4, "little") + data[32:]


def inside_ticket(data: bytes, name: str, change: Fix) -> bytes:
    """Changes the JSON inside the base64 of one of a ticket's fields; same data if none is."""
    try:
        values = json.loads(data)
        inner = change(b64decode(values[name]))
    except (KeyError, ValueError, TypeError, RecursionError):
        return data
    return json.dumps({**values, name: b64encode(inner).decode()}).encode()


def _base64(values: dict[str, str]) -> str:
    return b64encode(json.dumps(values).encode()).decode()


WORDS = b'{"bucket": "cams", "key": "a/b.ts", "mode": "wb"}'
TICKET = {
    "VideoId": "93ab850b4f6f44eab54b6e91d24d81d4",
    "UploadAddress": _base64(
        {
            "Endpoint": "https://oss-cn-shanghai.aliyuncs.com",
            "Bucket": "outin-bucket",
            "FileName": "sv/1-2/clip.mp4",
        }
    ),
    "UploadAuth": _base64(
        {
            "AccessKeyId": "STS.id",
            "AccessKeySecret": SECRET,
            "SecurityToken": SECRET * 3,
            "ExpireUTCTime": "2094-01-01T00:00:00Z",
            "Region": "cn-shanghai",
        }
    ),
}
KEYS = {"access_key_id": "LTAI1", "access_key_secret": SECRET, "security_token": SECRET}
GOOD_BLOCK = block_header(SALT, START, 4096, START + 8192, 7, 8, START + 4096)
# The parser, good inputs, and what makes a mutated one pass its check sum.
TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes], Fix | None]] = {
    "spool file": (
        spool_file,
        [FileHeader(1, 2, 3, 4, WORDS).pack(), FileHeader(1 << 40, 9, START, 5, b"").pack()],
        _fix_file,
    ),
    "spool block": (
        spool_block,
        [GOOD_BLOCK, block_header(SALT, START, 1, START, 0, 0, 0)],
        _fix_block,
    ),
    "spool search": (
        spool_search,
        [bytes(64) + GOOD_BLOCK + bytes(96) + GOOD_BLOCK, b"\xb1" * 300 + GOOD_BLOCK, GOOD_BLOCK],
        None,
    ),
    "ticket": (
        ticket,
        [json.dumps(TICKET).encode(), json.dumps({**TICKET, "UploadAuth": _base64({})}).encode()],
        None,
    ),
    "credentials": (
        credentials,
        [json.dumps(KEYS).encode(), json.dumps({**KEYS, "expires_at": 4e9}).encode()],
        None,
    ),
    "checkpoint": (checkpoint, [], None),
}


def mutate(data: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """One small change, or a piece of another input."""
    at = dice.randrange(len(data) + 1)
    n = dice.randint(1, 8)
    how = dice.randrange(6)
    if how == 0 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
    if how == 1:
        return data[:at] + dice.choice(SPECIAL) + data[at + dice.randrange(2) :]
    if how == 2:
        return data[:at] + data[at + n :]
    if how == 3:
        return data[:at] + data[at : at + n] * 2 + data[at + n :]
    if how == 4 and others:
        other = dice.choice(others)
        return data[:at] + other[dice.randrange(len(other) + 1) :]
    return data[:at] + dice.randbytes(n) + data[at + n :]


def good_checkpoint(folder: Path) -> bytes:
    made = Checkpoint(
        folder / "good",
        **{
            name: {"size": 300_000, "block_size": 102_400, "mtime_ns": 1}.get(
                name, False if name in ("fresh", "completing") else "x"
            )
            for name in Checkpoint.__slots__
            if name != "file"
        },
    )
    made.save()
    return (folder / "good").read_bytes()


def use_folder(name: str, folder: Path) -> list[bytes]:
    """Lets a target write below ``folder``; returns its good inputs."""
    global FILE  # noqa: PLW0603
    FILE = folder / "mutated"
    return TARGETS[name][1] or [good_checkpoint(folder)]


def mutations(name: str, runs: int, seed: int, folder: Path) -> int:
    """Runs one target; returns how many inputs it took.

    Raises:
        AssertionError, or whatever the parser let through: with the input in its notes.
    """
    good = use_folder(name, folder)
    run, _, fix = TARGETS[name]
    dice = random.Random(seed)
    for number in range(runs):
        data = good[number % len(good)]
        if number >= len(good):
            if name == "ticket" and dice.random() < 0.7:
                field = dice.choice(["UploadAddress", "UploadAuth"])
                data = inside_ticket(data, field, lambda inner: mutate(inner, [], dice))
            for _ in range(dice.randint(1, 3)):
                data = mutate(data, good, dice)
            if fix is not None and dice.random() < 0.5:
                data = fix(data)
        try:
            run(data)
        except BaseException as error:
            error.add_note(f"{name}: {data!r}")
            raise
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000, help="of each parser")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in TARGETS:
            ran = mutations(name, given.runs, given.seed, Path(folder))
            sys.stdout.write(f"{name}: {ran:,} inputs, no invariant broken\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
