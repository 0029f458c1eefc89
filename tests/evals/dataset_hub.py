"""A stand-in for Hugging Face's hub with one dataset of one file, which its own libraries download."""

import hashlib
import io
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

DATASET = "ada/adders"
_COMMIT = "1" * 40
_DIRECTORY = "data"
_FILE = f"{_DIRECTORY}/test-00000-of-00001.parquet"


@contextmanager
def hub(*rows: Mapping[str, object]) -> Generator[str]:
    """Serves the rows as the split "test" of DATASET; gives the value of HF_ENDPOINT."""
    file = io.BytesIO()
    table = import_module("pyarrow").Table.from_pylist(list(rows))
    import_module("pyarrow.parquet").write_table(table, file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(file.getvalue()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _handler(data: bytes) -> type[BaseHTTPRequestHandler]:
    entry = {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": _FILE}
    directory = {"type": "directory", "oid": "0" * 40, "size": 0, "path": _DIRECTORY}
    about = {"id": DATASET, "sha": _COMMIT, "private": False, "siblings": [{"rfilename": _FILE}], "tags": []}
    answers: dict[str, Any] = {
        f"/api/datasets/{DATASET}": about,
        f"/api/datasets/{DATASET}/revision/{_COMMIT}": about,
        f"/api/datasets/{DATASET}/tree/{_COMMIT}": [directory],
        f"/api/datasets/{DATASET}/tree/{_COMMIT}/{_DIRECTORY}": [entry],
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in answers:
                self._say(200, json.dumps(answers[path]).encode(), {})
            elif path.startswith("/datasets/") and path.endswith(_FILE):
                self._say(200, data, {"ETag": f'"{entry["oid"]}"', "X-Repo-Commit": _COMMIT})
            else:
                self._say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": _COMMIT})

        def do_HEAD(self) -> None:
            self.do_GET()

        def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Silent."""

    return Handler
