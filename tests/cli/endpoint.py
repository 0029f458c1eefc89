"""An OpenAI-compatible endpoint on loopback whose answers are written beforehand; a real server, a scripted model."""

import json
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Call = tuple[str, dict[str, Any]]
"""A tool call, streamed."""
Texts = list[str]
"""Several answers in text, for who asks for them at once."""


class Endpoint:
    """Answers request n with the n-th call, and hangs when there is none left."""

    listed: Mapping[str, Any] = {"id": "scripted"}
    """The model that it says it serves."""
    status = 200
    """Of its answers."""

    def __init__(self, calls: Sequence[Call | Texts]) -> None:
        self.calls = list(calls)
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()
        self.url = ""

    def answer(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        self.requests.append(body)
        if len(self.requests) > len(self.calls):
            self.released.wait()
            return []
        line = self.calls[len(self.requests) - 1]
        if isinstance(line, list):
            return [{"choices": [{"message": {"content": text}, "finish_reason": "stop"} for text in line]}]
        name, arguments = line
        call = {"index": 0, "id": "x", "function": {"name": name, "arguments": json.dumps(arguments)}}
        usage = {"prompt_tokens": 100 * len(self.requests), "completion_tokens": 5}
        usage |= {"prompt_tokens_details": {"cached_tokens": 95 * (len(self.requests) - 1)}}
        return [
            {"choices": [{"delta": {"content": "I look into it."}}]},
            {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": None}]},
            {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": usage},
        ]


@contextmanager
def serving(*calls: Call | Texts) -> Generator[Endpoint]:
    endpoint = Endpoint(calls)
    with offering(endpoint):
        yield endpoint


@contextmanager
def offering(endpoint: Endpoint) -> Generator[None]:
    """Listens where `endpoint.url` then says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, "application/json", json.dumps({"data": [endpoint.listed]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chunks = endpoint.answer(body)
            if not body.get("stream"):
                self._send(endpoint.status, "application/json", json.dumps(chunks[0] if chunks else {}).encode())
                return
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
            self._send(endpoint.status, "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        endpoint.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
