"""Puts segments and their playlist into OSS so that the playlist always holds: segment first, then
the playlist that names it.

In flow finished segments, one at a time; out flow objects. Each segment says in its metadata which
one comes next, or the playlist does in a comment, and a restart goes along that chain: so no
segment that OSS acknowledged is missing from the playlist, wherever the process before was killed.
It never deletes, renames or overwrites a segment, and never continues a playlist that is not its
own or has ended.
"""

from __future__ import annotations

from ossmedia.clock import chance
from ossmedia.errors import AccessDenied, MediaError, NetworkError, NotFound, PreconditionFailed
from ossmedia.playlist import TICKS, Entry, Playlist, checked_uri, segment_uri
from ossmedia.playlist_object import PlaylistObject
from ossmedia.reader import Reader, stat_object
from ossmedia.retry import Retry
from ossmedia.segments import RecordedSegment
from ossmedia.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ossmedia.hls_keys import SegmentCipher
    from ossmedia.playlist_object import Bucket
    from ossmedia.segments import Segment
    from ossmedia.spool import Spool

__all__ = ["Publisher"]

_EPOCH = 1_577_836_800  # 2020-01-01: seconds since then are a number that only grows, below 2^31
_LARGEST = 64 << 20  # bytes of a playlist: weeks
_LOOKS = 3  # at a playlist that changes while it is read
_MOST = 1000  # playlists that ended, at one prefix
_SHARE = 100  # of the media's bytes: what versions of a list that nobody waits for may cost


class Publisher:
    """One recording's objects; one caller at a time.

    Args:
        prefix: "cams/cam-01/live": of all keys, without a slash at its end.
        announce: says when the next segment begins, in ms since 1970, or None.
        stored: called with each segment that OSS, or the spool, has acknowledged.
    """

    def __init__(
        self,
        bucket: Bucket,
        session: Session,
        spool: Spool | None,
        prefix: str,
        mode: str,
        *,
        target_s: int,
        list_size: int,
        cipher: SegmentCipher | None,
        announce: Callable[[], int | None],
        stored: Callable[[RecordedSegment], object],
    ) -> None:
        self._bucket = bucket
        self._spool = spool
        self._session = session if spool is None else _impatient(session)
        self.prefix = prefix
        self._mode = mode
        self._target_s = target_s
        self._list_size = list_size
        self._live = mode == "live"
        self._cipher = cipher
        self._announce = announce
        self._stored = stored
        self._readable = True  # whether a restart could read what is announced
        self._announced = ""  # the segment that a restart looks for
        self._media = self._lists = 0  # bytes stored by this recording
        self._gap = False  # the next segment does not go on where the playlist ends
        self.unstored: Segment | None = None  # the one under way
        self._uri = ""  # of the segment under way
        self._tag = ""
        self._of_key: dict[str, str] = {}
        self.key = ""  # the playlist's
        self.playlist = self._new()
        self._object = self._stored_at(self.key)

    def _stored_at(self, key: str, held: bytes = b"", *, appends: bool = True) -> PlaylistObject:
        appends = appends and not self._live and self._spool is None
        return PlaylistObject(self._bucket, self._session, key, appends=appends, held=held)

    def _new(self, sequence: int = 0) -> Playlist:
        return Playlist(self._mode, self._target_s, self._list_size, sequence)

    # -- at the start

    def find(self) -> None:
        """Finds out where the recording goes on: after what this prefix holds.

        Raises:
            OssMediaError: OSS could not be asked.
        """
        try:
            for number in range(1, _MOST + 1):
                self.key = f"{self.prefix}/index{f'~g{number}' if number > 1 else ''}.m3u8"
                found, appends = self._present(self.key)
                self._object = self._stored_at(self.key, found or b"", appends=appends)
                if found is None:
                    self.playlist = self._new()
                    return
                if self._continue(found.decode("utf-8", "replace")):
                    return
        except AccessDenied as error:
            if error.code != "AccessDenied":  # not a right that is missing, but the credentials
                raise
            self._start_blind()
        except NetworkError:
            if self._spool is None:
                raise
            self._start_blind()
        else:
            raise MediaError(f"prefix: {_MOST} playlists at {self.prefix!r} have ended")

    def _present(self, key: str) -> tuple[bytes | None, bool]:
        """The newest version of a playlist, in the spool or in OSS, None: there is none; and
        whether it can be appended to."""
        data, _ = self._waiting(key)
        if data is not None:
            return data, False
        try:
            return self._stored_text(key)
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return None, True

    def _stored_text(self, key: str) -> tuple[bytes, bool]:
        for _ in range(_LOOKS):
            try:
                with Reader(self._session, key) as file:
                    return file.read(_LARGEST), file.stat.type == "Appendable"
            except PreconditionFailed as error:  # the last words of a process that has ended
                changed = error
        raise changed

    def _waiting(self, key: str) -> tuple[bytes | None, dict[str, str]]:
        """What the spool holds for a key and has not brought to OSS yet: bytes and metadata."""
        found = None if self._spool is None else self._spool.pending(self._bucket.name, key)
        if found is None:
            return None, {}
        data, headers = found
        pairs = (line.split(": ", 1) for line in headers.splitlines() if ": " in line)
        return data, {name.removeprefix("x-oss-meta-"): value for name, value in pairs}

    def _continue(self, text: str) -> bool:
        try:
            found = Playlist.parse(text, self._mode, self._target_s, self._list_size)
        except ValueError:
            return False
        if found.ended and not self._live:
            return False
        found.ended = False
        self.playlist = found
        uri = found.next_uri or (found.entries and self._follows(found.entries[-1].uri))
        while uri:
            uri = self._recover(uri)
        self._gap = bool(found.next_sequence)
        return True

    def _recover(self, uri: str) -> str:
        """A segment that was announced, if it was stored before the playlist could name it; returns
        the one that it announces."""
        metadata = self._metadata(f"{self.prefix}/{uri}")
        try:
            start, duration = (int(metadata[f"ossmedia-{n}"]) for n in ("start", "duration"))
            if int(metadata["ossmedia-sequence"]) != self.playlist.next_sequence:
                return ""
        except (KeyError, ValueError):
            return ""
        key = ""
        if "ossmedia-iv" in metadata:
            uri_of_key = metadata.get("ossmedia-key-uri", "")
            key = f'METHOD=AES-128,URI="{uri_of_key}",IV=0x{metadata["ossmedia-iv"]}'
        ticks = duration * TICKS // 1000
        discontinuity = "ossmedia-discontinuity" in metadata
        self.playlist.append(Entry(uri, ticks, start, discontinuity, key))
        return self._follows(uri, metadata)

    def _follows(self, uri: str, metadata: dict[str, str] | None = None) -> str:
        """The segment that this one announces; "": none."""
        if metadata is None:
            metadata = self._metadata(f"{self.prefix}/{uri}")
        try:
            return checked_uri(metadata.get("ossmedia-next", ""))
        except ValueError:
            return ""

    def _metadata(self, key: str) -> dict[str, str]:
        data, metadata = self._waiting(key)
        if data is not None:
            return metadata
        try:
            return dict(stat_object(self._session, key).metadata)
        except (NotFound, AccessDenied):
            return {}

    def _start_blind(self) -> None:
        """What is there cannot be known, so numbers come from the clock, which has gone on since;
        a clock that was never set gives none that could collide. A list that keeps all gets a name
        of its own."""
        self._readable, self._gap = False, True
        now = self._session.clock.now()
        self.playlist = self._new(int(now) - _EPOCH if now > _EPOCH else int(chance() * (1 << 24)))
        stamp = segment_uri(round(now * 1000), 0)[9:28]
        self.key = f"{self.prefix}/index{'' if self._live else '~' + stamp}.m3u8"
        self._object = self._stored_at(self.key)

    # -- while recording

    def steps(self, segment: Segment) -> tuple[Callable[[], None], ...]:
        """What is to be done for a segment, in this order; each until it succeeds.

        Raises, each of them:
            OssMediaError: nothing of that step was done, or it may be done again.
        """
        self.unstored = segment
        segment.discontinuity = self.playlist.next_sequence > 0 and (
            segment.discontinuity or self._gap
        )
        self.playlist.expect(segment.duration)
        self._uri = segment_uri(segment.start_ms, self.playlist.next_sequence)
        self._tag, self._of_key = "", {}
        if self._cipher is None:
            return (self._announce_this, self._store, self._list)
        return (self._announce_this, self._encrypt, self._store, self._list)

    def _announce_this(self) -> None:
        """A segment that nothing has announced, as the first one of a recording."""
        if self._readable and self._announced != self._uri:
            self.playlist.announce(self._uri)
            self._store_playlist()
            self._announced = self._uri

    def _encrypt(self) -> None:
        segment, sequence = self.unstored, self.playlist.next_sequence
        assert self._cipher is not None
        assert segment is not None
        self._tag, self._of_key = self._cipher.encrypt(
            segment.data, sequence, segment.start_ms / 1000
        )

    def _store(self) -> None:
        segment, sequence = self.unstored, self.playlist.next_sequence
        assert segment is not None
        metadata = {
            "ossmedia-start": str(segment.start_ms),
            "ossmedia-duration": str(round(segment.duration * 1000 / TICKS)),
            "ossmedia-sequence": str(sequence),
            "ossmedia-keyframe": "1",
            **self._of_key,
        }
        if segment.discontinuity:
            metadata["ossmedia-discontinuity"] = "1"
        follows = self._next_uri(sequence + 1)
        if follows:
            metadata["ossmedia-next"] = follows
        key = f"{self.prefix}/{self._uri}"
        receipt = self._bucket.put(key, segment.data, content_type="video/mp2t", metadata=metadata)
        self._gap, self.unstored, self._announced = False, None, follows
        self._media += len(segment.data)
        self.playlist.append(
            Entry(self._uri, segment.duration, segment.start_ms, segment.discontinuity, self._tag)
        )
        self._stored(RecordedSegment(key, sequence, segment, receipt))

    def _next_uri(self, sequence: int) -> str:
        """Of the next segment, if it is known that it will come and when it begins."""
        next_ms = self._announce() if self._readable else None
        return "" if next_ms is None else segment_uri(next_ms, sequence)

    def _list(self) -> None:
        follows = self._next_uri(self.playlist.next_sequence)
        if follows and follows == self._announced and self._may_wait():
            return
        if follows and follows != self._announced:
            self.playlist.announce(follows)
        self._store_playlist()
        self._announced = follows

    def _may_wait(self) -> bool:
        """A list that is stored as a whole, and that nobody watches before its end, is stored so
        rarely that it costs a hundredth of the media; a restart finds what it lacks."""
        if self._mode != "vod" or self._object.appends:
            return False
        return (self._lists + len(self.playlist.text())) * _SHARE > self._media

    def end(self) -> None:
        """Nothing follows; players are told, if there is anything at all."""
        if self.playlist.next_sequence or self.playlist.next_uri:
            self.playlist.ended = True
            self._store_playlist()

    def _store_playlist(self) -> None:
        text = self.playlist.text().encode()
        self._object.store(text)
        if not self._object.appends:
            self._lists += len(text)


def _impatient(session: Session) -> Session:
    """With a spool, what is recorded goes to the disk; but not before it was found out, once, what
    OSS holds."""
    once = Retry(attempts=1)
    return Session(session.store, session.renewer, once, session.clock, session.random)
