"""Many cameras at once: signed requests as bytes, kept-alive connections, answers.

In flow device keys and an address, out flow statuses, bodies and times. It is as light as it can be
in Python, so that what is measured is the server; it checks nothing itself.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ossmedia.device_auth import Claim, DeviceKey, new_nonce, sign_request

BODY = b"{}"
_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(slots=True)
class Told:
    """One answer. ``seconds``: from when it was due to its end; ``number``: of its request."""

    number: int
    status: int
    head: bytes
    body: bytes
    seconds: float

    def header(self, name: str) -> str:
        """A header's value; "" for none."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.strip().lower() == name.encode():
                return value.strip().decode()
        return ""


class Device:
    """A camera's id and key, and the bytes of its requests.

    Args:
        host: as in the Host header; it is signed.
    """

    __slots__ = ("_host", "_key", "id")

    def __init__(self, device_id: str, key: str, host: str) -> None:
        self.id, self._host, self._key = device_id, host, DeviceKey.parse(key)

    def request(self) -> bytes:
        """A new one, signed now."""
        claim = Claim(self.id, self._key.id, str(int(time.time())), "", new_nonce())
        claim = sign_request(self._key, claim, "POST", "/v1/credentials", self._host, BODY)
        return (
            f"POST /v1/credentials HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: {claim.header()}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY


class Caller(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes, bytes]] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(_END)
        if end < 0 or self._answer is None:
            return
        head = bytes(self._data[:end])
        at = head.lower().find(_LENGTH) + len(_LENGTH)
        size = int(head[at : head.find(b"\r", at) if head.find(b"\r", at) > 0 else len(head)])
        if len(self._data) < end + len(_END) + size:
            return
        body = bytes(self._data[end + len(_END) :])
        self._data.clear()
        if not self._answer.done():
            self._answer.set_result((int(head[9:12]), head, body))

    async def ask(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body of the answer to one request."""
        if self.transport is None:
            raise ConnectionError("the server hung up")
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def close(self) -> None:
        """At once; TLS does not wait for the other side's farewell."""
        if self.transport is not None:
            self.transport.abort()


async def connect(host: str, port: int, context: ssl.SSLContext | None = None) -> Caller:
    """An open connection; with a context over TLS, by the name ``host``."""
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(Caller, host, port, ssl=context)
    return caller


Make = Callable[[int], bytes]


async def closed_loop(
    address: tuple[str, int], make: Make, numbers: Iterable[int], connections: int
) -> list[Told]:
    """Each connection sends its next request when it has its answer."""
    left = iter(numbers)
    told: list[Told] = []

    async def work() -> None:
        caller = await connect(*address)
        for number in left:
            request = make(number)
            begin = time.perf_counter()
            answer = await caller.ask(request)
            told.append(Told(number, *answer, time.perf_counter() - begin))
        caller.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return told


async def open_loop(
    address: tuple[str, int], requests: Sequence[bytes], per_s: float, connections: int
) -> list[Told]:
    """A request is due every so often, whether or not the answers before it came. Times count from
    when it was due, so that a server that stalls does not hide it."""
    free: asyncio.LifoQueue[Caller] = asyncio.LifoQueue()
    for _ in range(connections):
        free.put_nowait(await connect(*address))
    told: list[Told] = []
    begin = time.perf_counter()

    async def send(number: int, due: float) -> None:
        caller = await free.get()
        answer = await caller.ask(requests[number])
        free.put_nowait(caller)
        told.append(Told(number, *answer, time.perf_counter() - due))

    tasks = []
    for number in range(len(requests)):
        due = begin + number / per_s
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(send(number, due)))
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait().close()
    return told
