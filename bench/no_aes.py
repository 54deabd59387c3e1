"""What TLS costs a camera whose CPU has no AES instructions: user-space instructions of a MiB of a
PUT from memory, CRC-64 included, by an ossmedia that may choose its cipher and by the same that the
server forces to AES-128-GCM, as clients take it that do not look at their CPU.

In flow qemu-user, which has such CPUs, and the roots that ``make arm`` left; out flow counts: the
slope between two lengths of the same work. Run as ``python -m bench.no_aes [--json]``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.peers import client, own
from bench.peers.counts import TUNABLES
from bench.peers.measure import Failed, Place, Served, environment
from bench.peers.scenarios import Scenario
from bench.sink import ROOT, build_plugin

__all__ = ["FREE", "MACHINES", "OFFERS", "Machine", "count", "slope", "table", "words"]

MIB = 1 << 20
SIZE, LENGTHS, TIMEOUT_S = 4 * MIB, (1, 3), 120
AES, CHACHA = "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"
FREE = f"{AES}:{CHACHA}"  # the sink takes the client's first
OFFERS = {"own choice": FREE, "ChaCha20": CHACHA, "AES-128-GCM": AES}


@dataclass(frozen=True)
class Machine:
    """A CPU. ``root``: of ``make arm``; "": this Python, on x86-64. ``told``: of OpenSSL alone,
    where no CPU of qemu is without AES: it has no choice to show there."""

    name: str
    emulator: str
    cpu: str
    root: str = ""
    told: str = ""


MACHINES = (
    Machine("armv7l, Cortex-A7", "qemu-arm", "cortex-a7", "bookworm-armhf"),
    Machine(
        "aarch64, OpenSSL told to use NEON only",
        "qemu-aarch64",
        "max",
        "bookworm-arm64",
        "OPENSSL_armcap=1",
    ),
    Machine("x86_64, Nehalem", "qemu-x86_64", "Nehalem"),
    Machine("aarch64 with AES", "qemu-aarch64", "max", "bookworm-arm64"),
)


@dataclass(frozen=True)
class Offer(Scenario):
    """A PUT over TLS to a sink that takes any of some suites."""

    suites: str = ""

    @property
    def suite(self) -> str:
        return self.suites


def words(machine: Machine, counted: Path, folder: Path) -> list[str]:
    """The command up to Python's own arguments.

    Raises:
        Failed: the emulator or the root is not there.
    """
    emulator = shutil.which(machine.emulator)
    if emulator is None:
        raise Failed(f"{machine.emulator} is not installed (Debian's qemu-user)")
    given = [emulator, "-cpu", machine.cpu, "-plugin", f"{build_plugin()},out={counted}"]
    if not machine.root:
        return [*given, "-E", f"PYTHONPATH={ROOT}", sys.executable]
    root = ROOT / "build/roots" / machine.root
    python, site = root / "usr/bin/python3.11", root.with_name(root.name + "-site")
    if not python.exists() or not (site / "ossmedia").exists():
        raise Failed(f"needs {root.relative_to(ROOT)}: make arm")
    # Away from the tree, whose own ossmedia would hide the wheel's.
    copies = folder / "bench" / "peers"
    copies.mkdir(parents=True, exist_ok=True)
    (copies / "__init__.py").touch()
    for module in (client, own):
        shutil.copy(str(module.__file__), copies)
    told = ["-E", machine.told] if machine.told else []
    path = ["-E", f"PYTHONPATH={site}:{folder}"]
    return [*given, "-L", str(root), *told, *path, str(python), "-P"]


def count(machine: Machine, suites: str, place: Place, lengths: tuple[int, ...]) -> list[int]:
    """Instructions between a client's marks, for each number of PUTs; connecting included.

    Raises:
        Failed: it could not be counted.
    """
    found = []
    offer = Offer("", "", "put", SIZE, 1, (), tls="any", suites=suites)
    counted = place.folder / "instructions"
    with Served(offer, place, spin=False) as sink:
        work = ["--endpoint", sink.endpoint, "--ca", sink.ca, "--what", "put", "--crc", "1"]
        work += ["--size", str(SIZE), "--payload", place.payload(SIZE * max(lengths))]
        for length in lengths:
            done = subprocess.run(
                [
                    *words(machine, counted, place.folder),
                    *("-m", "bench.peers.client", "ossmedia", *work, "--count", str(length)),
                ],
                cwd=place.folder,
                env=environment() | {"GLIBC_TUNABLES": TUNABLES},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["no word why"]
                raise Failed(f"{machine.name}: {lines[-1][:200]}")
            first, last = (int(line.split()[0]) for line in counted.read_text().splitlines())
            found.append(last - first)
    return found


def slope(machine: Machine, suites: str, place: Place) -> float:
    """Instructions of one MiB, without starting and connecting. Raises as ``count``."""
    short, long = count(machine, suites, place, LENGTHS)
    return (long - short) / (LENGTHS[1] - LENGTHS[0]) / (SIZE / MIB)


def table() -> tuple[dict[str, dict[str, float]], list[str]]:
    """Counts by machine and offer, and why what is missing is missing."""
    counts: dict[str, dict[str, float]] = {}
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for machine in MACHINES:
            # Its CPU has AES, whatever OpenSSL was told: a choice there would say nothing.
            offers = {k: v for k, v in OFFERS.items() if v != FREE or not machine.told}
            try:
                counts[machine.name] = {k: slope(machine, v, place) for k, v in offers.items()}
            except Failed as why:
                reasons.append(str(why))
    return counts, reasons


def main() -> int:
    counts, reasons = table()
    if "--json" in sys.argv:
        print(json.dumps(counts | {"missing": reasons}))
        return 0
    print("| M instructions of a MiB | " + " | ".join(OFFERS) + " | ChaCha20 / AES |")
    print("|---|" + "--:|" * (len(OFFERS) + 1))
    for name, found in counts.items():
        cells = [f"{found[offer] / 1e6:.1f}" if offer in found else "-" for offer in OFFERS]
        ratio = found["ChaCha20"] / found["AES-128-GCM"]
        print(f"| {name} | " + " | ".join(cells) + f" | {ratio:.2f} |")
    print("\n".join(reasons))
    return 0


if __name__ == "__main__":
    sys.exit(main())
