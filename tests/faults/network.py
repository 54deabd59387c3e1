"""Answers that get lost, requests that arrive twice, connections that are reset at every offset.

Each function plays one kind ``count`` times with its own dice and returns its Tally. The witness is
the bytes object that was written; the judge is the cloud's own memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise

from ossmedia import Credentials, UploadTicket, vod
from ossmedia.errors import StreamBroken
from ossmedia.sts import TokenIssuer
from ossmedia.vod_api import VodService
from tests.faults.rig import BLOCK, QUICK, Rig
from tests.faults.tally import Tally

__all__ = [
    "OPERATIONS",
    "flipped_bits",
    "flipped_under_tls",
    "lost_answers",
    "resets",
    "standstills",
    "twice",
]

# Request lines, path style, as the proxy sees them.
OPERATIONS = {
    "append": "POST *append&position*",
    "put": "PUT *",
    "part": "PUT *partNumber=*",
    "initiate": "POST *[?]uploads*",
    "complete": "POST *[?]uploadId=*",
}
CALLS = ("token", "vod")


def store(
    rig: Rig,
    tally: Tally,
    operation: str,
    key: str,
    dice,
    *,
    size: int = 0,
    mode: str = "",
    parallel: int = 2,
    **options,
) -> bool:
    """One object by the way that uses ``operation``, in three writes (three appends); verified.
    False: it was given up.

    Args:
        size: bytes; 0: by the dice. mode: of ``open``; "": the operation's, by the dice.
    """
    written = dice.randbytes(size or _size(operation, dice))
    mode = mode or {"append": "ab", "put": dice.choice(["wb", "xb"])}.get(operation, "wb")
    edges = [len(written) * third // 3 for third in range(4)]
    with rig.bucket(**options) as bucket:
        try:
            with bucket.open(key, mode, linger_s=3600, parallel=parallel) as file:
                for start, end in pairwise(edges):
                    file.write(written[start:end])
                    if mode == "ab":
                        file.sync(30)
        except StreamBroken as error:
            tally.wrong.append(f"{key}: {error}")
            return False
    rig.verify(tally, file.result, written, key)
    return True


def _size(operation: str, dice) -> int:
    """Each write has a byte at least, so that there is a second and a third append to hit."""
    if operation in ("append", "put"):
        return dice.choice([3, 100, 5000, dice.randint(3, BLOCK - 1)])
    return dice.randint(2 * BLOCK + 1, 4 * BLOCK)  # three parts at least


def lost_answers(rig: Rig, seed: int, operation: str, count: int) -> Tally:
    """The operation took effect, its answer was swallowed."""
    tally = Tally(f"lost answer of {operation}", seed)
    dice, before = tally.dice(), rig.uploads()
    for number in range(count):
        if operation in CALLS:
            fault = rig.proxy.fault("swallow", match="[PG]*", hard=dice.random() < 0.5)
            (_token if operation == "token" else _vod)(rig, tally, dice)
        else:
            after = dice.randint(0, 1) if operation in ("append", "part") else 0
            hard = dice.random() < 0.5
            match = OPERATIONS[operation]
            fault = rig.proxy.fault("swallow", match=match, after=after, hard=hard)
            store(rig, tally, operation, f"lost/{operation}-{number}", dice)
        tally.tried += rig.proxy.settle(fault)
        rig.clear()
    # An upload id whose answer was lost is nobody's: at most one for each lost InitiateMultipart.
    left = rig.uploads() - before
    tally.expect(left <= tally.tried * (operation == "initiate"), f"{left} uploads left behind")
    return tally


def _token(rig: Rig, tally: Tally, dice) -> None:
    issuer = TokenIssuer(
        rig.cloud.role_arn,
        rig.cloud.bucket,
        credentials=Credentials(rig.cloud.access_key_id, rig.cloud.access_key_secret),
        secure_transport=False,
        endpoint=rig.proxy.endpoint,
        region=rig.cloud.region,
        retry=QUICK,
    )
    token = issuer.get_token("lost/*", "wam", 900, device="cam-1")
    written = dice.randbytes(1000)
    with rig.bucket(credentials=token, direct=True) as bucket, bucket.open("lost/t", "wb") as file:
        file.write(written)
    rig.verify(tally, file.result, written, "lost/t")


def _vod(rig: Rig, tally: Tally, dice) -> None:
    service = VodService(
        credentials=Credentials(rig.cloud.access_key_id, rig.cloud.access_key_secret),
        region=rig.cloud.region,
        endpoint=rig.proxy.endpoint,
        retry=QUICK,
    )
    grant = service.create_upload_video(
        "gate", "clip.mp4", reference_id=f"clip-{dice.getrandbits(60)}"
    )
    ticket = UploadTicket.from_json(grant.to_json(), allowed_hosts=(rig.cloud.endpoint,))
    written = dice.randbytes(3000)
    receipt = vod.upload(_file(written), ticket)
    held = rig.cloud.cloud.store.object(ticket.bucket, ticket.key)
    tally.expect(held is not None and held.crc == receipt.crc64, "vod: other content")
    tally.expect(receipt.size == len(written), f"vod: receipt of {receipt.size} bytes")


def _file(data: bytes):
    import io

    return io.BytesIO(data)


def twice(rig: Rig, seed: int, count: int) -> Tally:
    """The network delivers a request again: at once, or behind the next one of its kind; the camera
    sees either answer."""
    tally = Tally("delivered twice", seed)
    dice, before = tally.dice(), rig.uploads()
    initiated = 0
    for number in range(count):
        operation = dice.choice(list(OPERATIONS))
        many = operation in ("append", "part")  # of its kind, so that there is a next one
        late = many and dice.random() < 0.5
        fault = rig.proxy.fault(
            "twice",
            match=OPERATIONS[operation],
            after=dice.randint(0, 1) if many else 0,
            late=late,
            sees=dice.choice(["first", "second"]),
        )
        parallel = 1 if late else 2
        store(rig, tally, operation, f"twice/{number}-{operation}", dice, parallel=parallel)
        tally.tried += rig.proxy.settle(fault)
        initiated += fault.acted * (operation == "initiate")
        rig.clear()
    left = rig.uploads() - before
    tally.expect(left <= initiated, f"{left} uploads left behind")
    return tally


def resets(
    rig: Rig, seed: int, operation: str, side: str, offsets: int = 64, mode: str = ""
) -> Tally:
    """RST after so many bytes of the request, or of the answer: at every edge, and spread evenly
    between. All objects are of one size and one mode, so that the first one's lengths hold for
    all; an answer that is shorter (its CRC-64 has less digits) is reset at its end.

    Args:
        mode: of ``open``; "": the operation's.
    """
    tally = Tally(f"reset in {operation}'s {side}{f', {mode}' if mode else ''}", seed)
    dice = tally.dice()
    kind = {"mode": mode or ("ab" if operation == "append" else "wb")}
    kind["size"] = _size(operation, dice)
    rig.proxy.clear()
    where = f"reset/{operation}-{side}-{kind['mode']}"
    store(rig, tally, operation, f"{where}-0000000", dice, **kind)
    for place in _spread(_longest(rig, operation, side), offsets):
        rig.clear()
        fault = rig.proxy.fault("reset", match=OPERATIONS[operation], side=side, at=place)
        store(rig, tally, operation, f"{where}-{place + 1:07d}", dice, **kind)
        tally.tried += rig.proxy.settle(fault)
        rig.clear()
    tally.expect(tally.tried == offsets, f"only {tally.tried} of {offsets} resets struck")
    return tally


def _longest(rig: Rig, operation: str, side: str) -> int:
    """Bytes of the longest request or answer that passed."""
    seen = [one for one in rig.proxy.exchanges if fnmatchcase(one.line, OPERATIONS[operation])]
    end = time.monotonic() + 10
    while not all(one.over for one in seen):  # the camera may have its answer a little before
        assert time.monotonic() < end
        time.sleep(0.001)
    return max(getattr(one, side) for one in seen)


def _spread(length: int, count: int) -> list[int]:
    """``count`` places of 0 to ``length``, both ends and their neighbours among them."""
    edges = {0, 1, 2, length - 2, length - 1, length}
    inner = [round(length * at / (count + 1)) for at in range(1, count + 1)]
    rest = [place for place in inner if place not in edges]
    return sorted(edges | set(rest[: count - len(edges)]))


def flipped_bits(rig: Rig, seed: int, count: int) -> Tally:
    """One bit of a request, head or body, or of its answer is turned on the way."""
    tally = Tally("flipped bits", seed)
    dice = tally.dice()
    for number in _until(tally, count):
        operation = dice.choice(["append", "put", "part"])
        side = dice.choice(["request", "answer"])
        at = dice.randint(0, 1500) if side == "request" else dice.randint(0, 350)
        fault = rig.proxy.fault("flip", match=OPERATIONS[operation], side=side, at=at)
        _store_or_refuse(rig, tally, operation, f"flip/{number}-{operation}", dice)
        tally.tried += fault.acted
        rig.clear()
    return tally


def flipped_under_tls(cloud, ca_file, seed: int, count: int) -> Tally:
    """One bit of a TLS connection is turned, anywhere."""
    tally = Tally("flipped bits under TLS", seed)
    dice = tally.dice()
    with Rig(cloud, seed, ca_file) as rig:
        for number in _until(tally, count):
            operation = dice.choice(["append", "put", "part"])
            side = dice.choice(["request", "answer"])
            at = dice.randint(0, 3000 if side == "request" else 900)
            fault = rig.proxy.fault("flip", side=side, at=at)
            _store_or_refuse(rig, tally, operation, f"tls/{number}", dice)
            tally.tried += fault.acted
            rig.clear()
    return tally


def _until(tally: Tally, count: int) -> Iterator[int]:
    """Numbers, until so many faults have struck: not every place that is thrown is in a message."""
    for number in range(10 * count):
        if tally.tried == count:
            return
        yield number
    tally.expect(False, f"only {tally.tried} of {count} faults struck")


def _store_or_refuse(rig: Rig, tally: Tally, operation: str, key: str, dice) -> None:
    """A damaged status line may well be an honest refusal: an error is fine then, a claim of
    success for other bytes never."""
    before = len(tally.wrong)
    # A damaged Content-Length makes both ends wait for more.
    if not store(rig, tally, operation, key, dice, io_timeout_s=1.0):
        del tally.wrong[before:]
        tally.add("given up")


def standstills(rig: Rig, seed: int, count: int) -> Tally:
    """A direction stops at some byte, is not read any more, is half closed, or drips: the deadlines
    end the exchange, the next one goes through."""
    tally = Tally("standstills", seed)
    dice = tally.dice()
    limits = {"io_timeout_s": 0.15, "total_timeout_s": 0.6}
    for number in range(count):
        operation = dice.choice(["append", "put", "part"])
        action = dice.choice(["stall", "unread", "half_close", "drip"])
        side = "answer" if action == "drip" else dice.choice(["request", "answer"])
        at = dice.randint(0, 400 if side == "request" else 250)
        order = {"seconds": 0.1} if action == "drip" else {"at": at}
        fault = rig.proxy.fault(action, match=OPERATIONS[operation], side=side, **order)
        store(rig, tally, operation, f"still/{number}-{action}-{side}", dice, **limits)
        tally.tried += fault.acted or action == "drip"
        rig.clear()
    return tally
