"""The model's endpoint on a Unix socket: for a sandbox that has no network, and to count what a scaffold asks.

The key stays outside, the model's name is set, and every answer is asked to say how many tokens it took.
"""

import json
import re
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, cast

import httpx
from pydantic import ValidationError

from patchwright.policy.completion import Wire, WireUsage, usage_of
from patchwright.policy.connection import may_be_proxied
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Usage

TIMEOUT_S = 3600.0
"""For one answer: the attempt's own limit is what ends a scaffold that waits."""

KEPT_BYTES = 64 * 1024 * 1024
"""Of an answer, or of one event of a streamed one: the usage in a longer one is not known."""

_ROUTE = re.compile(r"/v1((?:/\w[\w.:~-]*)+/?(?:\?[!-\"$-~]*)?)", re.ASCII)
"""What a scaffold may ask for: no segment begins with a dot, and nothing in it can be read in two ways."""


class Meter:
    """How often the model answered, and what its answers took: None once one does not say; and how often it did not."""

    def __init__(self) -> None:
        self.steps = 0
        self.usage: Usage | None = Usage()
        self.failures = 0
        self.failure = ""
        """The last one: a status, or what happened to the connection."""
        self._closed = False
        self._lock = threading.Lock()

    def add(self, usage: Usage | None) -> None:
        with self._lock:
            if not self._closed:
                self.steps += 1
                self.usage = self.usage + usage if self.usage and usage else None

    def fail(self, failure: str) -> None:
        with self._lock:
            if not self._closed:
                self.failures += 1
                self.failure = failure

    def close(self) -> None:
        """Counts no more: what fails from now on fails because we hang up."""
        with self._lock:
            self._closed = True


@contextmanager
def gateway(path: Path, endpoint: Endpoint) -> Generator[Meter]:
    """Serves the endpoint at the Unix socket `path`, of at most 107 bytes. Counts in the Meter."""
    meter = Meter()
    with httpx.Client(timeout=TIMEOUT_S, trust_env=may_be_proxied(endpoint.base_url)) as client:
        server = _Server(str(path), _Handler)
        server.client, server.endpoint, server.meter = client, endpoint, meter
        server.connections = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield meter
        finally:
            meter.close()
            server.shutdown()
            server.server_close()
            server.hang_up()
            thread.join()


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    client: httpx.Client
    endpoint: Endpoint
    meter: Meter
    connections: list[socket.socket]
    """To the endpoint, all that there ever were."""

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's account of what it does."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self.connections.append(info["return_value"].get_extra_info("socket"))

    def hang_up(self) -> None:
        """An engine computes on for who still listens: closing the client alone does not wake a thread that reads."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A scaffold that hangs up in the middle of an answer is none of our errors."""


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on, and the answer back as it comes, in chunks: without the last one it was cut."""

    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.send_error(411)
            return
        self._pass_on(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""

    def _pass_on(self, body: bytes) -> None:
        if self.request_version != self.protocol_version:
            self.send_error(505)  # it has no chunks
            return
        route = _ROUTE.fullmatch(self.path)
        if not route:
            self.send_error(404)
            return
        endpoint = self.server.endpoint
        content = _amended(body, endpoint.model)
        if content is None:
            self.send_error(400, "the body is no JSON object")
            return
        url = _below(endpoint.base_url, route[1])
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key.get_secret_value()}"
        try:
            with self.server.client.stream(
                self.command, url, content=content, headers=headers, extensions={"trace": self.server.watch}
            ) as response:
                self._answer(response)
        except httpx.TransportError as error:
            self._fail(error)
            self.send_error(502, type(error).__name__)

    def _answer(self, response: httpx.Response) -> None:
        self.send_response(response.status_code)
        self.send_header("Content-Type", response.headers.get("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        reading = _Reading(streamed=response.headers.get("Content-Type", "").startswith("text/event-stream"))
        try:
            for piece in response.iter_bytes():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                reading.add(piece)
        except httpx.RequestError as error:
            self._fail(error)
            return
        # Before the end of the answer, which may be the end of the scaffold.
        if self._is_step and response.is_success:
            self.server.meter.add(reading.end())
        elif self._is_step:
            self.server.meter.fail(f"{response.status_code} {response.reason_phrase}".strip())
        self.wfile.write(b"0\r\n\r\n")

    def _fail(self, error: httpx.RequestError) -> None:
        if self._is_step:
            self.server.meter.fail(type(error).__name__)

    @property
    def _is_step(self) -> bool:
        return self.path.partition("?")[0].endswith("/completions")


class _Reading:
    """Finds the usage in an answer that passes: in the last event that has one, or, not streamed, in the whole."""

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._kept = bytearray()
        self._usage: Usage | None = None

    def add(self, piece: bytes) -> None:
        *ended, rest = piece.split(b"\n") if self._streamed else [piece]
        for line in ended:
            self._keep(line)
            self._look()
        self._keep(rest)

    def end(self) -> Usage | None:
        self._look()
        return self._usage

    def _keep(self, piece: bytes) -> None:
        if len(self._kept) <= KEPT_BYTES:
            self._kept += piece

    def _look(self) -> None:
        if len(self._kept) <= KEPT_BYTES:
            self._usage = _usage_in(bytes(self._kept)) or self._usage
        self._kept.clear()


def _below(base_url: str, route: str) -> httpx.URL:
    """The route on the endpoint's own host: it is never read as a part of anything but the path and the query."""
    base = httpx.URL(base_url)
    return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + route.encode())


def _amended(body: bytes, model: str) -> bytes | None:
    """The request with the model's own name, and asking for its usage; what isn't JSON as it is; None for no object."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return body
    if not isinstance(parsed, dict):
        return None
    request = cast("dict[str, Any]", parsed)
    if "messages" not in request and "prompt" not in request:
        return body
    request["model"] = model
    if request.get("stream"):
        request["stream_options"] = {"include_usage": True}
    return json.dumps(request).encode()


class _Answer(Wire):
    usage: WireUsage | None = None


def _usage_in(text: bytes) -> Usage | None:
    """Of an answer, or of an event of one that is streamed; None where it says nothing of it."""
    if b'"usage"' not in text:
        return None
    try:
        usage = _Answer.model_validate_json(text.removeprefix(b"data:")).usage
    except ValidationError:
        return None
    return usage_of(usage) if usage else None
