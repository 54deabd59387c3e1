"""clang-tidy of csrc/, with the checks of .clang-tidy; ends with 1 at the first file with a
finding."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys

from sanitizers import ROOT, cmake

# Their instructions are another CPU's.
ELSEWHERE = {
    "x86_64": {"sha256_arm.c", "crc64_pmull.c"},
    "aarch64": {"sha256_x86.c", "crc64_pclmul.c"},
}


def main() -> None:
    tidy = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if tidy is None or not shutil.which("clang"):
        raise SystemExit("tidy: needs clang and clang-tidy (Debian: clang clang-tidy)")
    made = cmake(
        "tidy",
        *("-DCMAKE_C_COMPILER=clang", "-DOSSMEDIA_SANITIZE=none"),
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
    )
    names = sys.argv[1:] or sorted(path.name for path in (ROOT / "csrc").glob("*.c"))
    for name in names:
        if name in ELSEWHERE.get(platform.machine(), ()):
            continue
        done = subprocess.run(
            [tidy, "-p", made, "--quiet", ROOT / "csrc" / name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if done.returncode or "warning:" in done.stdout:
            raise SystemExit(f"csrc/{name}:\n{done.stdout}")
    print(f"tidy: {len(names)} files, 0 findings")


if __name__ == "__main__":
    main()
