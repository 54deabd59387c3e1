"""Which process this is, without asking the kernel before every request.

In flow forks, out flows one number that a child finds changed. It never closes what the parent
holds.

Source: os.register_at_fork; Python's own interfaces run it (os.fork, multiprocessing, and servers
that fork through PyOS_AfterFork_Child).
"""

from __future__ import annotations

import os

__all__ = ["forks"]

# How many forks lie between the process that imported this first and this one. Read it as
# ``process.forks``: a name of one's own would keep the old number.
forks = 0


def _child() -> None:
    global forks  # noqa: PLW0603
    forks += 1


os.register_at_fork(after_in_child=_child)
