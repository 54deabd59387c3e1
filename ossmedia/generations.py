"""Where a stream's bytes stand: one object, or for appends that met foreign bytes or a limit,
several.

In flow a stream and why it cannot go on where it is, out flow the next object's name to it and the
receipt at the end. It never sends a byte.
"""

from __future__ import annotations

from ossmedia.journal import warn
from ossmedia.model import Generation, Receipt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia._native_stream import Stream
    from ossmedia.answer import StreamStats

__all__ = ["Generations"]

MOST = 1000  # a key whose thousand next names are all taken is a mistake, not a fork


class Generations:
    """The objects of one stream: ``key``, then ``key~g2``, ``key~g3`` and so on."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.number = 1
        self._left: list[tuple[str, int, int]] = []  # name, start, base of those left behind

    def name(self, number: int) -> str:
        return f"{self.key}~g{number}" if number > 1 else self.key

    def go_on(self, stream: Stream, why: Exception) -> None:
        """Foreign bytes are neither built on nor overwritten: what OSS has not confirmed goes into
        the next object.

        Raises:
            OverflowError: there were too many. answer.StreamBusy: an exchange is under way.
        """
        if self.number >= MOST:
            raise OverflowError(f"{self.key}: {MOST} next names are taken")
        stats, name = stream.stats(), self.name(self.number + 1)
        stream.restart(name)
        if stats.bytes_stored > stats.object_start:
            self._left.append((self.name(self.number), stats.object_start, stats.object_base))
        self.number += 1
        warn("%s: going on in %s: %s", self.key, name, why)

    def receipt(self, stats: StreamStats) -> Receipt:
        """What stands where, once everything is stored."""
        last = (self.name(self.number), stats.object_start, stats.object_base)
        parts = [*self._left, last]
        ends = [start for _, start, _ in parts[1:]] + [stats.bytes_stored]
        return Receipt(
            key=self.key,
            size=stats.bytes_stored,
            crc64=stats.crc64,
            etag=stats.etag,
            request_id=stats.request_id,
            requests=stats.requests,
            generations=tuple(
                Generation(name, start, end - start, base)
                for (name, start, base), end in zip(parts, ends, strict=True)
            ),
        )
