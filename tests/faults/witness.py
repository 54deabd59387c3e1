"""The truth about a camera that may die at any instruction: what it told through a pipe, line by
line, before and after each call.

The pipe outlives the camera. From the lines and the seed the witness knows every byte that may,
and every byte that must be stored.
"""

from __future__ import annotations

import json
from collections import defaultdict

from tests.faults.camera import video
from tests.faults.tally import Tally

__all__ = ["Witness"]


class Witness:
    """What one life (or several) of a camera said.

    Args:
        seed, size: of the video; piece ``n`` of ``key`` is ``pieces[key][n]``.
    """

    def __init__(self, seed: int, pieces: int, size: int) -> None:
        self._seed, self._pieces, self._size = seed, pieces, size
        self._video: dict[str, list[bytes]] = {}
        self.accepted: dict[str, list[int]] = defaultdict(list)
        self.synced: dict[str, int] = defaultdict(int)  # how many of the accepted are on the disk
        self.trying: dict[str, int | None] = {}
        self.told: list[dict] = []

    def pieces(self, key: str) -> list[bytes]:
        if key not in self._video:
            self._video[key] = list(video(f"{self._seed} {key}", self._pieces, self._size))
        return self._video[key]

    def hear(self, text: str) -> None:
        """All that came through the pipe; a last half line is none."""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                self._line(json.loads(line))

    def _line(self, told: dict) -> None:
        self.told.append(told)
        if "trying" in told:
            key, number = told["trying"]
            self.trying[key] = number
        elif "wrote" in told:
            key, number = told["wrote"]
            self.accepted[key].append(number)
            self.trying[key] = None
        elif "refused" in told:
            self.trying[told["refused"]] = None
        elif "synced" in told:
            for key in told["synced"]:
                self.synced[key] = len(self.accepted[key])

    def last(self, name: str) -> object:
        """What was told last under this name; None: nothing."""
        return next((told[name] for told in reversed(self.told) if name in told), None)

    def judge(self, tally: Tally, key: str, held: bytes, *, power_cut: bool = False) -> None:
        """What is stored must be all accepted pieces in order, after a power cut at least those
        that were synced, and at most one more: the one under way."""
        pieces = self.pieces(key)
        whole = b"".join(pieces[number] for number in self.accepted[key])
        least = whole
        if power_cut:
            least = b"".join(pieces[n] for n in self.accepted[key][: self.synced[key]])
        number = self.trying.get(key)
        most = whole + (pieces[number] if number is not None else b"")
        good = most.startswith(held) and len(held) >= len(least)
        if good:
            return
        tally.compare(least if len(held) < len(least) else most, held, key)
        tally.expect(False, f"{key}: {len(held)} bytes held, {len(least)} to {len(most)} right")
