"""A dashboard of Ray's on loopback: its REST API with answers written beforehand."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "ray's own"


class Dashboard:
    """Describes the applications as `states` says, one after the other and then the last one again and again."""

    def __init__(self, states: Sequence[dict[str, Any]], refusal: tuple[int, str] | None) -> None:
        self.states = list(states)
        self.refusal = refusal
        self.deployed: list[Any] = []
        self.url = ""

    def state(self) -> dict[str, Any]:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def application(status: str, message: str = "", **deployments: str) -> dict[str, Any]:
    parts = {name: {"status": "UPDATING", "message": said, "replicas": []} for name, said in deployments.items()}
    return {"status": status, "message": message, "deployments": parts, "route_prefix": "/"}


@contextmanager
def dashboard(*states: dict[str, Any], refusal: tuple[int, str] | None = None) -> Generator[Dashboard]:
    """Each state is applications by name. `refusal`: the status and text that a config is answered with."""
    served = Dashboard(states, refusal)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._send(403 if "Authorization" in self.headers else 401, "Unauthorized")
            elif self.path == "/api/ray/version":
                self._send(200, json.dumps({"version": "4", "ray_version": "2.60.0"}))
            elif self.path == "/api/serve/applications/":
                self._send(200, json.dumps({"applications": served.state()}))
            else:
                self._send(404, "not found")

        def do_PUT(self) -> None:
            served.deployed.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send(*(served.refusal or (200, "")))

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield served
        server.shutdown()
