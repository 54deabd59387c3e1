"""The benchmarks' server, built from sink.c and run beside them.

In flow the sources of the C core and of the sink, out flows a process that answers like OSS on
127.0.0.1 and keeps nothing. It never outlives its ``with`` block: it ends when its stdin does.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.client import BUCKET, KEY_ID, KEY_SECRET, REGION, TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ossmedia import Bucket
    from ossmedia._native import Store

__all__ = [
    "FOLDER",
    "ROOT",
    "Sink",
    "attach",
    "bucket",
    "build",
    "build_kernels",
    "build_peers",
    "build_plugin",
    "build_static",
]

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "bench"
CROSS = {"aarch64": "aarch64-linux-gnu-gcc", "armv7l": "arm-linux-gnueabihf-gcc"}


def build() -> Path:
    """The sink's program, without sanitizers; built again only where a source changed.

    Raises:
        FileNotFoundError: there is no cmake. subprocess.CalledProcessError: it does not build.
    """
    return _built("ossmedia_sink")


def build_kernels() -> Path:
    """The program that runs one kernel of the core over and over. Raises as ``build``."""
    return _built("ossmedia_kernels")


def build_plugin() -> Path:
    """The plugin that counts instructions. Raises as ``build``."""
    return _built("ossmedia_count", "libossmedia_count.so")


def build_peers() -> None:
    """The peers that are C programs; one whose headers are missing is left out. Raises as
    ``build``."""
    _built("ossmedia_raw")
    _built("ossmedia_core")
    # Ninja tells targets as "name: phony", make as "... name".
    if re.search(r"\bossmedia_curl\b", _cmake("--build", str(FOLDER), "--target", "help")):
        _built("ossmedia_curl")


@functools.cache
def build_static(source: str, machine: str) -> Path:
    """A program of bench/ and the core, without TLS, for another architecture: static, so that
    qemu-user needs nothing beside it.

    Raises:
        FileNotFoundError: there is no compiler for it. subprocess.CalledProcessError: it does not
            build.
    """
    compiler = shutil.which(CROSS[machine])
    if compiler is None:
        raise FileNotFoundError(f"{CROSS[machine]} is not installed")
    made = FOLDER / f"{source.removesuffix('.c')}-{machine}"
    made.parent.mkdir(parents=True, exist_ok=True)
    words = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-DOM_TLS_NONE"]
    words += ["-static", f"-I{ROOT / 'csrc'}", "-o", str(made), str(ROOT / "bench" / source)]
    sources = sorted(map(str, (ROOT / "csrc").glob("*.c")))
    subprocess.run([compiler, *words, *sources, "-lpthread"], capture_output=True, check=True)
    return made


@functools.cache
def _built(target: str, name: str = "") -> Path:
    _cmake(
        *("-S", str(ROOT), "-B", str(FOLDER), "-DOSSMEDIA_SANITIZE=none"),
        f"-DPython3_EXECUTABLE={sys.executable}",
    )
    _cmake("--build", str(FOLDER), "--target", target)
    return FOLDER / (name or target)


def _cmake(*arguments: str) -> str:
    tool = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if tool is None:
        raise FileNotFoundError("bench/sink.c: cmake is needed to build it (pip install cmake)")
    done = subprocess.run(
        [tool, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()
    return done.stdout


def bucket(endpoint: str) -> Bucket:
    """The bucket of a running sink."""
    from ossmedia import Bucket, Credentials

    return Bucket(
        BUCKET,
        endpoint=endpoint,
        region=REGION,
        credentials=Credentials(KEY_ID, KEY_SECRET, TOKEN),
    )


def attach(endpoint: str, *, verify_crc: bool = True) -> Store:
    """A store of the C core at a running sink, path style, signing V4 with a token."""
    from ossmedia import Credentials
    from ossmedia._native import ADDRESS_PATH, Store

    store = Store(
        endpoint=endpoint,
        bucket=BUCKET,
        region=REGION,
        address=ADDRESS_PATH,
        verify_crc=verify_crc,
    )
    store.set_credentials(Credentials(KEY_ID, KEY_SECRET, TOKEN))
    return store


def opened(endpoint: str) -> Bucket:
    """The same as a bucket of the Python API."""
    from ossmedia import Bucket, Credentials

    owner = Credentials(KEY_ID, KEY_SECRET, TOKEN)
    return Bucket(BUCKET, endpoint=endpoint, region=REGION, path_style=True, credentials=owner)


class Sink:
    """A running sink.

    Args:
        honest: it reads bodies and answers their CRC-64; else the kernel drops them unread.
    """

    def __init__(self, *, honest: bool = True) -> None:
        self.honest = honest
        self._process = subprocess.Popen(
            [build(), "--honest" if honest else "--drop"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.endpoint: str = json.loads(self._process.stdout.readline())["endpoint"]

    def store(self) -> Store:
        """A store of the C core at this sink."""
        return attach(self.endpoint, verify_crc=self.honest)

    def close(self) -> None:
        """Ends the process and waits for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status:
            raise RuntimeError(f"the sink ended with status {status}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
