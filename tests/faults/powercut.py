"""A power cut: ext4 on a loop device that is shut down without flushing its journal, so that all
that was not synced is gone, as on a board whose plug is pulled.

The mount options widen what may be lost: a journal commit each second, and no quiet flush at a
rename. FAT, F2FS and UBIFS cannot be cut here; the rules the spool keeps are POSIX's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

__all__ = ["Disk", "missing"]

OPTIONS = "loop,commit=1,noauto_da_alloc"
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH
MIB = 1 << 20


def missing() -> str:
    """Why no power can be cut here; "" when it can."""
    if os.geteuid() != 0:
        return "needs root: mounts a file system"
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None and not Path(f"/usr/sbin/{program}").exists():
            return f"needs {program} (Debian: e2fsprogs, mount)"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices"
    return ""


class Disk:
    """A small ext4 file system whose power can be cut, mounted at ``path``.

    Args:
        folder: where its image is kept. size: of the image, in bytes.
        options: of the mount; ``rw`` by default.
    """

    def __init__(self, folder: Path, size: int = 48 * MIB, options: str = OPTIONS) -> None:
        self.path = folder / "disk"
        self._image = folder / "disk.img"
        self._size, self._options = size, options
        self._mounted = False
        self.path.mkdir(exist_ok=True)

    def __enter__(self) -> Disk:
        with open(self._image, "wb") as file:
            file.truncate(self._size)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", self._image)
        self.mount()
        return self

    def mount(self, *more: str) -> None:
        """Power is back; the journal is replayed."""
        _run("mount", "-o", ",".join([self._options, *more]), self._image, self.path)
        self._mounted = True

    def cut(self) -> None:
        """From here on nothing reaches the disk, and every write fails."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def unmount(self) -> None:
        """Only when no process has a file of it open."""
        if self._mounted:
            _run("umount", self.path)
            self._mounted = False

    def again(self) -> None:
        """Power comes back after a cut."""
        self.unmount()
        self.mount()

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.unmount()
        self._image.unlink(missing_ok=True)


def _run(*command: object) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    subprocess.run(
        [str(word) for word in command],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": path},
    )
