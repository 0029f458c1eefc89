"""The endpoint on a Unix socket, with a real client and a real server."""

import contextlib
import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from tempfile import TemporaryDirectory

import httpx
import pytest
from pydantic import SecretStr

from patchwright.evals.scaffolds.gateway import KEPT_BYTES, Meter, gateway
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Usage
from tests.cli.endpoint import serving

BODY = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}], "stream": True}


def client(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://inside/v1", timeout=30)


def raw(path: Path, request: str) -> bytes:
    """What the gateway says to a request that no decent client would send."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def saying(reply: bytes) -> Generator[tuple[str, list[str]]]:
    """An endpoint that says the same to every request, and hangs up: its root, and the request lines so far."""
    asked: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            head = list(iter(lambda: self.rfile.readline().strip().decode(), ""))
            length = next((line for line in head if line.lower().startswith("content-length:")), ":0")
            self.rfile.read(int(length.partition(":")[2]))
            asked.append(head[0])
            self.wfile.write(reply)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_streamed_answer_passes_through_and_is_counted() -> None:
    with serving(("finish", {})) as endpoint, TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=endpoint.url, model="m")) as meter, client(path) as inside:
            answer = inside.post("/chat/completions", json=BODY).text
    assert answer.endswith("data: [DONE]\n\n")
    assert json.loads(answer.splitlines()[0].removeprefix("data: "))["choices"][0]["delta"]["content"]
    assert (meter.steps, meter.usage) == (1, Usage(prompt_tokens=100, completion_tokens=5))
    assert endpoint.requests[0] | BODY == endpoint.requests[0] | {"model": "gpt"}
    assert (endpoint.requests[0]["model"], endpoint.requests[0]["stream_options"]) == ("m", {"include_usage": True})


def test_tokens_are_not_known_once_an_answer_does_not_say() -> None:
    meter = Meter()
    meter.add(Usage(prompt_tokens=100, completion_tokens=5))
    meter.add(None)
    meter.add(Usage(prompt_tokens=100, completion_tokens=5))
    assert (meter.steps, meter.usage) == (3, None)


def test_failures_are_counted_with_the_last_of_them() -> None:
    reply = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
    with saying(reply) as (root, _), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root, model="m")) as meter, client(path) as inside:
            assert [inside.post("/chat/completions", json=BODY).status_code for _ in range(2)] == [429, 429]
            assert inside.get("/models").status_code == 429
    assert (meter.steps, meter.failures, meter.failure) == (0, 2, "429 Too Many Requests")


def test_a_route_with_a_query_is_a_step_too() -> None:
    with saying(OK) as (root, _), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root, model="m")) as meter, client(path) as inside:
            assert inside.post("/chat/completions?x=1", json=BODY).status_code == 200
    assert meter.steps == 1


@pytest.mark.parametrize("body", ["5", "null", "[]", '"messages"'])
def test_a_body_that_is_no_object_is_a_bad_request(body: str) -> None:
    with saying(OK) as (root, asked), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root, model="m")), client(path) as inside:
            assert inside.post("/chat/completions", content=body).status_code == 400
    assert asked == []


def test_a_body_must_say_how_long_it_is() -> None:
    with saying(OK) as (root, asked), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root, model="m")), client(path) as inside:
            assert inside.post("/chat/completions", content=iter([b"{}"])).status_code == 411
            assert b" 411 " in raw(path, "POST /v1/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}")
    assert asked == []


def test_models_are_listed_and_are_no_step() -> None:
    with serving() as endpoint, TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=endpoint.url, model="m")) as meter, client(path) as inside:
            assert inside.get("/models").json() == {"data": [{"id": "scripted"}]}
    assert meter.steps == 0


def test_tokens_are_found_however_the_answer_is_written() -> None:
    whole = {"object": "chat.completion", "usage": {"prompt_tokens": 100, "completion_tokens": 5}}
    for kind, text in (
        ("application/json", json.dumps(whole, indent=2)),
        ("application/json; charset=utf-8", json.dumps(whole)),
        ("text/event-stream", f"data:{json.dumps(whole)}\n\ndata:[DONE]\n\n"),
        ("text/event-stream; charset=utf-8", f"data: {json.dumps(whole)}\r\n\r\ndata: [DONE]\r\n\r\n"),
    ):
        assert counted(kind, text.encode()).usage == Usage(prompt_tokens=100, completion_tokens=5)


def test_tokens_of_an_answer_that_is_too_long_to_keep_are_not_known() -> None:
    """In a time that grows with its length, not with the square of it."""
    answer = {"filler": "x" * KEPT_BYTES, "usage": {"prompt_tokens": 100, "completion_tokens": 5}}
    meter = counted("application/json", json.dumps(answer).encode())
    assert (meter.steps, meter.usage) == (1, None)


def counted(kind: str, body: bytes) -> Meter:
    """What the gateway counts of an answer, which it must pass on as it is."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with saying(head.encode() + body) as (root, _), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root, model="m")) as meter, client(path) as inside:
            assert inside.post("/chat/completions", json=BODY).content == body
    return meter


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\ndata: ",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\ndata: ",
    ],
)
def test_an_answer_that_was_cut_is_passed_on_as_one(reply: bytes) -> None:
    with saying(reply) as (root, _), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with (
            gateway(path, Endpoint(base_url=root, model="m")) as meter,
            client(path) as inside,
            inside.stream("POST", "/chat/completions", json=BODY) as response,
        ):
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                response.read()
    assert (meter.steps, meter.failures) == (0, 1)


def test_a_client_that_knows_no_chunks_is_refused() -> None:
    with saying(OK) as (root, asked), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root, model="m")):
            assert raw(path, "GET /v1/models HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 505 ")
    assert asked == []


@pytest.mark.parametrize(("base", "line"), [("", "/models?a=b"), ("/v1", "/v1/models?a=b"), ("/a/", "/a/models?a=b")])
def test_routes_are_below_the_address_of_the_endpoint(base: str, line: str) -> None:
    with saying(OK) as (root, asked), TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=root + base, model="m")), client(path) as inside:
            assert inside.get("/models?a=b").status_code == 200
    assert asked == [f"GET {line} HTTP/1.1"]


@pytest.mark.parametrize(
    "target",
    [
        "{last_digit}/v1/models",
        "@127.0.0.1:{port}/v1/models",
        "http://127.0.0.1:{port}/v1/models",
        "/admin",
        "/v1",
        "/v1@127.0.0.1:{port}/models",
        "/v1/../admin",
        "/v1/%2e%2E/admin",
        "/v1/models/..%2f..%2fadmin",
        "/v1/..\\admin",
        "/v1/models#x",
    ],
)
def test_nothing_but_the_routes_of_the_endpoint_can_be_asked(target: str) -> None:
    with saying(OK) as (root, asked), TemporaryDirectory() as place:
        path = Path(place) / "s"
        host, _, port = root.rpartition(":")
        line = f"GET {target.format(port=port, last_digit=port[-1])} HTTP/1.1\r\n\r\n"
        for base_url in (f"{host}:{port[:-1]}", "http://localhost", root, f"{root}/v1"):
            with gateway(path, Endpoint(base_url=base_url, model="m", api_key=SecretStr("key"))):
                assert raw(path, line).splitlines()[0].split()[1] == b"404"
            path.unlink()
    assert asked == []


def test_a_proxy_is_asked_for_what_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with saying(OK) as (proxy, passed), saying(OK) as (root, asked), TemporaryDirectory() as place:
        monkeypatch.setenv("http_proxy", proxy)
        path = Path(place) / "s"
        for base_url in ("http://endpoint.invalid/v1", f"{root}/v1"):
            with gateway(path, Endpoint(base_url=base_url, model="m")), client(path) as inside:
                assert inside.get("/models").status_code == 200
            path.unlink()
    assert passed == ["GET http://endpoint.invalid/v1/models HTTP/1.1"]
    assert asked == ["GET /v1/models HTTP/1.1"]


def test_an_endpoint_that_is_not_there_is_a_bad_gateway() -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url="http://127.0.0.1:9/v1", model="m")) as meter, client(path) as inside:
            assert inside.post("/chat/completions", json=BODY).status_code == 502
    assert (meter.steps, meter.failures, meter.failure) == (0, 1, "ConnectError")


def test_at_the_end_the_endpoint_is_hung_up_on() -> None:
    """An engine would go on computing an answer that nobody waits for, at the cost of the next attempt."""
    with socket.create_server(("127.0.0.1", 0)) as server, TemporaryDirectory() as place:
        path = Path(place) / "s"
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        endpoint = Endpoint(base_url=url, model="m", api_key=SecretStr("key"))
        with gateway(path, endpoint) as meter, client(path) as inside:
            asking = threading.Thread(target=_ask, args=(inside,))
            asking.start()
            connection, _ = server.accept()
            connection.settimeout(10)
            head = connection.recv(65536)
            while b'"hello"' not in head:
                head += connection.recv(65536)
        assert b"Bearer key" in head
        assert connection.recv(1) == b""
        connection.close()
        asking.join()
    assert (meter.steps, meter.failures) == (0, 0)


def _ask(inside: httpx.Client) -> None:
    with contextlib.suppress(httpx.TransportError):
        inside.post("/chat/completions", json=BODY | {"stream": False})
