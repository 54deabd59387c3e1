"""The documented limits of OSS, as data.

What flows in: nothing, or smaller numbers chosen by a test. What flows out: the numbers every
operation asks. It never raises a limit above the documented one, so that a client cannot pass here
and fail there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

GIB = 1024 * 1024 * 1024


@dataclass(slots=True)
class Limits:
    """Upper (or lower) bounds of requests; bytes unless the name says otherwise."""

    max_object_size: int = 5 * GIB
    max_append_size: int = 5 * GIB
    max_part_size: int = 5 * GIB
    min_part_size: int = 100 * 1024
    max_parts: int = 10_000
    max_copy_size: int = GIB
    max_key_bytes: int = 1023
    max_metadata_bytes: int = 8 * 1024
    max_document_bytes: int = 2 * 1024 * 1024
    max_delete_keys: int = 1000
    max_buckets: int = 100
    body_timeout_s: float = 60.0
    callback_timeout_s: float = 5.0

    def change(self, values: dict[str, float]) -> None:
        """Set limits by name.

        Raises:
            ValueError: an unknown name, not a number, below zero or above the documented limit.
        """
        documented = Limits()
        for name, value in values.items():
            if name not in {field.name for field in fields(self)}:
                raise ValueError(f"limit {name!r} is unknown")
            top = getattr(documented, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value <= top
            ):
                raise ValueError(f"limit {name} must be a number from 0 to {top}, got {value!r}")
            setattr(self, name, type(top)(value))
