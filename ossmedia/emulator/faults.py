"""Faults on order: which requests go wrong, and how.

What flows in: rules from a test (operation, key pattern, how many to let pass, how many to spoil,
what to do) and every request as it arrives. What flows out: the rule that a request has to suffer,
and counts of what was asked. It acts on nothing itself and it never changes stored data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

ACTIONS = {
    "status": "answer with status, code and message; with when=after the operation took effect",
    "garbage": "answer with status and a body that is no XML; when=after: it took effect",
    "drop": "close the connection without an answer, before, during (body_bytes) or after storing",
    "reset": "as drop, but with RST",
    "stall": "do nothing for seconds, before, during (body_bytes) or after storing",
    "cut": "close the connection after answer_bytes of the answer's body",
    "drip": "send the answer's body answer_bytes at a time with seconds between",
    "wrong_crc": "a wrong x-oss-hash-crc64ecma in the answer",
    "drop_crc": "no x-oss-hash-crc64ecma in the answer",
    "wrong_etag": "a wrong ETag in the answer",
    "skew": "403 RequestTimeTooSkewed with a Date that is seconds off",
    "date": "the normal answer with a Date that is seconds off",
    "early": "answer with status and code after body_bytes of the body, while the rest is sent",
    "close": "the normal answer, then close the connection (Connection: close)",
    "expire": "403 SecurityTokenExpired",
}
_WHEN = ("before", "after")


@dataclass(slots=True)
class Rule:
    """One fault.

    Fields:
        action: a name of :data:`ACTIONS`.
        operation: glob over operation names (``UploadPart``, ``*Part*``); ``Rpc`` is STS.
        key: glob over keys; a request without a key matches only ``*``.
        method: HTTP method, or empty for any.
        after: matching requests to let pass first.
        times: matching requests to spoil then, 0 for all.
        when: ``before`` or ``after`` the operation took effect.
        body_bytes: act when that many bytes of the request's body have arrived; -1 at once.
        answer_bytes: bytes of the answer, for cut and drip.
        seconds: for stall, drip, skew and date.
        headers: further headers of a made answer, such as ``Retry-After``.
    """

    action: str
    operation: str = "*"
    key: str = "*"
    method: str = ""
    after: int = 0
    times: int = 1
    when: str = "before"
    status: int = 500
    code: str = "InternalError"
    message: str = "We encountered an internal error. Please try again."
    body_bytes: int = -1
    answer_bytes: int = 1
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0
    id: int = 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Rule:
        """A rule from untrusted values; ``match`` may hold operation, key and method, and ``nth``
        stands for ``after`` = nth - 1.

        Raises:
            ValueError: names the field that is unknown, missing or out of range.
        """
        flat = dict(values)
        match = flat.pop("match", {})
        if not isinstance(match, Mapping):
            raise ValueError("match must be an object with operation, key, method")
        flat.update(match)
        if "nth" in flat:
            nth = flat.pop("nth")
            if "after" in flat or isinstance(nth, bool) or not isinstance(nth, int) or nth < 1:
                raise ValueError(f"nth must be a number from 1, without after, got {nth!r}")
            flat["after"] = nth - 1
        allowed = {item.name for item in fields(cls)} - {"seen", "fired", "id"}
        unknown = sorted(set(flat) - allowed)
        if unknown:
            raise ValueError(
                f"unknown field {unknown[0]!r}; known are {', '.join(sorted(allowed))}"
            )
        if "action" not in flat:
            raise ValueError(f"action is missing; it is one of {', '.join(ACTIONS)}")
        rule = cls(**flat)
        rule._check()
        return rule

    def _check(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}, got {self.action!r}")
        if self.when not in _WHEN:
            raise ValueError(f"when must be before or after, got {self.when!r}")
        for name in ("operation", "key", "method", "code", "message"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text, got {getattr(self, name)!r}")
        self._check_numbers()
        texts = isinstance(self.headers, dict) and all(
            isinstance(text, str) for pair in self.headers.items() for text in pair
        )
        if not texts:
            raise ValueError(f"headers must map text to text, got {self.headers!r}")

    def _check_numbers(self) -> None:
        lowest = {"after": 0, "times": 0, "body_bytes": -1, "answer_bytes": 0, "status": 200}
        for name, low in lowest.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} must be a whole number from {low}, got {value!r}")
        if self.status > 599:
            raise ValueError(f"status must be 200 to 599, got {self.status}")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float):
            raise ValueError(f"seconds must be a number, got {self.seconds!r}")
        if self.seconds < 0 and self.action not in ("skew", "date"):
            raise ValueError(f"seconds must not be negative for {self.action}, got {self.seconds}")

    def matches(self, operation: str, method: str, key: str | None) -> bool:
        """Whether a request is one this rule is about."""
        return (
            fnmatchcase(operation, self.operation)
            and self.method in ("", method)
            and (self.key == "*" or (key is not None and fnmatchcase(key, self.key)))
        )

    @property
    def spent(self) -> bool:
        """Whether it has fired as often as it should."""
        return 0 < self.times <= self.fired


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._ids = count(1)

    def add(self, rule: Rule) -> int:
        """Put a rule behind the others; returns its number."""
        rule.id = next(self._ids)
        self._rules.append(rule)
        return rule.id

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def to_json(self) -> list[dict[str, Any]]:
        """The rules with how often each was met and fired."""
        return [asdict(rule) for rule in self._rules]

    def fire(self, operation: str, method: str, key: str | None) -> Rule | None:
        """The first rule that this request has to suffer; every matching rule counts it."""
        chosen: Rule | None = None
        for rule in self._rules:
            if rule.spent or not rule.matches(operation, method, key):
                continue
            rule.seen += 1
            if chosen is None and rule.seen > rule.after:
                rule.fired += 1
                chosen = rule
        return chosen


class Counters:
    """How often each operation was asked for, and how many bytes went either way."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.bytes_received = 0
        self.bytes_sent = 0
        self.connections = 0

    def to_json(self) -> dict[str, Any]:
        """All counts."""
        return {
            "requests": dict(self.requests),
            "statuses": dict(self.statuses),
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "connections": self.connections,
        }
