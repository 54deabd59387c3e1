"""What a core dump tells: of credentials that were replaced or whose bucket is closed, nothing that
the C core held; with ``harden=True`` there is no core dump.

The strings that the application gives are Python's, and Python cannot wipe them: the camera here
hands its secrets to the core without them, so that whatever is found is the core's.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.routes.bad_certificates import Maker, ip
from tests.routes.hostile_answers import Right, right_answer, wire
from tests.routes.raw_server import RawServer, Request
from tests.routes.test_bad_certificates import lax

HOLDER = Path(__file__).with_name("secret_holder.py")
SECRETS = {
    "first": (
        "LTAIfirstcanary",
        "1stSecretCanary3kT9wq2LmZx84Rb",
        "1stTokenCanary" + "Aq7/x+" * 90,
    ),
    "second": (
        "LTAIsecondcanary",
        "2ndSecretCanary8vN5yd0PcJt63Ws",
        "2ndTokenCanary" + "Zk2=r~" * 90,
    ),
}
PT_LOAD = 1
needs_gcore = pytest.mark.skipif(not shutil.which("gcore"), reason="needs gcore (Debian: gdb)")


def answer(request: Request) -> Iterator[bytes | None]:
    if request.method == "GET":
        yield wire(Right("404 Not Found", [("x-oss-request-id", "1")], b""))
    else:
        yield wire(right_answer(request))
    yield None


def core_of(process: subprocess.Popen[str], folder: Path) -> bytes:
    """All of a process's memory."""
    stem = folder / "core"
    done = subprocess.run(
        ["gcore", "-a", "-o", str(stem), str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    file = Path(f"{stem}.{process.pid}")
    if done.returncode or not file.exists():
        pytest.skip(f"gcore may not look at a process here: {done.stderr[-200:]}")
    data = file.read_bytes()
    file.unlink()
    return memory_of(data)


def memory_of(core: bytes) -> bytes:
    """An ELF64 core file's memory, without its notes: those hold the registers, where the last
    32 bytes that libc copied or measured stay until it copies others."""
    start, size, count = (
        *struct.unpack_from("<Q", core, 32),
        *struct.unpack_from("<HH", core, 54),
    )
    assert core[:6] == b"\x7fELF\x02\x01"
    memory = bytearray()
    for number in range(count):
        kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", core, start + number * size)
        if kind == PT_LOAD:
            memory += core[at : at + length]
    return bytes(memory)


def traces(core: bytes, which: str) -> list[str]:
    """What of a secret is there: whole, a piece of the token, or as HMAC keys it."""
    _, secret, token = (text.encode() for text in SECRETS[which])
    forms = {
        "secret": secret,
        "half the secret": secret[8:24],
        "token": token[:32],
        "end of the token": token[-24:],
        "inner pad": bytes(byte ^ 0x36 for byte in secret[:16]),
        "outer pad": bytes(byte ^ 0x5C for byte in secret[:16]),
    }
    return [name for name, form in forms.items() if form in core]


@needs_gcore
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_replaced_and_closed(tmp_path: Path, scheme: str) -> None:
    files = []
    for name, texts in SECRETS.items():
        files.append(tmp_path / name)
        files[-1].write_bytes("".join(f"{text}\0" for text in texts).encode())
    maker = Maker(tmp_path)
    context = lax(maker.leaf(ip("127.0.0.1"))) if scheme == "https" else None
    with RawServer(answer, context) as server:
        endpoint = f"{scheme}://127.0.0.1:{server.port}"
        with subprocess.Popen(
            [sys.executable, HOLDER, endpoint, str(maker.trusted), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as camera:
            found = []
            while step := camera.stdout.readline().strip():
                core = core_of(camera, tmp_path)
                found.append((step, traces(core, "first"), traces(core, "second")))
                camera.stdin.write("\n")
                camera.stdin.flush()
        assert camera.returncode == 0
    held, swapped, closed = found[:3]
    for number in (0, 3):  # signature V4, then V1
        held, swapped, closed = found[number : number + 3]
        assert held[0] == "held"
        assert {"secret", "token"} <= set(held[1])  # the search finds what is there
        assert swapped[0] == "swapped"
        assert swapped[1] == []
        assert {"secret", "token"} <= set(swapped[2])
        assert closed == ("closed", [], [])


DIES = """
import os, resource, sys
from ossmedia import Bucket, Credentials
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
os.chdir(sys.argv[2])
bucket = Bucket(
    "cams",
    endpoint="http://127.0.0.1:1",
    region="cn-hangzhou",
    credentials=Credentials("LTAIkey", "secret"),
    harden=sys.argv[1] == "hardened",
)
print(open("/proc/self/limits").read().partition("Max core file size")[2].split()[:2])
os.abort()
"""


def dies(how: str, folder: Path) -> tuple[bool, str]:
    """Whether the kernel dumped a core, and the limits it was given."""
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, how, str(folder)], stdout=subprocess.PIPE, text=True
    )
    limits = process.stdout.read().strip()
    process.stdout.close()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status  # or Popen would wait for it again
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status), limits


def test_harden(tmp_path: Path) -> None:
    dumped, _ = dies("as it is", tmp_path)
    hardened, limits = dies("hardened", tmp_path)
    assert not hardened
    assert limits == "['0', '0']"
    if not dumped:
        pytest.skip("this machine dumps no cores anyway (ulimit -c, kernel.core_pattern)")
