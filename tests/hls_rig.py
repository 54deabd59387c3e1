"""A camera for tests of HLS: pictures fed into a recording, and everything OSS was given, seen from
outside."""

from __future__ import annotations

from typing import Any

from ossmedia import Bucket, Credentials, Recorder, Retry
from tests.elementary import STEP, adts, picture
from tests.hls_rules import Media, check_history
from tests.hls_segments import check_segments

FAST = Retry(attempts=2, base_s=0.0005, cap_s=0.002, give_up_after_s=5)
START = 1_795_500_000
GOP = 25


class Watched(Bucket):
    """A bucket that remembers what was stored, in its order, and each version of a playlist."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.stored: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.sent: dict[str, int] = {}  # bytes of playlists
        self._grown: dict[str, bytes] = {}  # what is appended to, before it is known to be stored
        self._call, self._session.call = self._session.call, self._watch  # type: ignore[method-assign]

    def put(self, key: str, data: Any, **options: Any) -> Any:
        text = self._listed(key, bytes(data)) if key.endswith(".m3u8") else ""
        receipt = super().put(key, data, **options)
        self.stored.append(key)
        if text:
            self._note(key, text, len(text))
        return receipt

    def _watch(self, method: str, key: str, query: str = "", *rest: Any, **named: Any) -> Any:
        if method != "POST" or not query.startswith("append&position="):
            return self._call(method, key, query, *rest, **named)
        at, more = int(query.partition("=")[2]), bytes(rest[1])
        before = self._grown.get(key) or (self.body(key) if at else b"")
        text = self._listed(key, before[:at] + more)
        self._grown[key] = before[:at] + more
        answer = self._call(method, key, query, *rest, **named)
        self._note(key, text, len(more))
        return answer

    def _listed(self, key: str, data: bytes) -> str:
        for row in Media(data.decode()).rows:
            named = f"{key.rpartition('/')[0]}/{row['uri']}"
            assert named in self.stored or self.was_there(named), f"{named} is listed too early"
        return data.decode()

    def _note(self, key: str, text: str, sent: int) -> None:
        self.texts.setdefault(key, []).append(text)
        self.sent[key] = self.sent.get(key, 0) + sent

    def was_there(self, key: str) -> bool:
        return any(row.key == key for row in self.list(key))

    def body(self, key: str) -> bytes:
        with self.open(key) as file:
            return bytes(file.read())


def bucket_of(cloud: Any, credentials: Credentials | None = None, **options: Any) -> Watched:
    key = credentials or Credentials(cloud.access_key_id, cloud.access_key_secret)
    named = {"endpoint": cloud.endpoint, "region": cloud.region, "retry": FAST}
    return Watched("cams", credentials=key, **{**named, **options})


def feed(recorder: Recorder, first_s: int, seconds: int, *, audio: bool = False) -> None:
    """Pictures of some seconds, a key frame a second, counted from second ``first_s``."""
    for number in range(first_s * GOP, (first_s + seconds) * GOP):
        recorder.write_video(picture(number % GOP == 0, number), number * STEP)
        if audio:
            recorder.write_audio(adts(number), number * STEP)


def objects(bucket: Bucket, prefix: str) -> dict[str, str]:
    """Keys of segments below a prefix, and their ETags."""
    return {row.key: row.etag for row in bucket.list(prefix) if row.key.endswith(".ts")}


def findings(bucket: Watched, key: str, *, reopened: bool = False) -> list[str]:
    """What the checkers find in all versions of a playlist, and in the segments of the last."""
    texts = bucket.texts[key]
    prefix = key.rpartition("/")[0]
    names = [row["uri"] for row in Media(texts[-1]).rows]
    segments = {name: bucket.body(f"{prefix}/{name}") for name in names}
    return check_history(texts, reopened=reopened) + check_segments(texts[-1], segments)
