"""Apple's and RFC 8216's rules for HLS, as far as a text can tell: a checker that shares no code
with what it checks.

In flow the versions of a playlist that a player could have seen, in their order; out flow findings,
one line each, none if all is well.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

KNOWN = {
    "EXTM3U", "EXT-X-VERSION", "EXT-X-PLAYLIST-TYPE", "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-INDEPENDENT-SEGMENTS",
    "EXT-X-PROGRAM-DATE-TIME", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXTINF", "EXT-X-ENDLIST",
}  # fmt: skip


class Media:
    """One version of a playlist, read by RFC 8216 alone."""

    def __init__(self, text: str) -> None:
        self.findings: list[str] = []
        self.single: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []
        lines = text.split("\n")
        if lines[0] != "#EXTM3U":
            self.findings.append("the first line is not #EXTM3U")
        if lines[-1]:
            self.findings.append("the last line has no end")
        row: dict[str, Any] = {}
        for line in lines[1:-1]:
            row = self._line(line, row)
        if row.get("EXTINF"):
            self.findings.append("EXTINF without a segment")
        self.sequence = int(self.single.get("EXT-X-MEDIA-SEQUENCE", 0))
        self.target = int(self.single.get("EXT-X-TARGETDURATION", 0))
        self.ended = "EXT-X-ENDLIST" in self.single
        self.type = self.single.get("EXT-X-PLAYLIST-TYPE", "")
        number = int(self.single.get("EXT-X-DISCONTINUITY-SEQUENCE", 0))
        key = None
        for row in self.rows:
            number += row["discontinuity"]
            row["timeline"] = number
            key = row.get("EXT-X-KEY", key)
            row["key"] = None if key == "METHOD=NONE" else key

    def _line(self, line: str, row: dict[str, Any]) -> dict[str, Any]:
        if not line.startswith("#"):
            if self.single.get("EXT-X-ENDLIST") is not None:
                self.findings.append(f"a line behind EXT-X-ENDLIST: {line!r}")
            if "EXTINF" not in row:
                self.findings.append(f"no EXTINF before {line!r}")
            self.rows.append(
                {
                    **row,
                    "uri": line,
                    "seconds": float(row.get("EXTINF", "0,").split(",")[0]),
                    "discontinuity": "EXT-X-DISCONTINUITY" in row,
                }
            )
            return {}
        name, _, value = line[1:].partition(":")
        if not line.startswith("#EXT"):
            return row
        if name not in KNOWN:
            self.findings.append(f"unknown tag {name}")
        elif name in ("EXTINF", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-DISCONTINUITY", "EXT-X-KEY"):
            row[name] = value
        else:
            if name in self.single:
                self.findings.append(f"{name} stands there twice")
            self.single[name] = value
        return row


def check_playlist(text: str) -> list[str]:
    """What one version breaks by itself."""
    media = Media(text)
    found = list(media.findings)
    if not media.target:
        found.append("no target duration")
    if int(media.single.get("EXT-X-VERSION", 1)) < 3:
        found.append("EXTINF with decimals needs version 3")
    if "EXT-X-INDEPENDENT-SEGMENTS" not in media.single:
        found.append("EXT-X-INDEPENDENT-SEGMENTS is missing")
    uris = [row["uri"] for row in media.rows]
    if len(set(uris)) < len(uris):
        found.append("a segment stands there twice")
    for row in media.rows:
        if int(row["seconds"] + 0.5) > media.target:
            found.append(f"{row['uri']}: {row['seconds']} s is over the target duration")
        if re.match(r"[a-z]+:|/", row["uri"]) or " " in row["uri"]:
            found.append(f"{row['uri']}: not relative")
        key = row.get("EXT-X-KEY")
        if key and not re.fullmatch(r'METHOD=(NONE|AES-128,URI="[^"]+",IV=0x[0-9a-f]{32})', key):
            found.append(f"{row['uri']}: bad key {key!r}")
    if media.rows and "EXT-X-PROGRAM-DATE-TIME" not in media.rows[0]:
        found.append("the first segment has no time")
    return found + _times(media)


def _times(media: Media) -> list[str]:
    """EXT-X-PROGRAM-DATE-TIME goes forward, and agrees with durations up to a discontinuity."""
    found, at = [], None
    for row in media.rows:
        told = row.get("EXT-X-PROGRAM-DATE-TIME")
        if told:
            time = datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp()
            if at is not None and not row["discontinuity"] and abs(time - at) > 0.1:
                found.append(f"{row['uri']}: its time is {time - at:+.3f} s off")
            at = time
        elif row["discontinuity"]:
            found.append(f"{row['uri']}: a discontinuity without a time")
        at = None if at is None else at + row["seconds"]
    return found


def check_history(texts: list[str], *, reopened: bool = False) -> list[str]:
    """What a later version may not change of an earlier one (RFC 8216, 6.2.1 and 6.2.2).

    Args:
        reopened: the same live playlist may go on after its end.
    """
    found: list[str] = []
    names: dict[int, tuple[str, int]] = {}
    before: Media | None = None
    for number, text in enumerate(texts):
        media = Media(text)
        found += [f"version {number}: {one}" for one in check_playlist(text)]
        if media.rows and media.sequence and media.type != "EVENT":
            length = sum(row["seconds"] for row in media.rows)
            if not media.ended and length < 3 * media.target - 1e-3 and before is not None:
                found.append(f"version {number}: a window of {length} s is too short")
        for offset, row in enumerate(media.rows):
            told = (row["uri"], row["timeline"])
            if names.setdefault(media.sequence + offset, told) != told:
                found.append(f"version {number}: segment {media.sequence + offset} became another")
        if before is not None:
            found += [f"version {number}: {one}" for one in _changes(before, media, reopened)]
        before = media
    return found


def _changes(before: Media, media: Media, reopened: bool) -> list[str]:
    found = []
    if before.ended and (media.rows != before.rows or not media.ended) and not reopened:
        found.append("it went on after its end")
    if media.sequence < before.sequence:
        found.append("the media sequence went back")
    if media.sequence + len(media.rows) < before.sequence + len(before.rows):
        found.append("its newest segments are gone")
    if before.rows and media.target != before.target:
        found.append("the target duration changed")
    if "EVENT" in (before.type, media.type):
        if before.type != media.type:
            found.append("the playlist type changed")
        if media.sequence != before.sequence:
            found.append("an event lost segments")
    elif media.sequence > before.sequence + len(before.rows) and before.rows:
        found.append("segments were never listed")
    return found
