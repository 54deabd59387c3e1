"""Writes the C source of ossmedia._core: the marked part of ossmedia.h is the cdef, so no second
copy exists to drift.

Usage: cdef.py ossmedia.h out.c
"""

import pathlib
import re
import sys

import cffi


def cdef_of(header: str) -> str:
    """The text between the marks, without the one word that cffi does not parse."""
    marked = header.split("/* cdef: begin */", 1)[1].split("/* cdef: end */", 1)[0]
    return re.sub(r"\s+OM_NODISCARD", "", marked)


def main(header: str, out: str) -> None:
    ffi = cffi.FFI()
    ffi.cdef(cdef_of(pathlib.Path(header).read_text(encoding="utf-8")))
    ffi.set_source("ossmedia._core", '#include "ossmedia.h"')
    ffi.emit_c_code(out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
