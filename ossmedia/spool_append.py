"""Delivering an appended object: position and CRC-64 decide, never the length alone.

In flow an object of the spool, out flow appends, one at a time, and what OSS confirmed of them.
Bytes that are not ours are neither built on nor overwritten: the stream goes on in ``key~g2``. What
a kill or a lost answer leaves open is settled by asking OSS what it holds.

Source: reliability rules of AppendObject, as in the C core's append.c; this is the same table for
the case that the process which sent the bytes is gone.
"""

from __future__ import annotations

from ossmedia import errors
from ossmedia._native import crc64, crc64_combine
from ossmedia.errors import Conflict, OssMediaError
from ossmedia.generations import MOST
from ossmedia.model import Generation, Receipt
from ossmedia.spool_link import absent, denied, unclear
from ossmedia.spool_reading import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ossmedia.answer import Answer
    from ossmedia.spool_item import Item
    from ossmedia.spool_ledger import Ledger
    from ossmedia.spool_link import Link
    from ossmedia.spool_reading import Sheet

__all__ = ["Appending"]

LIMIT = 5 << 30  # bytes: OSS's limit of one appended object


class Appending:
    """One appended object on its way.

    Args:
        room: memory for one request.
        sheet: memory for reading, shared with others of the same thread.
        ledger: where progress and losses are written down.
    """

    def __init__(
        self, item: Item, link: Link, room: memoryview, sheet: Sheet, ledger: Ledger
    ) -> None:
        self.item = item
        self.link = link
        self._room = room
        self._ledger = ledger
        self._cursor = item.cursor(sheet)
        self._asked = False  # OSS has said what it holds
        self._doubt = False  # an append was sent, and its answer is none
        self._blind = False  # OSS may not be asked
        self._refused = False  # it refused, although nothing had moved
        self._stands = False  # there is an object of the present name
        self._etag = self._request_id = ""
        now = item.progress
        now.setdefault("name", item.key)
        for name in ("number", "length", "crc64", "stream_crc64", "position", "acked", "requests"):
            now.setdefault(name, 1 if name == "number" else 0)
        now.setdefault("pieces", [])
        now.setdefault("known", False)
        self._now = now

    def ready(self, now: float) -> float | None:
        """Seconds until there is something to do; None: not before more is written."""
        item = self.item
        waiting = item.end - item.position
        if item.ended or waiting >= len(self._room):
            return 0.0
        if not waiting:
            return None
        if item.waiting_since is None:  # it was looked at, and could not be sent
            return 0.0
        return max(item.waiting_since + float(item.options.get("linger_s", 1.0)) - now, 0.0)

    def step(self) -> bool:
        """One request, or none; True: the object is complete, and has left the spool.

        Raises:
            OssMediaError: it failed; the next step goes on from there.
        """
        if not self._asked:
            self._look()
            return False
        item = self.item
        self._cursor.seek(item.position)  # a step that failed may have read further
        limit = item.readable(len(self._room))
        try:
            start, count = self._cursor.read(self._room, limit)
        except Damaged as damage:
            self._ledger.lose(item, damage)
            return False
        if count:
            self._append(start, count)
        elif item.ended and limit == item.end:
            return self._finish()
        return False

    def close(self) -> None:
        self._cursor.close()

    # -- sending

    def _append(self, start: int, count: int) -> None:
        now = self._now
        limit = int(self.item.options.get("append_limit") or LIMIT)
        if now["length"] + count > limit and now["length"]:
            self._fork()
            return
        answer = self._send(self._room[:count])
        if answer is None:
            return
        sent = answer.sent_crc64
        whole = crc64_combine(now["crc64"], sent, count)
        self._doubt = True
        try:
            self.link.check(now["name"], answer.crc64, whole)
            if answer.next_position != now["length"] + count:
                text = f"x-oss-next-append-position is {answer.next_position}"
                raise errors.ProtocolError(text, maybe_done=True)
        except OssMediaError:
            self._asked = False
            raise
        self._doubt = self._refused = False
        self._confirm([(start, count, sent)], whole)
        self._etag = answer.headers.get("etag", "").strip('"')
        self._request_id = answer.headers.get("x-oss-request-id", "")

    def _send(self, body: memoryview) -> Answer | None:
        """An append at the end of what OSS holds. None: OSS says that this is not the end, and is
        to be asked."""
        now = self._now
        if not now["known"]:
            self._ledger.save(self.item, durable=True, known=True)
        headers = self.item.headers if now["length"] == 0 else ""
        now["requests"] += 1
        try:
            return self.link.send(
                "POST", now["name"], f"append&position={now['length']}", headers, body
            )
        except OssMediaError as error:
            if isinstance(error, Conflict):
                self._asked, self._doubt = False, True
                if not self._refused:
                    self._refused = True
                    return None
            elif unclear(error):
                self._asked, self._doubt = False, True
            raise

    def _confirm(self, pieces: list[tuple[int, int, int]], whole: int) -> None:
        """OSS holds these: start and length in the stream, and CRC-64, of each."""
        now, item = self._now, self.item
        with item.lock:
            if item.gone:
                return
            for start, count, crc in pieces:
                last = now["pieces"][-1] if now["pieces"] else None
                if last and last[0] == now["name"] and last[1] + last[2] == start:
                    last[2] += count
                else:
                    now["pieces"].append([now["name"], start, count, now["length"]])
                now["length"] += count
                now["stream_crc64"] = crc64_combine(now["stream_crc64"], crc, count)
                item.position = start + count
                item.acked += count
            now["crc64"] = whole
            now["position"], now["acked"] = item.position, item.acked
        self._ledger.stored(item)

    # -- asking

    def _look(self) -> None:
        """Asks OSS what it holds, and goes on from there or in another object."""
        now = self._now
        if self._blind:
            self._judge_blindly()
            return
        now["requests"] += 1
        try:
            answer: Answer | None = self.link.send("HEAD", now["name"])
        except OssMediaError as error:
            if denied(error):
                self._blind = True
                self._judge_blindly()
                return
            if not absent(error):
                raise
            answer = None
        self._stands = answer is not None
        appendable = answer is None or answer.headers.get("x-oss-object-type") == "Appendable"
        if answer is not None and appendable and None in (answer.content_length, answer.crc64):
            raise errors.IntegrityError(f"{now['name']}: HEAD says no length or no CRC-64")
        if now["known"]:
            self._judge(answer if appendable else None, replaced=not appendable)
        elif now["number"] > 1 and answer is not None:
            self._fork()  # the next name is taken
        elif not appendable:
            text = "the object is not appendable"
            raise Conflict(text, status=409, code="ObjectNotAppendable")
        else:
            now["length"] = 0 if answer is None else answer.content_length
            now["crc64"] = 0 if answer is None else answer.crc64
            self._asked = True

    def _judge(self, answer: Answer | None, *, replaced: bool) -> None:
        """A: what was confirmed; L: what OSS holds; W: what was written."""
        now, item = self._now, self.item
        length = 0 if answer is None or answer.content_length is None else answer.content_length
        if replaced or length < now["length"]:
            self._fork()
            return
        pieces = self._ours(length - now["length"])
        if pieces is None:
            self._fork()
            return
        crc = now["crc64"]
        for _, count, part in pieces:
            crc = crc64_combine(crc, part, count)
        if answer is not None and crc != answer.crc64:
            self._fork()
            return
        self._asked, self._doubt = True, False
        if pieces:
            self._refused = False
            self._confirm(pieces, crc)
        self._cursor.seek(item.position)

    def _ours(self, length: int) -> list[tuple[int, int, int]] | None:
        """The next bytes of the stream, so many: what would stand in the object if they had
        arrived. None: there are not so many, or they cannot be read any more."""
        pieces: list[tuple[int, int, int]] = []
        self._cursor.seek(self.item.position)
        limit = self.item.readable(length)
        while length:
            try:
                start, count = self._cursor.read(self._room[:length], limit)
            except Damaged:
                return None
            if not count:
                return None
            pieces.append((start, count, crc64(self._room[:count])))
            length -= count
        return pieces

    def _judge_blindly(self) -> None:
        """Without oss:GetObject nobody can say what OSS holds: what is in doubt is sent again,
        elsewhere. After a restart the position itself tells: OSS refuses a wrong one."""
        if self._doubt and self._now["known"]:
            self._fork()
        self._asked, self._doubt = True, False

    def _fork(self) -> None:
        """What is not confirmed goes into the next object."""
        now = self._now
        if now["number"] >= MOST:
            raise errors.ObjectTooLarge(f"{self.item.key}: {MOST} next names are taken")
        now["number"] += 1
        now["name"] = f"{self.item.key}~g{now['number']}"
        now["length"] = now["crc64"] = 0
        now["known"] = self._asked = self._doubt = self._refused = self._stands = False
        self._cursor.seek(self.item.position)
        self._ledger.log(f"{self.item.key}: going on in {now['name']}")

    # -- the end

    def _finish(self) -> bool:
        item = self.item
        if not item.end and not self._stands:
            answer = self._send(memoryview(b""))  # as opening a local file for append would
            if answer is None:
                return False
            self._stands = True
            self._etag = answer.headers.get("etag", "").strip('"')
        with item.lock:
            item.position = item.end
        return self._ledger.finish(item, self._receipt() if item.acked or not item.end else None)

    def _receipt(self) -> Receipt:
        now, item = self._now, self.item
        pieces = now["pieces"] or [[now["name"], 0, 0, now["length"]]]
        return Receipt(
            key=item.key,
            size=item.acked,
            crc64=now["stream_crc64"],
            etag=self._etag,
            request_id=self._request_id,
            requests=now["requests"],
            generations=tuple(Generation(*piece) for piece in pieces),
        )
