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

LARGEST_WHEEL = 150 * 1024
LARGEST_INSTALLED = 600 * 1024
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
    elf = ELFFile(io.BytesIO(module))
    assert elf.header.e_machine == MACHINES[machine], elf.header.e_machine
    needed, highest = check_libraries(elf, libc)
    check_exports(elf)
    if machine == "armv7l":
        check_arm(elf)
    check_abi3(path)
    size = path.stat().st_size
    return (
        f"{path.name}: {size / 1024:.0f} KiB, installed {installed / 1024:.0f} KiB, module "
        f"{len(module) / 1024:.0f} KiB, needs {' '.join(sorted(needed))}"
        + (f", GLIBC_{'.'.join(map(str, highest))}" if highest else "")
    )


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
    """All that a build from source needs, and nothing of this machine."""
    with tarfile.open(path) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    for wanted in (
        "pyproject.toml",
        "CMakeLists.txt",
        "csrc/ossmedia.h",
        "csrc/cdef.py",
        "LICENSE",
    ):
        assert wanted in names, f"sdist without {wanted}"
    strangers = {
        name
        for name in names
        if name.startswith(("build", ".", "bench")) or name.endswith((".so", ".o", ".pyc", ".db"))
    }
    assert not strangers, f"sdist holds {sorted(strangers)}"
    return f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(names)} files"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(check_wheel(Path(argument), "x86_64-glibc"))
