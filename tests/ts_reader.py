"""A strict reader of MPEG transport streams, written from ISO/IEC 13818-1 alone: it shares no code
with the muxer it judges.

Packets flow in, the units they carry and every fault it found flow out, in words. It knows one
program with at most one video and one audio track, and it never mends anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PACKET = 188
CLOCK = 1 << 33
PCR_MAX = 9000  # 100 ms in ticks of 90 kHz
VIDEO_TYPES = {0x1B, 0x24}
AUDIO_TYPES = {0x03, 0x04, 0x0F}


@dataclass
class Unit:
    """One PES packet: an access unit, or audio frames."""

    pid: int
    pts: int
    dts: int
    random_access: bool
    discontinuity: bool
    tables: bool  # PAT and PMT stand right before it
    declared: int
    data: bytearray = field(default_factory=bytearray)


@dataclass
class Stream:
    """What was read."""

    faults: list[str] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    types: dict[int, int] = field(default_factory=dict)  # stream_type by PID
    pcr_pid: int = -1
    pcrs: list[int] = field(default_factory=list)
    packets: int = 0

    def of(self, pid: int) -> list[Unit]:
        return [unit for unit in self.units if unit.pid == pid]


def crc32(section: bytes) -> int:
    """The CRC of ISO/IEC 13818-1 Annex A; 0 over a section with its own CRC."""
    crc = 0xFFFFFFFF
    for byte in section:
        for bit in range(7, -1, -1):
            top = (crc >> 31) ^ (byte >> bit & 1)
            crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    return crc


def _time(data: bytes) -> int:
    return (
        (data[0] >> 1 & 7) << 30
        | data[1] << 22
        | (data[2] >> 1) << 15
        | data[3] << 7
        | data[4] >> 1
    )


class TsReader:
    """Reads packets as they come; ``stream.faults`` stays empty for a correct stream."""

    def __init__(self) -> None:
        self.stream = Stream()
        self._counters: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._open: dict[int, Unit] = {}
        self._tables = 0  # since the last unit: 1 PAT, 2 PMT
        self._pmt_pid = -1

    def _fault(self, words: str) -> None:
        self.stream.faults.append(f"packet {self.stream.packets}: {words}")

    def feed(self, data: bytes) -> None:
        """Whole packets."""
        if len(data) % PACKET:
            self._fault(f"{len(data) % PACKET} bytes behind the last packet")
        for at in range(0, len(data) - PACKET + 1, PACKET):
            self._packet(data[at : at + PACKET])
            self.stream.packets += 1

    def end(self) -> Stream:
        """No packet follows: the last units are complete."""
        for pid in list(self._open):
            self._close(pid)
        return self.stream

    def _packet(self, packet: bytes) -> None:
        if packet[0] != 0x47:
            self._fault("no sync byte")
            return
        if packet[1] & 0xA0 or packet[3] & 0xC0:
            self._fault("transport error, priority or scrambling")
        start, pid = bool(packet[1] & 0x40), (packet[1] & 0x1F) << 8 | packet[2]
        has_field, has_payload = bool(packet[3] & 0x20), bool(packet[3] & 0x10)
        if not has_field and not has_payload:
            self._fault("neither adaptation field nor payload")
        self._count(pid, packet[3] & 15, has_payload)
        at, flags = 4, 0
        if has_field:
            at += 1 + packet[4]
            flags = packet[5] if packet[4] else 0
            if packet[4] > 183 - has_payload:
                self._fault(f"an adaptation field of {packet[4]} bytes")
                return
            self._adaptation(pid, flags, packet[5:at])
        if has_payload:
            self._payload(pid, start, flags, packet[at:])
        elif start:
            self._fault("a start without payload")

    def _count(self, pid: int, counter: int, has_payload: bool) -> None:
        last = self._counters.get(pid)
        if last is not None and counter != (last + has_payload) & 15:
            self._fault(f"continuity_counter of PID {pid:#x} is {counter} after {last}")
        self._counters[pid] = counter

    def _adaptation(self, pid: int, flags: int, content: bytes) -> None:
        used = 1
        if flags & 0x2F:
            self._fault(f"flags {flags:#x} in the adaptation field")
        if flags & 0x10:
            used = 7
            if len(content) < 7:
                self._fault("a PCR that is cut off")
                return
            base = int.from_bytes(content[1:7], "big") >> 15
            if pid != self.stream.pcr_pid:
                self._fault(f"a PCR on PID {pid:#x}")
            last = self.stream.pcrs[-1] if self.stream.pcrs else None
            if last is not None and not flags & 0x80 and not 0 < (base - last) % CLOCK <= PCR_MAX:
                self._fault(f"PCR {base} after {last}")
            self.stream.pcrs.append(base)
        if any(byte != 0xFF for byte in content[used:]):
            self._fault("stuffing that is not 0xff")

    def _payload(self, pid: int, start: bool, flags: int, payload: bytes) -> None:
        if pid == 0 or pid == self._pmt_pid:
            if not start:
                self._fault("a section over two packets")
            self._section(pid, payload)
            return
        if pid not in self.stream.types:
            self._fault(f"PID {pid:#x} is not in the PMT")
            return
        if start:
            self._close(pid)
            self._begin(pid, flags, payload)
        elif pid in self._open:
            self._open[pid].data += payload
            if self._tables:
                self._fault("tables within a unit")
        else:
            self._fault(f"PID {pid:#x} goes on without a beginning")

    def _section(self, pid: int, payload: bytes) -> None:
        size = 3 + ((payload[2] & 0x0F) << 8 | payload[3])
        section = payload[1 : 1 + size]
        if payload[0] or len(section) != size or crc32(section):
            self._fault(f"a section of PID {pid:#x}: pointer, length or CRC")
            return
        if any(byte != 0xFF for byte in payload[1 + size :]):
            self._fault("bytes behind a section")
        if pid == 0:
            if section[0] != 0 or size != 16:
                self._fault("a PAT of other than one program")
            self._pmt_pid = (section[10] & 0x1F) << 8 | section[11]
            self._tables = 1
            return
        if section[0] != 2 or self._tables != 1:
            self._fault("a PMT that does not follow a PAT")
        self.stream.pcr_pid = (section[8] & 0x1F) << 8 | section[9]
        self.stream.types = {
            (section[at + 1] & 0x1F) << 8 | section[at + 2]: section[at]
            for at in range(12, size - 4, 5)
        }
        if self.stream.pcr_pid not in self.stream.types:
            self._fault("a PCR PID without a track")
        self._tables = 2

    def _begin(self, pid: int, flags: int, payload: bytes) -> None:
        kind = 0xE0 if self.stream.types[pid] in VIDEO_TYPES else 0xC0
        if payload[:4] != bytes((0, 0, 1, kind)) or payload[6] & 0xC0 != 0x80:
            self._fault("a PES header that is none")
            return
        if self._tables == 1:
            self._fault("a PAT without its PMT")
        times, size = payload[7] >> 6, 9 + payload[8]
        if times not in (2, 3) or payload[8] != (5 if times == 2 else 10):
            self._fault("a PES packet without PTS")
            return
        pts = _time(payload[9:14])
        dts = _time(payload[14:19]) if times == 3 else pts
        declared = int.from_bytes(payload[4:6], "big")
        if declared:
            declared -= size - 6
        elif kind == 0xC0:
            self._fault("audio without PES_packet_length")
        gap, tables = bool(flags & 0x80), self._tables == 2
        unit = Unit(pid, pts, dts, bool(flags & 0x40), gap, tables, declared)
        unit.data += payload[size:]
        self._check_times(unit, flags)
        self._tables = 0
        self._open[pid] = unit
        self.stream.units.append(unit)

    def _check_times(self, unit: Unit, flags: int) -> None:
        last = self._last.get(unit.pid)
        if last is not None and not unit.discontinuity:
            step = (unit.dts - last) % CLOCK
            if not 0 < step < CLOCK // 2:
                self._fault(f"DTS {unit.dts} after {last}")
        self._last[unit.pid] = unit.dts
        if (unit.pts - unit.dts) % CLOCK >= CLOCK // 2:
            self._fault(f"PTS {unit.pts} before DTS {unit.dts}")
        if unit.pid == self.stream.pcr_pid:
            if not flags & 0x10:
                self._fault("a unit without PCR")
            elif not 0 < (unit.dts - self.stream.pcrs[-1]) % CLOCK <= 90_000:
                self._fault(f"DTS {unit.dts} at PCR {self.stream.pcrs[-1]}: not within a second")

    def _close(self, pid: int) -> None:
        unit = self._open.pop(pid, None)
        if unit is None:
            return
        if unit.declared and unit.declared != len(unit.data):
            self._fault(f"PES_packet_length says {unit.declared}, {len(unit.data)} came")
        if not unit.declared and len(unit.data) + 13 <= 0xFFFF:
            self._fault("no PES_packet_length for a short unit")


def read(data: bytes) -> Stream:
    """All packets of a stream, or of a segment."""
    reader = TsReader()
    reader.feed(data)
    return reader.end()
