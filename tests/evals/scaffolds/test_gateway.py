"""The endpoint on a Unix socket, with a real client and a real server."""

import contextlib
import json
import socket
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from pydantic import SecretStr

from patchwright.evals.scaffolds.gateway import Meter, gateway
from patchwright.schema.endpoint import Endpoint
from patchwright.schema.messages import Usage
from tests.cli.endpoint import serving

BODY = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}], "stream": True}


def client(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://inside/v1", timeout=30)


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


def test_models_are_listed_and_are_no_step() -> None:
    with serving() as endpoint, TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url=endpoint.url, model="m")) as meter, client(path) as inside:
            assert inside.get("/models").json() == {"data": [{"id": "scripted"}]}
    assert meter.steps == 0


def test_an_endpoint_that_is_not_there_is_a_bad_gateway() -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "s"
        with gateway(path, Endpoint(base_url="http://127.0.0.1:9/v1", model="m")) as meter, client(path) as inside:
            assert inside.post("/chat/completions", json=BODY).status_code == 502
    assert meter.steps == 0


def test_at_the_end_the_endpoint_is_hung_up_on() -> None:
    """An engine would go on computing an answer that nobody waits for, at the cost of the next attempt."""
    with socket.create_server(("127.0.0.1", 0)) as server, TemporaryDirectory() as place:
        path = Path(place) / "s"
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with gateway(path, Endpoint(base_url=url, model="m", api_key=SecretStr("key"))), client(path) as inside:
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


def _ask(inside: httpx.Client) -> None:
    with contextlib.suppress(httpx.TransportError):
        inside.post("/chat/completions", json=BODY | {"stream": False})
