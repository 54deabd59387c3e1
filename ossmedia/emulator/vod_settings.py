"""What a VOD user sets in the console: here by the control API.

What flows in: named values. What flows out: the same, checked, and as text for the store. The
callback's key leaves it only to sign.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlsplit

_BOUNDS: dict[str, tuple[float, float]] = {
    "ticket_s": (1, 3600),
    "processing_s": (0, 86400),
    "callback_pause_s": (0, 1),
}


@dataclass(slots=True)
class VodSettings:
    """The settings of VOD.

    Fields:
        ticket_s: whole seconds that an upload credential lives at least, 1 to 3600.
        processing_s: how long a video stays ``UploadSucc`` before it is ``Normal``.
        callback_url: where events are posted; empty: nowhere.
        callback_key: signs the events, letters and digits; empty: they are not signed.
        callback_pause_s: between the attempts to post an event.
    """

    ticket_s: int = 3600
    processing_s: float = 0.0
    callback_url: str = ""
    callback_key: str = ""
    callback_pause_s: float = 1.0

    def __repr__(self) -> str:
        return f"VodSettings({self.shown()})"

    def change(self, values: dict[str, Any]) -> None:
        """Set some values by name, or none of them.

        Raises:
            ValueError: an unknown name or a wrong value; the message never holds the key.
        """
        known = {field.name for field in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"setting {name!r} is unknown; known are {', '.join(known)}")
            _check(name, value)
        for name, value in values.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        """All values but the key, of which only is told whether there is one."""
        return {**asdict(self), "callback_key": bool(self.callback_key)}

    def to_json(self) -> str:
        """All values, the key included: for a file that only its owner reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> VodSettings:
        """The inverse of :meth:`to_json`."""
        return cls(**json.loads(text))


def _check(name: str, value: Any) -> None:
    if name in _BOUNDS:
        least, most = _BOUNDS[name]
        number = int if name == "ticket_s" else (int, float)
        if isinstance(value, bool) or not isinstance(value, number) or not least <= value <= most:
            kind = "a whole number" if name == "ticket_s" else "a number"
            raise ValueError(f"{name} must be {kind} from {least} to {most} seconds, not {value!r}")
        return
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text")
    if name == "callback_key" and value and not (value.isascii() and value.isalnum()):
        raise ValueError("callback_key must be letters and digits")
    if name == "callback_url" and value:
        check_url(name, value)


def check_url(name: str, url: str) -> None:
    """Refuse what is no http or https URL of at most 256 bytes.

    Raises:
        ValueError: naming the field.
    """
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 256
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError(f"{name} must be an http or https URL of at most 256 bytes")
    if "@" in parts.netloc:
        raise ValueError(f"{name} must not hold a user or a password")
