"""Where this interpreter's own OpenSSL can be reached.

Out flows a path for the C core to try first; nothing is loaded here.
"""

from __future__ import annotations

import os

__all__ = ["libssl_hint"]


def libssl_hint() -> str:
    """Where Python's own _ssl lives: its handle reaches the libssl that this interpreter was built
    for. It is found, not imported: the C core loads it at the first https exchange."""
    import sys

    suffix = getattr(sys, "abiflags", "")
    tag = f"cpython-{sys.version_info[0]}{sys.version_info[1]}{suffix}"
    for folder in sys.path:
        if folder.endswith("lib-dynload"):
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            for name in names:
                if name.startswith("_ssl.") and (tag in name or ".abi3." in name):
                    return os.path.join(folder, name)
    return ""
