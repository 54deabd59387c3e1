"""What VOD posts to this server: whether it is VOD that speaks, and of which medium.

In flow heads and bodies of requests, out flow names of media. VOD signs the time and its own
address of this server, not the body: so a body only says which medium is worth a question to VOD,
never what has become of it.

Source: ApsaraVideo VOD, "HTTP callback" and "Callback authentication".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LEAST_KEY", "WINDOW_S", "is_signed", "media_id_of"]

WINDOW_S = 300
LEAST_KEY = 8  # characters
_TIME = re.compile(r"[0-9]{10}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_NAMES = ("VideoId", "ImageId", "MediaId", "AttachedMediaId")


def is_signed(head: Mapping[str, str], url: str, keys: Sequence[str], now: float) -> bool:
    """Whether a request comes from VOD: signed with one of the keys, for this very URL, lately.

    Args:
        head: the request's headers by lower-case names.
        url: this server's address exactly as VOD's console has it.
        keys: two while the key is being changed; none: nothing is believed.
        now: seconds since 1970.
    """
    time, signature = head.get("x-vod-timestamp", ""), head.get("x-vod-signature", "")
    if not _TIME.fullmatch(time) or abs(now - int(time)) > WINDOW_S:
        return False
    given, good = signature.lower().encode("utf-8", "replace"), False
    for key in keys:
        text = f"{url}|{time}|{key}"
        expected = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        # Every key is tried, so that the time taken does not tell which one came close.
        good |= hmac.compare_digest(expected.encode(), given)
    return good


def media_id_of(event: Mapping[str, Any]) -> str:
    """The medium that an event is about; "" when it names none."""
    for name in _NAMES:
        value = event.get(name)
        if isinstance(value, str) and _ID.fullmatch(value):
            return value
    return ""
