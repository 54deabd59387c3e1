"""Who owns a spool's directory: one process, by a lock that the kernel takes back when it dies.

In flow a directory, out flows the right to change it, or one clear error. It never waits.
"""

from __future__ import annotations

import fcntl
import os
from _weakrefset import WeakSet

from ossmedia.errors import SpoolBusy, SpoolError

__all__ = ["Owner", "bytes_in", "files_in", "prepare_folder"]


class Owner:
    """The lock. It belongs to this process: a child after fork() lets go of its copy.

    Raises:
        SpoolBusy: another process, or this one, has it. SpoolError: the file cannot be made.
    """

    def __init__(self, folder: str) -> None:
        path = os.path.join(folder, "owner.lock")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            if not isinstance(error, BlockingIOError):
                raise _unusable(folder, error) from error
            text = f"dir: {folder}: process {holder or '?'} owns this spool"
            raise SpoolBusy(text) from None
        _owners.add(self)
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError:
            return  # a full disk; the number is for people only

    def release(self) -> None:
        """Lets go; idempotent."""
        if self._fd >= 0:
            # For all copies: a child that was forked just now may not have closed its own yet.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Closes this process's copy; the lock stays with who else has one."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_owners: WeakSet[Owner] = WeakSet()


def _let_go() -> None:
    for owner in _owners:
        owner.forget()


os.register_at_fork(after_in_child=_let_go)


def prepare_folder(path: str | os.PathLike[str]) -> str:
    """Makes the directory and the ones in it, if its parent is there.

    Raises:
        SpoolError: it cannot be made or written.
    """
    folder = os.path.abspath(os.fspath(path))
    for name in (folder, os.path.join(folder, "data")):
        try:
            os.mkdir(name, 0o700)
        except FileExistsError:
            if not os.path.isdir(name):
                raise SpoolError(f"dir: {name}: is no directory") from None
        except OSError as error:
            raise _unusable(name, error) from error
    if not os.access(os.path.join(folder, "data"), os.W_OK | os.X_OK):
        raise SpoolError(f"dir: {folder}: cannot be written")
    return folder


def bytes_in(folder: str) -> int:
    """The sum of its files' sizes; 0 without it."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except FileNotFoundError:
        return 0


def files_in(folder: str) -> int:
    """How many files are in it; 0 without it."""
    try:
        return len(os.listdir(folder))
    except FileNotFoundError:
        return 0


def _unusable(folder: str, error: OSError) -> SpoolError:
    return SpoolError(f"dir: {folder}: {error.strerror}")
