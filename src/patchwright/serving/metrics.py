"""What the gateway counts, in Prometheus's format."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from patchwright.schema.messages import Json

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Of one gateway. `running` and `waiting` are asked for when somebody reads."""

    def __init__(self, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
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
