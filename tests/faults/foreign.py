"""Other writers in an appended object, and tokens that end at the worst moment.

The content of an object that somebody else appended to is the witness's: what the receipt claims
must be ours, byte by byte, and what the other one wrote must still be there.
"""

from __future__ import annotations

import time

from tests.faults.rig import BLOCK, Rig
from tests.faults.tally import Tally

__all__ = ["PHASES", "expiries", "foreign_appends", "short_tokens"]

SIZES = ("same", "shorter", "longer")
PHASES = ("before", "during", "between", "complete")
LIFE_S = 20


def foreign_appends(rig: Rig, seed: int, count: int) -> Tally:
    """Somebody appends behind our confirmed bytes; our next append is refused, or its answer lost.

    All must fork, none may claim success for bytes that are not stored.
    """
    tally = Tally("foreign appends", seed)
    dice = tally.dice()
    with rig.bucket() as bucket, rig.bucket(direct=True) as other:
        for number in range(count):
            _foreign_append(rig, tally, dice, bucket, other, f"foreign/{number}")
            rig.clear()
    tally.expect(tally.notes.get("forks", 0) == tally.tried, f"not all of {tally.tried} forked")
    return tally


def _foreign_append(rig: Rig, tally: Tally, dice, bucket, other, key: str) -> None:
    ours = [dice.randbytes(dice.randint(2, 6000)) for _ in range(3)]
    length = len(ours[1])
    relation = dice.choice(SIZES)
    size = {"same": length, "shorter": dice.randint(1, length - 1), "longer": length + 17}[relation]
    theirs = dice.randbytes(size)
    with bucket.open(key, "ab", linger_s=3600) as file:
        file.write(ours[0])
        file.sync(30)
        with other.open(key, "ab") as intruder:
            intruder.write(theirs)
        if dice.random() < 0.7:
            rig.proxy.fault("swallow", match="POST *append&position*", hard=dice.random() < 0.5)
        file.write(ours[1])
        file.sync(30)
        file.write(ours[2])
    tally.tried += 1
    tally.add("forks", int(len(file.result.generations) == 2))
    tally.add(relation)
    rig.verify(tally, file.result, b"".join(ours), key)
    tally.compare(ours[0] + theirs, rig.held(key) or b"", f"{key}, the other's")


class Endings:
    """A provider whose tokens end when the cloud's clock is moved; the camera does not know."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.given = 0

    def __call__(self):
        self.given += 1
        return self.rig.token(LIFE_S, told=False)

    def end(self) -> None:
        clock = self.rig.cloud.cloud.clock
        self.rig.cloud.set_clock(clock.offset_s + LIFE_S + 1)


def expiries(rig: Rig, seed: int, phase: str, count: int) -> Tally:
    """The token ends before a request, in its body, between parts, or at the completion: one
    refresh each, the same bytes go on."""
    tally = Tally(f"token ends {phase}", seed)
    dice = tally.dice()
    tokens = Endings(rig)
    with rig.bucket(credentials=tokens) as bucket:
        for number in range(count):
            before = tokens.given
            _one_expiry(rig, tally, dice, tokens, bucket, phase, f"expiry/{phase}-{number}")
            made = tokens.given - before - (number == 0 and phase != "before")
            tally.expect(made == 1, f"{phase} {number}: {made} refreshes")
            tally.add("refreshes", made)
            rig.clear()
    rig.cloud.set_clock(0)
    return tally


def _one_expiry(
    rig: Rig, tally: Tally, dice, tokens: Endings, bucket, phase: str, key: str
) -> None:
    mode = "wb" if phase == "complete" else dice.choice(["wb", "ab"])
    pieces = [dice.randbytes(BLOCK) for _ in range(3)] + [dice.randbytes(77)]
    rig.cloud.reset_counters()
    if phase == "before":
        tokens.end()
    with bucket.open(key, mode, linger_s=3600, parallel=1) as file:
        for number, piece in enumerate(pieces):
            file.write(piece)
            if mode == "ab":
                file.sync(30)
            if number == 1 and phase != "before":
                _order(rig, dice, tokens, phase, mode)
    tally.tried += 1
    rig.verify(tally, file.result, b"".join(pieces), key)


def _order(rig: Rig, dice, tokens: Endings, phase: str, mode: str) -> None:
    if phase == "between":
        if mode == "wb":  # an append is stored by now; the first part shall be, too
            _wait_for_a_part(rig)
        tokens.end()
        return
    operation = "AppendObject" if mode == "ab" else "UploadPart"
    if phase == "complete":
        rig.cloud.fault("expire", operation="CompleteMultipartUpload")
    else:
        rig.cloud.fault("expire", operation=operation, body_bytes=dice.randint(0, BLOCK - 1))


def _wait_for_a_part(rig: Rig) -> None:
    end = time.monotonic() + 30
    while not rig.cloud.counters()["requests"].get("UploadPart", 0):
        assert time.monotonic() < end, "no part was sent"
        time.sleep(0.001)


def short_tokens(
    rig: Rig, seed: int, seconds: float, life_s: float, *, told: bool, pause_s: float
) -> Tally:
    """A stream of so many seconds with tokens that end all the time, really.

    Args:
        told: the camera knows when they end and renews in time: none is ever refused. Else each
            refusal is answered by one refresh.
        pause_s: between two appends.
    """
    tally = Tally(f"tokens of {life_s:g} s for {seconds:g} s, {'' if told else 'not '}told", seed)
    dice = tally.dice()
    given: list[float] = []

    def provider():
        given.append(time.monotonic())
        return rig.token(life_s, told=told)

    rig.cloud.reset_counters()
    written = bytearray()
    end = time.monotonic() + seconds
    with rig.bucket(credentials=provider) as bucket:
        with bucket.open(f"tokens/{told:d}", "ab", linger_s=3600) as file:
            while time.monotonic() < end:
                piece = dice.randbytes(20_000)
                file.write(piece)
                file.sync(30)
                written += piece
                time.sleep(pause_s)
        rig.verify(tally, file.result, bytes(written), "tokens")
    refused = rig.cloud.counters()["statuses"].get("403", 0)
    refreshes = len(given) - 1
    tally.tried = refreshes
    tally.notes |= {"refused": refused, "refreshes": refreshes}
    tally.expect(refused == (0 if told else refreshes), f"{refused} refused, {refreshes} fetched")
    tally.expect(refreshes >= seconds / life_s - 2, f"only {refreshes} refreshes")
    return tally
