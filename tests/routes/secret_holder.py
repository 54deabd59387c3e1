"""A camera that keeps its secrets out of Python: for test_core_dump.py, which looks into its
memory.

The credentials come from a file straight into C memory, which is wiped once the core has them.
After each step it says so and waits. Arguments: endpoint, CA file or "", two files of credentials
("id NUL secret NUL token NUL").
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ossmedia._core import ffi, lib


def set_credentials(store: Any, path: str) -> None:
    memory = ffi.new("char[8192]")
    file = os.open(path, os.O_RDONLY)
    size = os.readv(file, [ffi.buffer(memory)])
    os.close(file)
    ends = [at for at in range(size) if memory[at] == b"\0"]
    credentials = ffi.new("om_credentials *")
    credentials.key_id = memory
    credentials.key_secret = memory + ends[0] + 1
    credentials.token = memory + ends[1] + 1
    assert lib.om_store_set_credentials(store, credentials, ffi.NULL) == 0
    ffi.memmove(memory, bytes(8192), 8192)


def use(store: Any) -> None:
    """Requests and a URL: both ways of signing."""
    answer, err, url = ffi.new("om_answer *"), ffi.new("om_error *"), ffi.new("char[16384]")
    for method, key in ((b"PUT", b"k"), (b"GET", b"absent")):
        out = ffi.new("char[65536]")
        rc = lib.om_store_exchange(
            store, method, key, b"", b"", b"data", 4, out, 65536, answer, err
        )
        assert rc in (0, lib.OM_E_SERVICE, lib.OM_E_PROTOCOL), ffi.string(err.message)
    assert lib.om_store_sign_url(store, b"GET", b"k", b"", b"", 60, url, 16384, err) > 0
    ffi.memmove(url, bytes(16384), 16384)


def step(name: str) -> None:
    print(name, flush=True)
    sys.stdin.readline()


def main() -> None:
    endpoint, ca_file, first, second = sys.argv[1:]
    texts = {
        name: ffi.new("char[]", text.encode())
        for name, text in (
            ("endpoint", endpoint),
            ("bucket", "cams"),
            ("region", "cn-hangzhou"),
            ("ca_file", ca_file),
        )
    }
    config = ffi.new("om_config *", texts)
    config.address = lib.OM_ADDRESS_PATH
    for version in (4, 1):
        config.signature = version
        out = ffi.new("om_store **")
        assert lib.om_store_new(out, config, ffi.NULL) == 0
        set_credentials(out[0], first)
        use(out[0])
        step("held")
        set_credentials(out[0], second)
        use(out[0])
        step("swapped")
        lib.om_store_free(out[0])
        step("closed")


if __name__ == "__main__":
    main()
