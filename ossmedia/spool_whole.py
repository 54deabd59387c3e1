"""Delivering an object that OSS holds entirely or not at all: one PutObject, or a multipart upload
that a later process can go on with.

In flow an object of the spool, out flow requests and one confirmation. Its bytes stay in the spool
until OSS's CRC-64 of the whole object is ours. Parts are sent while the object is still being
written; what a killed process had sent is asked for, compared, and not sent again.
"""

from __future__ import annotations

import threading

from ossmedia._native import crc64, crc64_combine
from ossmedia.errors import CallbackFailed, ObjectExists, OssMediaError, SpoolError
from ossmedia.model import Generation, Receipt
from ossmedia.multipart import NoSuchUpload
from ossmedia.spool_link import FORBID, Parts, absent, denied
from ossmedia.spool_reading import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.answer import Answer
    from ossmedia.multipart import Part
    from ossmedia.spool_item import Item
    from ossmedia.spool_ledger import Ledger
    from ossmedia.spool_link import Link
    from ossmedia.spool_reading import Sheet

__all__ = ["MOST_PARTS", "Whole"]

MOST_PARTS = 10_000
_NO_UPLOAD = "-"  # instead of an upload id: there is none, and no part is to be sent


class Whole:
    """One object on its way.

    Args:
        room: memory for ``link.parallel`` parts.
        sheet: memory for reading, shared with others of the same thread.
        ledger: where progress and losses are written down.
    """

    def __init__(
        self, item: Item, link: Link, room: memoryview, sheet: Sheet, ledger: Ledger
    ) -> None:
        self.item = item
        self.link = link
        self._ledger = ledger
        self._cursor = item.cursor(sheet)
        self._block = int(item.options["block_size"])
        self._rooms = [room[at : at + self._block] for at in range(0, len(room), self._block)]
        self._overwrite = item.mode != "xb"
        self._requests = 0
        self._upload = Parts(link, item.key, item.progress.get("upload_id", ""))
        self._listed: dict[int, Part] | None = None if self._upload.upload_id else {}
        self._unsent: list[int] = []  # parts that were read, and whose sending failed
        self._parts: dict[int, Part] = {}
        self._stands = False  # an object stood there when the upload was to begin
        self._read = 0  # bytes that are in parts, sent or waiting
        self._crc = 0  # of those
        self._receipt: Receipt | None = None  # OSS has all of it; the state could not be told

    def ready(self, _now: float) -> float | None:
        """Seconds until there is something to do; None: not before more is written."""
        more = self.item.end - self._read > self._block or self._unsent
        return 0.0 if self.item.ended or more else None

    def step(self) -> bool:
        """A request, or as many as may go at the same time; True: the object is complete, and has
        left the spool.

        Raises:
            OssMediaError: it failed; the next step goes on from there.
        """
        item = self.item
        if self._receipt is not None:
            return self._ledger.finish(item, self._receipt)
        try:
            if item.ended and item.end <= self._block and not self._upload.upload_id:
                return self._put()
            return self._in_parts()
        except Damaged as damage:
            self._abort()
            self._ledger.spoil(item, damage)
            return True
        except NoSuchUpload:
            self._again()
            return False

    def close(self) -> None:
        self._cursor.close()

    def abandon(self) -> None:
        """The object was dropped: OSS is to drop its parts, if there are any."""
        self.close()
        self._abort()

    def _abort(self) -> None:
        if self._upload.upload_id != _NO_UPLOAD:
            self._upload.abort()
        self._upload.upload_id = ""

    # -- one request

    def _put(self) -> bool:
        item, room = self.item, self._rooms[0][: self.item.end]
        self._cursor.seek(0)
        body = self._fill(room, 0)
        headers = item.headers if self._overwrite else item.headers + FORBID
        self._requests += 1
        try:
            answer = self.link.send("PUT", item.key, "", headers, body)
            self.link.check(item.key, answer.crc64, answer.sent_crc64)
        except (ObjectExists, CallbackFailed) as error:
            answer = self._found(crc64(body), error)
        return self._done(crc64(body), answer)

    def _fill(self, room: memoryview, start: int) -> memoryview:
        """The stream's bytes from there on, to the end of the room.

        Raises:
            Damaged: not one may be missing.
        """
        limit, done = self.item.readable(1 << 62), 0
        while done < len(room):
            at, count = self._cursor.read(room[done:], limit)
            if at != start + done or not count:
                raise Damaged(start + done, max(at, start + done + 1), "missing", "")
            done += count
        return room

    def _found(self, crc: int, why: OssMediaError | None = None) -> Answer:
        """Something stands at the key. If it is what we send, an earlier try has stored it, or this
        one, and only its callback failed.

        Raises:
            ObjectExists: it is not, or nobody may look.
        """
        if isinstance(why, CallbackFailed):
            self._ledger.log(f"{self.item.key}: stored, but its callback failed: {why}")
        self._requests += 1
        try:
            answer = self.link.send("HEAD", self.item.key)
        except OssMediaError as error:
            if not denied(error):
                raise
            raise _exists() from error
        if (answer.content_length, answer.crc64) != (self.item.end, crc):
            raise _exists()
        return answer

    # -- in parts

    def _in_parts(self) -> bool:
        item = self.item
        if not self._upload.upload_id:
            self._begin()
        if self._listed is None:
            self._take_over()
        if parts := self._next_parts(item.ended, item.end):
            self._send_all(parts)
            return False
        if item.ended and self._read == item.end:
            return self._complete()
        return False

    def _begin(self) -> None:
        item = self.item
        try:
            self._upload.begin_new(item.headers, overwrite=self._overwrite)
        except ObjectExists:  # perhaps ours: that is known when all of it was read
            self._upload.upload_id, self._stands = _NO_UPLOAD, True
            return
        self._stands = False
        self._remember(upload_id=self._upload.upload_id)

    def _remember(self, **news: object) -> None:
        """For a later process, which without it sends parts again that OSS has: no reason to send
        none from a disk that cannot be written."""
        try:
            self._ledger.save(self.item, durable=False, **news)
        except SpoolError as error:
            self._ledger.log(f"{self.item.key}: {error}")

    def _take_over(self) -> None:
        """Asks what OSS holds of an upload that an earlier process began. Nothing any more: it may
        have been completed; then the object stands there."""
        try:
            self._listed = self._upload.listed()
        except NoSuchUpload:
            if not self.item.progress.get("completing"):
                raise
            self._listed = {}
            self._upload.upload_id = _NO_UPLOAD

    def _next_parts(self, ended: bool, end: int) -> list[tuple[int, memoryview, int]]:
        """Number, bytes and CRC-64 of the parts to send now, one for each room: those that failed
        before, then new ones. A part that OSS holds already counts as sent."""
        parts: list[tuple[int, memoryview, int]] = []
        for number in self._unsent[: len(self._rooms)]:
            body = self._part(number, self._rooms[len(parts)], end)
            parts.append((number, body, crc64(body)))
        while len(parts) < len(self._rooms):
            left = end - self._read
            if left <= 0 or (left <= self._block and not ended):
                break
            number = self._read // self._block + 1
            body = self._part(number, self._rooms[len(parts)], end)
            crc = crc64(body)
            self._crc = crc64_combine(self._crc, crc, len(body))
            self._read += len(body)
            known = (self._listed or {}).get(number)
            if known is not None and (known.size, known.crc64) == (len(body), crc):
                self._parts[number] = known
            elif self._upload.upload_id != _NO_UPLOAD:
                parts.append((number, body, crc))
        return parts

    def _part(self, number: int, room: memoryview, end: int) -> memoryview:
        start = (number - 1) * self._block
        self._cursor.seek(start)
        return self._fill(room[: min(end - start, self._block)], start)

    def _send_all(self, parts: list[tuple[int, memoryview, int]]) -> None:
        """All at the same time. Raises what one of them failed with."""
        failures: list[Exception] = []

        def send(number: int, body: memoryview, crc: int) -> None:
            try:
                self._parts[number] = self._upload.part(number, body, crc)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=send, args=part) for part in parts[1:]]
        for thread in threads:
            thread.start()
        send(*parts[0])
        for thread in threads:
            thread.join()
        numbers = [number for number, _, _ in parts]
        self._unsent = sorted({*self._unsent, *numbers} - set(self._parts))
        self._tell()
        if failures:
            raise failures[0]

    def _tell(self) -> None:
        sent = sum(part.size for part in self._parts.values())
        self._ledger.tell(self.item, min(sent, max(self.item.end - 1, 0)))

    def _complete(self) -> bool:
        item = self.item
        if self._upload.upload_id == _NO_UPLOAD:
            return self._prove()
        if not item.progress.get("completing"):
            upload_id = self._upload.upload_id
            self._remember(upload_id=upload_id, completing=True)
        try:
            answer = self._upload.make(self._parts, item.headers, overwrite=self._overwrite)
            self.link.check(item.key, answer.crc64, self._crc)
        except NoSuchUpload:
            return self._prove()
        except CallbackFailed as error:
            answer = self._found(self._crc, error)
        except ObjectExists:
            answer = self._found(self._crc)
            self._upload.abort()
        return self._done(self._crc, answer)

    def _prove(self) -> bool:
        """There is no upload, because OSS has completed it, or because an object stands there."""
        try:
            answer = self._found(self._crc)
        except ObjectExists:
            if self._stands:
                raise
            raise NoSuchUpload from None
        except OssMediaError as error:
            if absent(error):
                raise NoSuchUpload from error
            raise
        return self._done(self._crc, answer)

    def _again(self) -> None:
        """The parts are gone from OSS; the spool still has every byte."""
        item = self.item
        self._ledger.log(f"{item.key}: the parts sent so far are gone from OSS, beginning anew")
        item.progress.clear()
        self._ledger.save(item, durable=False)
        self._upload.upload_id = ""
        self._listed, self._parts, self._unsent = {}, {}, []
        self._read = self._crc = 0

    # -- the end

    def _done(self, crc: int, answer: Answer) -> bool:
        item = self.item
        headers = answer.headers
        self._receipt = Receipt(
            key=item.key,
            size=item.end,
            crc64=crc,
            etag=headers.get("etag", "").strip('"'),
            request_id=headers.get("x-oss-request-id", ""),
            requests=self._requests + self._upload.requests,
            generations=(Generation(item.key, 0, item.end),),
        )
        with item.lock:
            if not item.gone:
                item.position = item.acked = item.end
        return self._ledger.finish(item, self._receipt)


def _exists() -> ObjectExists:
    return ObjectExists("another object stands there", status=409, code="FileAlreadyExists")
