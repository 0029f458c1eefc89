"""What the gateway counts, in Prometheus's format."""

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from patchwright.schema.messages import Json

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Of one gateway. `running` and `waiting` are asked for when somebody reads. registry: with what others count."""

    def __init__(
        self, running: Callable[[], float], waiting: Callable[[], float], registry: CollectorRegistry | None = None
    ) -> None:
        self._registry = registry or CollectorRegistry()
        self._requests = self._counter("requests", "Requests that have ended.", ("route", "status"))
        self._tokens = self._counter("tokens", "Tokens: of prompts, those of them from a cache, of answers.", ("kind",))
        self._first_s = self._histogram("time_to_first_token_seconds", "From the request to its first token.", _SECONDS)
        self._whole_s = self._histogram("request_duration_seconds", "From a request to its end.", _SECONDS)
        self._rate = self._histogram("tokens_per_second", "Of an answer, after its first token.", _RATES)
        for name, read, what in (
            ("answers_running", running, "Answers that the engine works on."),
            ("requests_waiting", waiting, "Requests in the queue."),
        ):
            Gauge(f"patchwright_{name}", what, registry=self._registry).set_function(read)

    def ended(self, route: str, status: int, duration_s: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._whole_s.observe(duration_s)

    def answered(self, usage: Json, first_s: float, duration_s: float) -> None:
        """first_s: until the first token; duration_s: until the last. usage: as OpenAI's protocol has it."""
        completion_tokens = usage.get("completion_tokens") or 0
        details: Json = usage.get("prompt_tokens_details") or {}
        self._tokens.labels("prompt").inc(usage.get("prompt_tokens") or 0)
        self._tokens.labels("cached").inc(details.get("cached_tokens") or 0)
        self._tokens.labels("completion").inc(completion_tokens)
        self._first_s.observe(first_s)
        if completion_tokens > 1 and duration_s > first_s:
            self._rate.observe((completion_tokens - 1) / (duration_s - first_s))

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def _counter(self, name: str, what: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"patchwright_{name}", what, labels, registry=self._registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"patchwright_{name}", what, buckets=buckets, registry=self._registry)


class UpstreamMetrics:
    """Of several upstreams behind one gateway, by their names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = _by_upstream(Counter, "requests", "Requests that were sent to it.", registry)
        self._hits = _by_upstream(Counter, "affinity_hits", "Of these, for a prefix that it had worked on.", registry)
        self._failures = _by_upstream(Counter, "failures", "Times that it failed, or was not there.", registry)
        self._running = _by_upstream(Gauge, "answers_running", "Answers that it works on.", registry)
        self._available = _by_upstream(Gauge, "available", "0 while it is set aside, 1 otherwise.", registry)

    def watch(self, upstream: str, running: Callable[[], float], available: Callable[[], float]) -> None:
        """Both are asked for when somebody reads."""
        for counter in (self._requests, self._hits, self._failures):
            counter.labels(upstream)
        self._running.labels(upstream).set_function(running)
        self._available.labels(upstream).set_function(available)

    def asked(self, upstream: str) -> None:
        self._requests.labels(upstream).inc()

    def hit(self, upstream: str) -> None:
        self._hits.labels(upstream).inc()

    def failed(self, upstream: str) -> None:
        self._failures.labels(upstream).inc()


_Kind = TypeVar("_Kind", Counter, Gauge)


def _by_upstream(kind: type[_Kind], name: str, what: str, registry: CollectorRegistry) -> _Kind:
    return kind(f"patchwright_upstream_{name}", what, ("upstream",), registry=registry)
