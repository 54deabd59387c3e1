"""What an upload must remember to go on after its process was killed: a small file.

In flow the names of an upload and of its source, out flow the same in a later process. It is
replaced as a whole, so that it is there entirely or not at all, and it never holds a credential.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Checkpoint", "read_checkpoint"]

_VERSION = 1
_LONGEST = 64 << 10
_TEXTS = ("name", "endpoint", "bucket", "key", "upload_id", "path")
_NUMBERS = ("block_size", "size", "mtime_ns")
_FLAGS = ("fresh", "completing")


class Checkpoint:
    """One upload under way.

    Fields: ``name``: the caller's own, e.g. a media id; ``endpoint``, ``bucket``, ``key``: where;
    ``upload_id``: OSS's; ``block_size``: bytes of a part; ``path`` (absolute), ``size`` in bytes,
    ``mtime_ns``: the source as it was; ``fresh``: nothing stood at the key when the upload was
    begun; ``completing``: everything was sent, and OSS was asked to make it an object.
    """

    __slots__ = (*_TEXTS, *_NUMBERS, *_FLAGS, "file")
    name: str
    endpoint: str
    bucket: str
    key: str
    upload_id: str
    path: str
    block_size: int
    size: int
    mtime_ns: int
    fresh: bool
    completing: bool

    def __init__(self, file: str | os.PathLike[str], **fields: Any) -> None:
        self.file = os.fspath(file)
        for name in _FLAGS:
            flag = fields.pop(name, False)
            if not isinstance(flag, bool):
                raise TypeError(f"{name}: must be bool")
            setattr(self, name, flag)
        for names, kind in ((_TEXTS, str), (_NUMBERS, int)):
            for name in names:
                value = fields.pop(name)
                if not isinstance(value, kind) or isinstance(value, bool):
                    raise TypeError(f"{name}: must be {kind.__name__}")
                setattr(self, name, value)
        if fields:
            raise TypeError(f"{min(fields)}: unknown")

    def save(self) -> None:
        """Makes the file hold this, durably. Raises OSError."""
        import json

        names = (*_TEXTS, *_NUMBERS, *_FLAGS)
        content = {"version": _VERSION, **{name: getattr(self, name) for name in names}}
        fresh = f"{self.file}.new"
        with open(fresh, "wb") as file:
            file.write(json.dumps(content).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.file)
        _sync_folder(self.file)

    def forget(self) -> None:
        """Removes the file; no error if there is none."""
        try:
            os.unlink(self.file)
        except FileNotFoundError:
            return
        _sync_folder(self.file)


def _sync_folder(file: str) -> None:
    folder = os.open(os.path.dirname(os.path.abspath(file)), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_checkpoint(file: str | os.PathLike[str]) -> Checkpoint | None:
    """The checkpoint that a file holds; None without one, or when it is damaged: the upload then
    begins anew.

    Raises:
        OSError: it is there and cannot be read.
    """
    import json

    try:
        with open(file, "rb") as source:
            raw = source.read(_LONGEST + 1)
    except FileNotFoundError:
        return None
    try:
        content = json.loads(raw[:_LONGEST])
        if content.pop("version") != _VERSION:
            return None
        found = Checkpoint(file, **content)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    good = found.upload_id and found.size >= 0 and 102_400 <= found.block_size <= 1 << 30
    return found if good else None
