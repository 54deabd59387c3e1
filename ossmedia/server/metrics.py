"""Counters for operators, in Prometheus' text form.

In flow events, out flows the text of /metrics. Labels are routes, codes and kinds of this program
only, never something that a client sent. Each application has a registry of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "ossmedia_requests", "Requests", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "ossmedia_request_seconds",
            "Time from head to answer",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.problems = Counter(
            "ossmedia_problems", "Refusals by code", ["code"], registry=self._registry
        )
        self.tokens = Counter(
            "ossmedia_tokens",
            "Tokens: handed out from cache, shared, issued by STS, old while STS is away; failed",
            ["source"],
            registry=self._registry,
        )
        self._held = Gauge("ossmedia_tokens_held", "Tokens in memory", registry=self._registry)

    def count_token(self, source: str) -> None:
        """One request for a token, by how it was served."""
        self.tokens.labels(source).inc()

    def watch_held(self, count: Callable[[], int]) -> None:
        """Where the number of tokens in memory comes from."""
        self._held.set_function(count)

    def text(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self._registry)
