"""A TCP proxy that misbehaves on order, between a client and the local cloud.

In flow connections and orders (which exchange, after how many bytes, what to do), out flow the same
bytes, late, cut, flipped, twice or not at all. It counts in bytes of one HTTP exchange, so that
"reset after 700 bytes of the answer" means the same in every run; with ``raw`` it counts in bytes
of the connection and looks at nothing, as TLS needs it. It never makes up an answer.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.faults.framing import Ended, Head, body_pieces, read_head

ACTIONS = {
    "reset": "RST to both ends after `at` bytes of `side`",
    "cut": "close both connections in order after `at` bytes of `side`",
    "half_close": "end the direction of `side` after `at` bytes; the other goes on",
    "stall": "after `at` bytes of `side` nothing moves in that direction any more",
    "unread": "after `at` bytes of `side` its sender is not read any more: its window closes",
    "flip": "one bit of byte `at` of `side` is turned",
    "delay": "every piece of `side` waits for `seconds`, give or take `jitter`",
    "rate": "`side` moves `rate` bytes per second",
    "drip": "`side` moves one byte at a time, `seconds` apart",
    "swallow": "the server's whole answer is thrown away; the client sees a close, or RST",
    "twice": "the server gets the request a second time: at once, or behind the next matching one",
}

AT_THE_END = ("reset", "cut", "half_close", "stall", "unread")


@dataclass(slots=True)
class Fault:
    """One order.

    Fields:
        match: glob over "METHOD target", such as ``POST *append*``.
        side: "request" or "answer".
        at: bytes of that side that pass first; all but ``flip`` strike a shorter one at its end.
        after: matching exchanges to let pass. times: then so many are hit; 0: all.
        chance: share of the matching exchanges that are hit, by the proxy's own dice.
        sees: which answer of ``twice`` the client gets, "first" or "second".
        late: ``twice``: the second delivery comes behind the next matching exchange.
        hard: ``swallow``: RST instead of a close.
        hits: exchanges it was ordered for. acted: those it really changed.
    """

    action: str
    match: str = "*"
    side: str = "answer"
    at: int = 0
    after: int = 0
    times: int = 1
    chance: float = 1.0
    seconds: float = 0.0
    jitter: float = 0.0
    rate: int = 0
    sees: str = "first"
    late: bool = False
    hard: bool = False
    seen: int = 0
    hits: int = 0
    acted: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}, got {self.action!r}")
        if self.side not in ("request", "answer") or self.sees not in ("first", "second"):
            raise ValueError(f"no such side: {self.side!r}, {self.sees!r}")

    def strikes(self, line: str, dice: random.Random) -> bool:
        """Whether this exchange is to be hit; counts it."""
        if 0 < self.times <= self.hits or not fnmatchcase(line, self.match):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.chance < 1 and dice.random() >= self.chance):
            return False
        self.hits += 1
        return True


class Torn(Exception):
    """Both connections of an exchange have to go."""

    def __init__(self, *, hard: bool) -> None:
        super().__init__()
        self.hard = hard


@dataclass(slots=True)
class Exchange:
    """What passed, for tests that have to know lengths."""

    line: str
    request: int = 0
    answer: int = 0
    status: int = 0
    over: bool = False  # the lengths are whole


@dataclass(slots=True)
class Late:
    """A request that is delivered again later; ``own``: its own exchange has not ended yet."""

    fault: Fault
    request: bytes
    own: bool = True


class Side:
    """One direction of one exchange, with its fault."""

    def __init__(self, proxy: FaultProxy, writer: asyncio.StreamWriter, fault: Fault | None):
        self.proxy, self.writer, self.fault = proxy, writer, fault
        self.passed = 0

    async def write(self, data: bytes) -> None:
        """Passes bytes on, as far as the fault allows.

        Raises:
            Torn: the connections have to go.
        """
        fault = self.fault
        if fault is None or fault.action in ("swallow", "twice"):
            await self._pass(data)
        elif fault.action in ("delay", "rate", "drip"):
            await self._slowly(fault, data)
        elif fault.action == "flip":
            place = fault.at - self.passed
            if 0 <= place < len(data):
                fault.acted += 1
                data = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
            await self._pass(data)
        else:
            left = fault.at - self.passed
            await self._pass(data[: max(0, left)])
            if len(data) >= left:
                await self._act(fault)

    async def end(self) -> None:
        """The last byte has passed: what was ordered for a later one strikes now."""
        if self.fault is not None and self.fault.action in AT_THE_END:
            await self._act(self.fault)

    async def _pass(self, data: bytes) -> None:
        await self.proxy.open.wait()
        self.passed += len(data)
        if data and not self.writer.is_closing():
            self.writer.write(data)
            await self.writer.drain()

    async def _slowly(self, fault: Fault, data: bytes) -> None:
        step = 1 if fault.action == "drip" else 4096 if fault.action == "rate" else len(data)
        for start in range(0, len(data), max(1, step)):
            piece = data[start : start + step]
            spread = fault.jitter * (2 * self.proxy.dice.random() - 1)
            pause = len(piece) / fault.rate if fault.action == "rate" else fault.seconds + spread
            await asyncio.sleep(max(0.0, pause))
            await self._pass(piece)

    async def _act(self, fault: Fault) -> None:
        fault.acted += 1
        if fault.action in ("reset", "cut"):
            await self.writer.drain()
            raise Torn(hard=fault.action == "reset")
        if fault.action == "half_close":
            self.writer.write_eof()
        # stall, unread and what follows a half-close: this direction stands still from here on.
        await self.proxy.standing.wait()
        raise Torn(hard=True)


class FaultProxy:
    """The proxy, in a thread of its own.

    Args:
        upstream: "host:port" or "http://host:port".
        seed: of its dice.
        raw: count bytes of connections, not of HTTP exchanges.
    """

    def __init__(self, upstream: str, *, seed: int = 0, raw: bool = False) -> None:
        host, _, port = upstream.rpartition("//")[2].rpartition(":")
        self._upstream = (host, int(port))
        self._raw = raw
        self.dice = random.Random(seed)
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self._late: list[Late] = []
        self._refusing = False
        self._tasks: set[asyncio.Task] = set()

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> FaultProxy:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(30)
        return self

    def _run(self, ready: threading.Event) -> None:
        asyncio.run(self._main(ready))

    async def _main(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.standing = asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        # A small window, set before the handshake: a sender that is not read is stopped soon.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        # asyncio knows no TCP in a socket that it did not make, and leaves the delays on.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        server = await asyncio.start_server(self._accepted, sock=listener, limit=65_536)
        ready.set()
        await self._end.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    # -- orders ----------------------------------------------------------------------------------

    def fault(self, action: str, **fields: object) -> Fault:
        """Orders a fault; the first that strikes an exchange has it alone."""
        fault = Fault(action, **fields)
        self.faults.append(fault)
        return fault

    def settle(self, fault: Fault, seconds: float = 10.0) -> bool:
        """Waits until the fault has struck: the client may have its answer before that. What is
        still held back for a next exchange comes now.

        Returns:
            Whether it has struck.
        """
        asyncio.run_coroutine_threadsafe(self._deliver_held(), self._loop).result(seconds)
        end = time.monotonic() + seconds
        while not fault.acted and time.monotonic() < end:
            time.sleep(0.001)
        return fault.acted > 0

    def clear(self) -> None:
        """Forgets faults and exchanges, heals the network and ends what still stands still."""
        self.faults = []
        self.exchanges = []
        self._late = []
        self.heal()

    def _heal(self) -> None:
        self.open.set()
        self.standing.set()
        self.standing = asyncio.Event()

    def blackhole(self) -> None:
        """No byte moves on any connection, old or new, until ``heal``."""
        self._loop.call_soon_threadsafe(self.open.clear)

    def refuse(self) -> None:
        """Every new connection is reset, and every old one with its next byte."""
        self._refusing = True

    def heal(self) -> None:
        """The network is there again."""
        self._refusing = False
        self._loop.call_soon_threadsafe(self._heal)

    def cut_all(self) -> None:
        """Every connection of the moment is reset: an address changed, a router started anew."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in list(self._tasks)])

    # -- one connection --------------------------------------------------------------------------

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        ends = [writer]
        try:
            if self._refusing:
                raise Torn(hard=True)
            await self.open.wait()
            up_reader, up_writer = await asyncio.open_connection(*self._upstream, limit=65_536)
            ends.append(up_writer)
            serve = self._tunnel if self._raw else self._exchanges
            await serve(reader, writer, up_reader, up_writer)
        except Torn as torn:
            for end in ends:
                _close(end, hard=torn.hard)
        except (Ended, ConnectionError, asyncio.CancelledError, OSError):
            hard = task.cancelling() > 0
            for end in ends:
                _close(end, hard=hard)
        finally:
            for end in ends:
                _close(end, hard=False)
            self._tasks.discard(task)

    async def _tunnel(self, reader, writer, up_reader, up_writer) -> None:
        fault = self._pick("CONNECT *")
        request = Side(self, up_writer, fault if fault and fault.side == "request" else None)
        answer = Side(self, writer, fault if fault and fault.side == "answer" else None)
        await _first_of(_copy(reader, request), _copy(up_reader, answer))

    async def _exchanges(self, reader, writer, up_reader, up_writer) -> None:
        while True:
            head = await read_head(reader)
            if self._refusing:
                raise Torn(hard=True)
            fault = self._pick(head.line)
            record = Exchange(head.line)
            self.exchanges.append(record)
            kept = bytearray()
            request = Side(self, up_writer, fault if fault and fault.side == "request" else None)
            keep = kept if fault and fault.action == "twice" else None
            await _all_of(
                _send(head, reader, request, keep),
                self._answer(head, fault, record, kept, writer, up_reader),
            )
            record.request, record.over = request.passed, True
            await self._deliver_late(head.line)

    async def _answer(self, head, fault, record, kept, writer, up_reader) -> None:
        side = Side(self, writer, fault if fault and fault.side == "answer" else None)
        if fault is None or fault.action not in ("swallow", "twice"):
            answer = await read_head(up_reader)
            record.status = answer.status
            await side.write(answer.raw)
            async for piece in body_pieces(answer, up_reader, head.method):
                await side.write(piece)
            record.answer = side.passed
            await side.end()
            return
        first = await self._whole_answer(head, up_reader)
        if fault.action == "swallow":
            fault.acted += 1
            raise Torn(hard=fault.hard)
        if fault.late:
            self._late.append(Late(fault, bytes(kept)))
            await side.write(first)
            return
        second = await self._deliver(bytes(kept), head)
        fault.acted += 1
        await side.write(first if fault.sees == "first" else second)

    async def _whole_answer(self, head: Head, reader: asyncio.StreamReader) -> bytes:
        answer = await read_head(reader)
        return answer.raw + b"".join(
            [piece async for piece in body_pieces(answer, reader, head.method)]
        )

    async def _deliver(self, request: bytes, head: Head) -> bytes:
        """The same request on a connection of its own; returns its answer."""
        reader, writer = await asyncio.open_connection(*self._upstream, limit=65_536)
        try:
            writer.write(request)
            return await self._whole_answer(head, reader)
        finally:
            _close(writer, hard=False)

    async def _deliver_late(self, line: str) -> None:
        """What was held back comes now, behind this exchange; but not behind its own."""
        for held in list(self._late):
            if held not in self._late or not fnmatchcase(line, held.fault.match):
                continue
            if held.own:
                held.own = False
                continue
            self._late.remove(held)
            await self._deliver_again(held)

    async def _deliver_held(self) -> None:
        while self._late:
            await self._deliver_again(self._late.pop(0))

    async def _deliver_again(self, held: Late) -> None:
        await self._deliver(held.request, Head(held.request))
        held.fault.acted += 1

    def _pick(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.strikes(line, self.dice):
                return fault
        return None


async def _send(head: Head, reader, side: Side, kept: bytearray | None) -> None:
    await side.write(head.raw)
    if kept is not None:
        kept += head.raw
    async for piece in body_pieces(head, reader, ""):
        if kept is not None:
            kept += piece
        await side.write(piece)
    await side.end()


async def _copy(reader: asyncio.StreamReader, side: Side) -> None:
    while True:
        data = await reader.read(65_536)
        if not data:
            return
        await side.write(data)


async def _first_of(*moves) -> None:
    """Until one of the directions ends, or is torn."""
    await _together(moves, asyncio.FIRST_COMPLETED)


async def _all_of(*moves) -> None:
    """Until both directions of an exchange are through, or one is torn."""
    await _together(moves, asyncio.FIRST_EXCEPTION)


async def _together(moves, until: str) -> None:
    tasks = [asyncio.ensure_future(move) for move in moves]
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _close(writer: asyncio.StreamWriter, *, hard: bool) -> None:
    transport = writer.transport
    if transport.is_closing():
        return
    if hard:
        sock = writer.get_extra_info("socket")
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()
