"""What ``ossmedia spool ...`` does: look at a spool, check it, get footage out of it, send it.

In flow a directory, out flow numbers, files and objects. ``status``, ``verify`` and ``export``
change nothing, and work beside the process that owns the spool.
"""

from __future__ import annotations

import json
import os
from urllib.parse import quote

from ossmedia.errors import SpoolError
from ossmedia.spool import Spool
from ossmedia.spool_blocks import LARGEST_BLOCK
from ossmedia.spool_files import Extent
from ossmedia.spool_owner import bytes_in, files_in
from ossmedia.spool_reading import Damaged
from ossmedia.spool_state import State
from ossmedia.spool_survey import Found, file_header, files_of, survey
from ossmedia.terminal import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO

    from ossmedia.bucket import Bucket
    from ossmedia.spool_item import Item
    from ossmedia.spool_values import Tombstone, Totals

__all__ = ["drain", "export", "status", "verify"]

_LOOKS = 5  # a spool that is in use changes under one's eyes
_MOST = 1 << 50


class _View:
    """A spool as it stands, without owning it.

    Raises:
        SpoolError: there is none. OSError: it cannot be read.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        state = State(os.path.join(folder, "state.db"), read_only=True)
        try:
            for look in range(_LOOKS):
                try:
                    self.found: list[Found] = survey(state, files_of(os.path.join(folder, "data")))
                    break
                except FileNotFoundError:
                    if look == _LOOKS - 1:
                        raise
            self.totals: Totals = state.totals()
            self.stones: list[Tombstone] = state.tombstones()
        finally:
            state.close()

    def numbers(self) -> dict[str, int]:
        """The law's numbers, and how many objects are how."""
        items = [found.item for found in self.found]
        sums = {
            "written": self.totals.written + sum(item.end for item in items),
            "acked": self.totals.acked + sum(item.acked for item in items),
            "spooled": sum(item.held() for item in items),
            "dropped": self.totals.dropped + sum(item.dropped for item in items),
            "missing": sum(s.last - s.first for found in self.found for s in found.lost),
            "waiting": sum(item.ended for item in items),
            "open": sum(not item.ended for item in items),
            "tombstones": len(self.stones),
            "disk_bytes": sum(bytes_in(os.path.join(self.folder, n)) for n in _FOLDERS),
            "quarantined": files_in(os.path.join(self.folder, "quarantine")),
        }
        sums["balance"] = sums["written"] - sum(
            sums[name] for name in ("acked", "spooled", "dropped", "missing")
        )
        return sums


_FOLDERS = ("data", "quarantine")


def status(args: Namespace) -> int:
    """The numbers of the conservation law, and the objects that wait."""
    view = _View(args.dir)
    numbers = view.numbers()
    if args.json:
        print(json.dumps({**numbers, "objects": [_row(f.item) for f in view.found]}))
        return 0
    for name, value in numbers.items():
        print(f"{name + ':':14}{value:>20,}")
    for found in view.found:
        row = _row(found.item)
        where = f"oss://{row['bucket']}/{printable(row['key'])}"
        print(f"{row['id']:>6} {row['state']:8} {row['mode']:3} {row['spooled']:>16,}  {where}")
    return 0


def _row(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "bucket": item.bucket,
        "key": item.key,
        "mode": item.mode,
        "state": "waiting" if item.ended else "open",
        "written": item.end,
        "acked": item.acked,
        "dropped": item.dropped,
        "spooled": item.held(),
    }


def verify(args: Namespace) -> int:
    """Reads every byte; exit code 1 when one is not what was written."""
    view = _View(args.dir)
    bad = 0
    for found in view.found:
        faults = [f"bytes {s.first} to {s.last} are missing" for s in found.lost]
        faults += [str(part) for part in _parts(found.item) if isinstance(part, Damaged)]
        bad += len(faults)
        for fault in faults:
            print(f"{printable(found.item.key)}: {printable(fault)}")
    if not args.quiet:
        print(f"{len(view.found)} objects, {bad} faults")
    return 1 if bad else 0


def _parts(item: Item) -> Iterator[tuple[int, memoryview] | Damaged]:
    """What of an object can be read, in order: where it begins, and the bytes."""
    room = memoryview(bytearray(LARGEST_BLOCK))
    cursor = item.cursor()
    try:
        while True:
            try:
                start, count = cursor.read(room, item.end)
            except Damaged as damage:
                cursor.seek(damage.last)
                yield damage
                continue
            if not count:
                return
            yield start, room[:count]
    finally:
        cursor.close()


def export(args: Namespace) -> int:
    """Copies what is not stored into files; exit code 1 when something could not be read."""
    view = _View(args.dir)
    os.makedirs(args.out, exist_ok=True)
    bad = 0
    for found in view.found:
        bad += len(found.lost) + _export(args, found.item, found.item.key)
    place = os.path.join(args.dir, "quarantine")
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else []:
        bad += _export_kept(args, os.path.join(place, name))
    return 1 if bad else 0


def _export(args: Namespace, item: Item, key: str) -> int:
    """One object; returns how many faults there were. What OSS has already is not exported; the
    name says where the rest begins."""
    faults, begun = 0, None
    target: BinaryIO | None = None
    try:
        for part in _parts(item):
            if isinstance(part, Damaged):
                faults += 1
                print(f"{printable(key)}: {printable(str(part))}")
                continue
            start, data = part
            if target is None:
                begun = start
                target = _create(args.out, key, start)
            target.write(data)
    finally:
        if target is not None:
            target.close()
    if target is not None and not args.quiet:
        tail = f" from byte {begun} on" if begun else ""
        print(f"oss://{item.bucket}/{printable(key)}{tail}: {printable(target.name)}")
    return faults


def _export_kept(args: Namespace, path: str) -> int:
    """A file of the quarantine that still says whose it is."""
    header = file_header(path)
    if header is None:
        return 0
    from ossmedia.spool_item import Item

    try:
        words = json.loads(header.words)
        item = Item(header.item, str(words["bucket"]), str(words["key"]), str(words["mode"]))
    except (ValueError, LookupError, TypeError):
        return 0
    size = os.stat(path).st_size
    extent = Extent(
        path,
        header.number,
        header.start,
        header.start + size,
        size=size,
        salt=header.salt,
        first=header.first_block,
    )
    item.extents, item.position, item.end = [extent], header.start, extent.end
    # Where the file's last block ends is not known: running into its end is no fault.
    _export(args, item, f"quarantine/{item.key}")
    return 0


def _create(folder: str, key: str, start: int) -> BinaryIO:
    """A new file for an object: its key, made harmless, and where it begins, if not at 0."""
    names = [quote(part, safe=" +,=@")[:200] for part in key.split("/")]
    names = [name.replace(".", "%2E") if name.strip(".") == "" else name for name in names]
    path = os.path.join(folder, *names) + (f".from-{start}" if start else "")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for count in range(1000):
        try:
            return open(f"{path}~{count}" if count else path, "xb")
        except FileExistsError:
            continue
    raise SpoolError(f"{path}: is there already, a thousand times")


def drain(args: Namespace, bucket_of: Callable[[Namespace, str, Spool], Bucket]) -> int:
    """Sends what the spool holds, with the environment's credentials; exit code 1 when something is
    left. Objects that were never closed are delivered as they are."""
    with Spool(args.dir, _MOST, 0) as spool:
        buckets = [bucket_of(args, name, spool) for name in spool.buckets()]
        try:
            done = spool.drain(args.timeout)
        finally:
            for bucket in buckets:
                bucket.close()
        found = spool.status()
    if args.json:
        print(json.dumps(found.to_json()))
    elif not args.quiet:
        print(f"{found.acked} bytes stored, {found.spooled} left, {found.dropped} dropped")
        if found.error:
            print(printable(found.error))
    return 0 if done else 1
