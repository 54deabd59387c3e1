"""HLS streams of cameras, read from the index and the bucket.

In flow a camera, a stream and a range of time, out flow playlists whose segments are read from the
bucket itself. For what is recorded just now the bucket is asked for the newest segments, so that
live pictures need neither callbacks nor reports; how often is bounded, however many watch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict

from starlette.responses import Response

from ossmedia.server.archive import Archive, Owner
from ossmedia.server.oss_access import OssUnavailable
from ossmedia.server.playlists import (
    CONTENT_TYPE,
    MOST_SEGMENTS,
    live_playlist,
    live_window,
    playlist,
)
from ossmedia.server.problems import Problem

__all__ = ["Streams"]

_LOOK_EVERY_S = 2.0
_RECENT_S = 60.0
_LATELY = 20  # segments that the target duration of a live playlist goes by
_MOST_NEW = 10
_REMEMBERED = 10_000
_LONGEST = 500  # characters of a stream's name

_log = logging.getLogger("ossmedia.server")


class Streams:
    """The streams of one archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._looked: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def _sign(self, key: str, life_s: int) -> str:
        return self._archive.oss.sign(key, life_s, content_type="video/mp2t")

    def recorded(self, camera: str, stream: str, low: float, high: float) -> str:
        """The playlist of the segments that begin in [low, high).

        Raises:
            Problem: not-found, where there are none; invalid-field, for too many.
            CredentialsError: nothing can be signed.
        """
        segments = self._archive.segments.between(camera, stream, low, high, MOST_SEGMENTS + 1)
        if not segments:
            raise Problem("not-found")
        if len(segments) > MOST_SEGMENTS:
            text = f"from, to: at most {MOST_SEGMENTS} segments; ask for a shorter time"
            raise Problem("invalid-field", text)
        return playlist(segments, self._sign, ended=high <= self._archive.clock.now())

    def live(self, camera: str, stream: str) -> str:
        """The playlist of what is recorded now.

        Raises:
            Problem: not-found, where nothing ever was recorded.
            CredentialsError: nothing can be signed.
        """
        try:
            self._catch_up(camera, stream)
        except OssUnavailable as error:
            _log.warning("live: %s", error)  # the index may know enough
        newest = self._archive.segments.newest(camera, stream, _LATELY)
        if not newest:
            raise Problem("not-found")
        window = live_window(newest)
        breaks = self._archive.segments.breaks_before(camera, stream, window[0].start_at)
        longest = max(segment.duration_s or 0.0 for segment in newest)
        return live_playlist(window, breaks, longest, self._sign)

    def _catch_up(self, camera: str, stream: str) -> None:
        """Notes the newest segments that nobody told of."""
        if len(stream) > _LONGEST or not stream.isprintable() or not self._due(camera, stream):
            return
        prefix = self._archive.prefix(camera)
        if prefix is None:
            return
        folder = f"{prefix}/{stream}/" if stream else f"{prefix}/"
        since = time.gmtime(self._archive.clock.now() - _RECENT_S)
        after = time.strftime(f"{folder}%Y%m%d/%Y%m%dT%H%M%S", since)
        known = self._archive.segments.newest(camera, stream, 1)
        if known and known[0].key.startswith(folder):
            after = max(after, known[0].key)
        listed = next(self._archive.oss.pages(folder, after))
        fresh = [facts.key for facts in listed if facts.key.endswith(".ts")]
        for key in fresh[-_MOST_NEW:]:
            self._archive.look(key, Owner(camera, prefix), "reconcile")

    def _due(self, camera: str, stream: str) -> bool:
        now = self._archive.clock.monotonic()
        with self._lock:
            last = self._looked.get((camera, stream))
            if last is not None and now - last < _LOOK_EVERY_S:
                return False
            self._looked[camera, stream] = now
            self._looked.move_to_end((camera, stream))
            if len(self._looked) > _REMEMBERED:
                self._looked.popitem(last=False)
            return True

    @staticmethod
    def response(text: str) -> Response:
        """The answer that holds a playlist."""
        headers = {"cache-control": "no-store"}
        return Response(text.encode(), 200, headers, media_type=CONTENT_TYPE)
