"""Looks into a wheel or an sdist before anybody else does.

In flows a file of dist/, out flows one line about it, or an AssertionError that says what a user
would have stumbled over. auditwheel cannot judge musl wheels on a glibc machine, hence this.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

ROOT = Path(__file__).resolve().parent.parent
SDIST = ("pyproject.toml", "CMakeLists.txt", "csrc", "ossmedia")
SDIST += ("LICENSE", "README.md", "CHANGELOG.md")
# Against growth nobody meant; the figures themselves stand in .ci/WHEELS.md.
LARGEST_WHEEL = 760 * 1024
LARGEST_CAMERA = 350 * 1024
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64", "armv7l": "EM_ARM"}
GLIBC_FLOOR = (2, 17)
# Of a bare Linux: whatever else a module needs, a camera may not have.
GLIBC_LIBRARIES = {
    *("libc.so.6", "libdl.so.2", "libpthread.so.0", "libm.so.6", "librt.so.1"),
    *("ld-linux-aarch64.so.1", "ld-linux-armhf.so.3", "ld-linux-x86-64.so.2"),
}
MUSL_LIBRARIES = {"libc.so"}


def check_wheel(path: Path, target: str) -> str:
    """``target``: "armv7l-glibc" and the like."""
    machine, libc = target.split("-")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        installed = sum(entry.file_size for entry in wheel.infolist())
        modules = [name for name in names if name.endswith(".so")]
        assert modules == ["ossmedia/_core.abi3.so"], f"{path.name}: modules {modules}"
        assert not [name for name in names if name.endswith((".c", ".h", ".o", ".a"))], names
        assert any(name.endswith("licenses/LICENSE") for name in names), "no licence"
        assert "ossmedia/py.typed" in names
        (sbom,) = [name for name in names if "/sboms/" in name]
        assert json.loads(wheel.read(sbom))["bomFormat"] == "CycloneDX"
        module = wheel.read(modules[0])
        parts = sizes(wheel)
    elf = ELFFile(io.BytesIO(module))
    assert elf.header.e_machine == MACHINES[machine], elf.header.e_machine
    needed, highest = check_libraries(elf, libc)
    check_exports(elf)
    if machine == "armv7l":
        check_arm(elf)
    check_abi3(path)
    size = path.stat().st_size
    assert size <= LARGEST_WHEEL, f"{path.name}: {size} bytes, at most {LARGEST_WHEEL}"
    camera = parts["camera"]
    assert camera[0] <= LARGEST_CAMERA, f"{path.name}: the camera's part has {camera[0]} bytes"
    told = ", ".join(f"{part} {a / 1024:.0f}/{b / 1024:.0f}" for part, (a, b) in parts.items())
    return (
        f"{path.name}: {size / 1024:.0f} KiB, installed {installed / 1024:.0f} KiB "
        f"({told}), needs {' '.join(sorted(needed))}"
        + (f", GLIBC_{'.'.join(map(str, highest))}" if highest else "")
    )


def sizes(wheel: zipfile.ZipFile) -> dict[str, tuple[int, int]]:
    """Bytes in the wheel and installed: the camera's part (the module in it, named once more), and
    what only the application server, the local cloud and the demo load."""
    parts = dict.fromkeys(("camera", "module", "server", "emulator", "demo"), (0, 0))
    for entry in wheel.infolist():
        _, _, inside = entry.filename.partition("/")
        first = inside.split("/")[0]
        part = "demo" if first == "data" or first.startswith("demo") else first
        names = [part] if part in parts else ["camera"]
        if entry.filename.endswith(".so"):
            names.append("module")
        for name in names:
            packed, installed = parts[name]
            parts[name] = (packed + entry.compress_size, installed + entry.file_size)
    return parts


def check_libraries(elf: Any, libc: str) -> tuple[set[str], tuple[int, ...]]:
    """What the module needs at run time, and the newest glibc among that."""
    needed: set[str] = set()
    highest: tuple[int, ...] = ()
    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            needed |= {tag.needed for tag in section.iter_tags("DT_NEEDED")}
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    found = re.fullmatch(r"GLIBC_([\d.]+)", version.name)
                    if found:
                        highest = max(highest, tuple(map(int, found[1].split("."))))
    allowed = GLIBC_LIBRARIES if libc == "glibc" else MUSL_LIBRARIES
    assert needed <= allowed, f"needs {needed - allowed}"
    if libc == "glibc":
        assert (0,) < highest <= GLIBC_FLOOR, f"needs GLIBC_{highest}"
    else:
        assert not highest, f"a musl module that needs GLIBC_{highest}"
        check_musl_floor(elf)
    return needed, highest


def symbols(elf: Any) -> list[Any]:
    table = elf.get_section_by_name(".dynsym")
    assert isinstance(table, SymbolTableSection)
    return [symbol for symbol in table.iter_symbols() if symbol.name]


def check_exports(elf: Any) -> None:
    exported = {
        symbol.name
        for symbol in symbols(elf)
        if symbol.entry.st_shndx != "SHN_UNDEF" and symbol.entry.st_info.bind == "STB_GLOBAL"
    }
    assert exported == {"PyInit__core"}, f"exports {sorted(exported)}"


def check_musl_floor(elf: Any) -> None:
    """musl has no symbol versions: every name taken from outside must be one that old musl has."""
    floor = set((Path(__file__).parent / "musl-1.2.2-symbols.txt").read_text().split())
    wanted = {
        symbol.name
        for symbol in symbols(elf)
        if symbol.entry.st_shndx == "SHN_UNDEF"
        and symbol.entry.st_info.bind == "STB_GLOBAL"
        and not symbol.name.startswith(("Py", "_Py"))
    }
    assert wanted <= floor, f"not in musl 1.2.2: {sorted(wanted - floor)}"


def check_arm(elf: Any) -> None:
    """ARMv7 with VFPv3-D16: no NEON but behind a test at run time."""
    attributes = elf.get_section_by_name(".ARM.attributes")
    assert attributes is not None, "no .ARM.attributes"
    tags = {a.tag: a.value for a in attributes.iter_subsections() for a in _all(a)}
    assert not tags.get("TAG_ADVANCED_SIMD_ARCH"), "takes NEON for granted"


def _all(subsection: Any) -> list[Any]:
    return [
        attribute
        for part in subsection.iter_subsubsections()
        for attribute in part.iter_attributes()
        if attribute.value is not None
    ]


def check_abi3(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "abi3audit", "--strict", "--report", str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_sdist(path: Path) -> str:
    """All that a build from source needs, and nothing of this machine: the files of the tree, no
    more and no fewer."""
    with tarfile.open(path) as sdist:
        names = {entry.name.split("/", 1)[1] for entry in sdist if entry.isfile()}
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *SDIST]
    done = subprocess.run(listed, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wanted = {name for name in done.stdout.split() if (ROOT / name).exists()}
    assert names - {"PKG-INFO"} == wanted, f"sdist differs: {sorted(names ^ wanted)}"
    return f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(names)} files"


def check_static(path: Path) -> str:
    """A wheel that carries OpenSSL: built here, for a machine like this one."""
    with zipfile.ZipFile(path) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".so")]
        (sbom,) = [name for name in wheel.namelist() if "/sboms/" in name]
        (told,) = json.loads(wheel.read(sbom))["components"]
        module, packed = wheel.read(name), wheel.getinfo(name).compress_size
    assert told["properties"][0]["value"] == "static", f"{path.name}: linkage {told['properties']}"
    assert b"OpenSSL " + told["version"].encode() in module, f"{path.name}: not {told['version']}"
    elf = ELFFile(io.BytesIO(module))
    check_exports(elf)
    needed = {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
    assert needed <= GLIBC_LIBRARIES, f"needs {needed - GLIBC_LIBRARIES}"
    return (
        f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, of it the module with OpenSSL "
        f"{told['version']} {packed / 1024:.0f}, installed {len(module) / 1024:.0f}"
    )


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(check_static(Path(argument)))
