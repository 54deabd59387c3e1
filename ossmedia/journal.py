"""The library's log: the logger "ossmedia", if the application uses logging at all.

In flow texts without secrets, out flow records. Importing logging would cost a camera more than the
core does, so it is never imported here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["log", "tell", "warn"]


def log(level: str, text: str, *values: object) -> None:
    """``level``: the name of the logger's method, "info" or "warning"."""
    logging = sys.modules.get("logging")
    if logging is None:
        return
    logger = logging.getLogger("ossmedia")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    getattr(logger, level)(text, *values)


def warn(text: str, *values: object) -> None:
    """Something went wrong that the library itself deals with."""
    log("warning", text, *values)


def tell(progress: Callable[..., object], stored: int, total: int | None) -> None:
    """Calls a caller's callback, which must not stop an upload: what it raises is logged."""
    try:
        progress(stored, total)
    except Exception as error:
        warn("progress callback raised %s", type(error).__name__)
