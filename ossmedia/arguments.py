"""What every entry point asks of its arguments: numbers within bounds, seconds, files that exist.

In flow a field's name and value, out flows the value. It never guesses, and each refusal names the
field and its limit.
"""

from __future__ import annotations

import os

__all__ = ["between", "existing_file", "milliseconds"]


def between(name: str, value: object, least: int, most: int) -> int:
    """The value, if it is an int of least to most.

    Raises:
        TypeError, ValueError: naming the field.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: must be int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name}: must be {least}-{most}, not {value}")
    return value


def milliseconds(name: str, seconds: object) -> int:
    """Seconds, 0.001 to a day, as milliseconds.

    Raises:
        TypeError, ValueError: naming the field.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name}: must be seconds as int or float, not {type(seconds).__name__}")
    if not 0.001 <= seconds <= 86_400:
        raise ValueError(f"{name}: must be 0.001-86400 s, not {seconds}")
    return round(seconds * 1000)


def existing_file(name: str, path: str | os.PathLike[str]) -> str:
    """The path as text; "" stays "".

    Raises:
        FileNotFoundError: naming the field.
    """
    text = os.fspath(path)
    if text and not os.path.isfile(text):
        raise FileNotFoundError(f"{name}: no such file: {text!r}")
    return text
