"""What goes wrong, as clients of OpenAI's protocol are told: a status, and an error with a type and a code."""

from dataclasses import dataclass

from patchwright.schema.messages import Json


@dataclass(frozen=True)
class Kind:
    """A status of HTTP, and OpenAI's words for it."""

    status: int
    type: str
    code: str


INVALID = Kind(400, "invalid_request_error", "invalid_request")
TOO_LONG = Kind(400, "invalid_request_error", "context_length_exceeded")
CUT_OFF = Kind(400, "invalid_request_error", "max_tokens_reached")
"""400 as OpenAI answers when an answer that has to be whole does not fit: the limit was the client's own."""
NO_KEY = Kind(401, "invalid_request_error", "invalid_api_key")
FORBIDDEN = Kind(403, "invalid_request_error", "forbidden")
NO_MODEL = Kind(404, "invalid_request_error", "model_not_found")
TOO_LARGE = Kind(413, "invalid_request_error", "request_too_large")
BUSY = Kind(429, "rate_limit_error", "queue_full")
MALFORMED = Kind(502, "server_error", "malformed_answer")
ENGINE = Kind(502, "server_error", "engine_failed")
UNAVAILABLE = Kind(503, "server_error", "engine_unavailable")


class Problem(Exception):
    """Ends a request. `param`: the field that is to blame."""

    def __init__(
        self, kind: Kind, message: str, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> Json:
        error = {"message": str(self), "type": self.kind.type, "param": self.param, "code": self.kind.code}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(max(1, round(self.retry_after_s)))}
