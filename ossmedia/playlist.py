"""An HLS media playlist: which segments there are, in which order, and since when.

In flow entries, one after the other, or a playlist's text after a restart; out flows the text that
players read. It never names a segment twice, never takes back a number, and never talks to OSS.

Source: RFC 8216, 4.3 (tags), 6.2 (what a server may change).
"""

from __future__ import annotations

from collections import deque

from ossmedia.clock import from_iso_date, to_iso_date

__all__ = ["CONTENT_TYPE", "MODES", "Entry", "Playlist", "checked_uri", "iso_ms", "segment_uri"]

CONTENT_TYPE = "application/vnd.apple.mpegurl"
MODES = ("live", "vod", "event")
TICKS = 90_000  # one second, as MPEG-TS counts
_NEXT = "#OSSMEDIA-NEXT:"  # a comment for every player; a restart looks there for one segment more
_MODE = "#OSSMEDIA-MODE:"  # PLAYLIST-TYPE says it of an event only
_OF_ENTRY = (
    "#EXTINF:", "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-KEY:", "#EXT-X-DISCONTINUITY\n", _NEXT
)  # fmt: skip
_NUMBERS = ("TARGETDURATION", "MEDIA-SEQUENCE", "DISCONTINUITY-SEQUENCE")


def iso_ms(ms: int) -> str:
    """Milliseconds since 1970 UTC as "2026-11-23T08:14:00.123Z"."""
    return f"{to_iso_date(ms // 1000)}.{ms % 1000:03d}Z"


def segment_uri(start_ms: int, sequence: int) -> str:
    """The segment's name, relative to its playlist: "20261123/20261123T081400123Z-00000007.ts"."""
    stamp = to_iso_date(start_ms // 1000).replace("-", "").replace(":", "")
    return f"{stamp[:8]}/{stamp}{start_ms % 1000:03d}Z-{sequence:08d}.ts"


class Entry:
    """One segment.

    Args:
        uri: relative to the playlist.
        duration: in ticks of 1/90,000 s.
        start_ms: of its first picture, milliseconds since 1970 UTC.
        discontinuity: it does not go on where the one before ended.
        key: attributes of EXT-X-KEY, 'METHOD=AES-128,URI="...",IV=0x...'; "": in the clear.
    """

    __slots__ = ("discontinuity", "duration", "key", "start_ms", "uri")

    def __init__(
        self, uri: str, duration: int, start_ms: int, discontinuity: bool = False, key: str = ""
    ) -> None:
        self.uri = uri
        self.duration = duration
        self.start_ms = start_ms
        self.discontinuity = discontinuity
        self.key = key


class Playlist:
    """A playlist being written.

    Args:
        mode: "live" keeps a window; "vod" and "event" keep all.
        target_s: EXT-X-TARGETDURATION; grows with a longer segment. It should not change once
            players know it (RFC 8216, 6.2.1), but a segment above it must not be (4.3.3.1).
        list_size: entries of a window; more while they are less than three target durations, which
            a player needs (RFC 8216, 6.2.2).
        sequence: number of the first entry. discontinuities: EXT-X-DISCONTINUITY-SEQUENCE.
    """

    def __init__(
        self,
        mode: str,
        target_s: int,
        list_size: int = 5,
        sequence: int = 0,
        discontinuities: int = 0,
    ) -> None:
        self.mode = mode
        self.target_s = target_s
        self.list_size = list_size
        self.sequence = sequence
        self.discontinuities = discontinuities
        self.ended = False
        self.next_uri = ""  # the segment that was announced last, until it comes
        self._entries: deque[Entry] = deque()
        self._texts: deque[str] = deque()
        self._length = 0  # of all entries, in ticks
        self._told = -TICKS  # when a player takes the next entry to begin, ticks since 1970

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    @property
    def next_sequence(self) -> int:
        return self.sequence + len(self._entries)

    def expect(self, duration: int) -> None:
        """A segment of so many ticks comes next: its target duration is told from now on, so that
        of a recording whose key frames are rarer than it was told does not change."""
        self.target_s = max(self.target_s, _rounded(duration))

    def append(self, entry: Entry) -> None:
        """One more segment; a window lets go of its first ones."""
        self._keep_comment()
        self._add(entry, self._entry_text(entry))

    def _add(self, entry: Entry, text: str) -> None:
        self._texts.append(text)
        self._entries.append(entry)
        self._length += entry.duration
        self.expect(entry.duration)
        if self.mode == "live":
            self._slide()

    def announce(self, uri: str) -> None:
        """A comment for every player: a restart looks for this segment, too."""
        if uri != self.next_uri:
            self._keep_comment()
            self.next_uri = uri

    def _keep_comment(self) -> None:
        """A list that only grows never takes back a line."""
        if self.next_uri and self.mode != "live":
            self._texts.append(f"{_NEXT}{self.next_uri}\n")
        self.next_uri = ""

    def _entry_text(self, entry: Entry) -> str:
        text = "#EXT-X-DISCONTINUITY\n" if entry.discontinuity else ""
        if entry.key:
            text += f"#EXT-X-KEY:{entry.key}\n"
        elif self._entries and self._entries[-1].key:
            text += "#EXT-X-KEY:METHOD=NONE\n"
        start = entry.start_ms * (TICKS // 1000)
        if entry.discontinuity or abs(start - self._told) > TICKS // 1000:
            text += _time_tag(entry)
            self._told = start
        self._told += entry.duration
        return f"{text}#EXTINF:{_seconds(entry.duration)},\n{entry.uri}\n"

    def _slide(self) -> None:
        enough = 3 * self.target_s * TICKS
        while len(self._entries) > self.list_size:
            first = self._entries[0]
            if self._length - first.duration < enough:
                return
            self._entries.popleft()
            self._texts.popleft()
            self._length -= first.duration
            self.sequence += 1
            self.discontinuities += first.discontinuity

    def text(self) -> str:
        """What players read."""
        lines = [f"#EXTM3U\n#EXT-X-VERSION:3\n{_MODE}{self.mode}\n"]
        if self.mode == "event" or (self.mode == "vod" and self.ended):
            lines.append(f"#EXT-X-PLAYLIST-TYPE:{self.mode.upper()}\n")
        lines.append(f"#EXT-X-TARGETDURATION:{self.target_s}\n")
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{self.sequence}\n")
        if self.discontinuities:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuities}\n")
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS\n")
        window = self.mode == "live"
        if window and self._texts and "#EXT-X-PROGRAM-DATE-TIME:" not in self._texts[0]:
            lines.append(_time_tag(self._entries[0]))
        lines.extend(self._texts)
        if self.next_uri and not (self.ended and window):
            lines.append(f"{_NEXT}{self.next_uri}\n")
        if self.ended:
            lines.append("#EXT-X-ENDLIST\n")
        return "".join(lines)

    @classmethod
    def parse(cls, text: str, mode: str, target_s: int, list_size: int = 5) -> Playlist:
        """A playlist that ``text`` has written, to be continued: a list that grows is written with
        the same lines again.

        Args:
            mode, target_s, list_size: of the recording that goes on; a larger target of the text's
                stays.

        Raises:
            ValueError: no playlist of ours, naming the line; or one of another mode.
        """
        reader = _Reader(text)
        if reader.mode != mode:
            raise ValueError(f"playlist: its mode is {reader.mode[:20]!r}, not {mode!r}")
        made = cls(mode, max(target_s, reader.numbers["TARGETDURATION"]), list_size)
        made.sequence = reader.numbers["MEDIA-SEQUENCE"]
        made.discontinuities = reader.numbers["DISCONTINUITY-SEQUENCE"]
        for entry, lines in reader.entries:
            made._entry_text(entry)  # what players know of the time behind it
            made._add(entry, lines)
        if reader.lines and mode != "live":
            made._texts.append(reader.lines)
        made.ended = reader.ended
        made.next_uri = reader.next_uri
        return made


def _rounded(ticks: int) -> int:
    """Whole seconds, a half goes up: what a target duration must not be below."""
    return (2 * ticks + TICKS) // (2 * TICKS)


def _time_tag(entry: Entry) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:{iso_ms(entry.start_ms)}\n"


def _seconds(ticks: int) -> str:
    """Ticks with five decimals: enough that they can be told again."""
    units = (20 * ticks + 9) // 18
    return f"{units // 100_000}.{units % 100_000:05d}"


def _ticks(seconds: str) -> int:
    whole, dot, fraction = seconds.partition(".")
    if not dot or len(fraction) != 5 or len(whole) > 6:
        raise ValueError
    return (9 * _digits(whole + fraction) + 5) // 10


def _digits(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ValueError
    return int(text)


class _Reader:
    """What a playlist's text says; strict, for it was written by ``Playlist.text``."""

    def __init__(self, text: str) -> None:
        self.entries: list[tuple[Entry, str]] = []  # with the lines that say it
        self.lines = ""  # since the last entry: of the next one, but for comments
        self.numbers = dict.fromkeys(_NUMBERS, 0)
        self.ended = False
        self.mode = ""
        self.next_uri = ""
        self._duration: int | None = None
        self._discontinuity = False
        self._key = ""
        self._told = 0  # when the next entry begins, in ticks since 1970
        lines = text.split("\n")
        if lines[0] != "#EXTM3U" or lines[-1] != "":
            raise ValueError("playlist: no #EXTM3U at its beginning, or no line end at its end")
        for number, line in enumerate(lines[1:-1], 2):
            try:
                self._line(line)
            except ValueError:
                raise ValueError(
                    f"playlist: line {number} is none of ours: {line[:60]!r}"
                ) from None
        begun = any(not line.startswith(_NEXT) for line in self.lines.splitlines())
        if begun or not self.numbers["TARGETDURATION"]:
            raise ValueError("playlist: it ends in an entry, or has no target duration")
        self.lines = self.lines.removesuffix(f"{_NEXT}{self.next_uri}\n")

    def _line(self, line: str) -> None:
        if self.ended:
            raise ValueError
        whole = f"{line}\n"
        if not line.startswith("#") or whole.startswith(_OF_ENTRY):
            self.lines += whole
        if line.startswith("#EXTINF:"):
            self._duration = _ticks(line[8:].removesuffix(","))
        elif line.startswith(_NEXT):
            self.next_uri = checked_uri(line[len(_NEXT) :])
        elif line.startswith(_MODE):
            self.mode = line[len(_MODE) :]
        elif line.startswith("#"):
            tag, _, value = line.removeprefix("#EXT-X-").partition(":")
            self._tag(tag, value)
        else:
            self._entry(checked_uri(line))

    def _tag(self, tag: str, value: str) -> None:
        if tag in _NUMBERS:
            self.numbers[tag] = _digits(value)
        elif tag == "PROGRAM-DATE-TIME":
            self._told = round(from_iso_date(value) * 1000) * (TICKS // 1000)
        elif tag == "KEY":
            self._key = "" if value == "METHOD=NONE" else value
        elif tag == "DISCONTINUITY":
            self._discontinuity = True
        elif tag == "ENDLIST":
            self.ended = True
        elif tag not in ("VERSION", "PLAYLIST-TYPE", "INDEPENDENT-SEGMENTS"):
            raise ValueError

    def _entry(self, uri: str) -> None:
        if self._duration is None:
            raise ValueError
        start_ms = round(self._told * 1000 / TICKS)
        entry = Entry(uri, self._duration, start_ms, self._discontinuity, self._key)
        self.entries.append((entry, self.lines))
        self._told += self._duration
        self._duration, self._discontinuity, self._key = None, False, ""
        self.lines = self.next_uri = ""


def checked_uri(uri: str) -> str:
    """A name as ``segment_uri`` makes it; any other is a ValueError."""
    day, slash, name = uri.partition("/")
    stamp, dash, rest = name.partition("-")
    number = rest.removesuffix(".ts")
    if not (slash and dash and len(day) == 8 and len(stamp) == 19 and stamp.startswith(day)):
        raise ValueError
    if stamp[8] != "T" or stamp[18] != "Z" or rest == number:
        raise ValueError
    _digits(day + stamp[9:18])
    if _digits(number) < 0 or len(number) < 8:
        raise ValueError
    return uri
