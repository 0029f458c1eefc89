"""A small Hugging Face server: redirects to storage, ranges, hashes in headers; and it can cut a connection."""

import hashlib
import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

WAIT_S = 20


class Fetch(NamedTuple):
    """A request for bytes."""

    path: str
    range: str | None


@dataclass
class HubServer:
    """`files` maps owner/repo/path to bytes. Every change takes effect with the next request."""

    files: dict[str, bytes]
    url: str = ""
    cuts: list[int] = field(default_factory=list[int])
    """Bytes after which the next fetches are cut, one each."""
    refused: list[int] = field(default_factory=list[int])
    """Statuses that the next fetches are answered with, one each; 200 sends the file."""
    stored: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """What storage holds instead of the file that was promised."""
    hashes: bool = True
    """Whether a file's hash and length are in the headers."""
    ranges: bool = True
    token: str | None = None
    storage_saw_token: bool = False
    hold: threading.Event | None = None
    """Fetches send half of their bytes and wait for it."""
    fetches: list[Fetch] = field(default_factory=list[Fetch])
    listed: dict[str, str] = field(default_factory=dict[str, str])
    """Names that the list of files shows instead of the true ones."""


@contextmanager
def serve(hub: HubServer) -> Generator[HubServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Silent."""

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            stored = path.startswith("/storage/")
            hub.storage_saw_token |= stored and "Authorization" in self.headers
            if hub.token and not stored and self.headers["Authorization"] != f"Bearer {hub.token}":
                self._end(401)
            elif match := re.fullmatch("/api/models/(.+)/tree/main", path):
                self._list(match[1])
            elif stored:
                self._send_bytes(path.removeprefix("/storage/"))
            elif (name := path.removeprefix("/").replace("/resolve/main", "", 1)) in hub.files:
                self._redirect(name)
            else:
                self._end(404)

        def _redirect(self, name: str) -> None:
            content = hub.files[name]
            linked = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{_sha256(content)}"'}
            self._end(302, {"Location": f"{storage_url}/{name}", **(linked if hub.hashes else {})})

        def _send_bytes(self, name: str) -> None:
            content = hub.stored.get(name, hub.files[name])
            if self.command == "HEAD":
                self._end(200, {"ETag": '"storage"'})
                return
            wanted = self.headers["Range"]
            hub.fetches.append(Fetch(name, wanted))
            status = hub.refused.pop(0) if hub.refused else 200
            if status != 200:
                self._end(status)
                return
            start = int(wanted[6:-1]) if wanted and hub.ranges else 0
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            body = content[start:]
            self._headers(206 if start else 200, headers, length=len(body))
            if hub.hold:
                self.wfile.write(body[: len(body) // 2])
                assert hub.hold.wait(WAIT_S)
                body = body[len(body) // 2 :]
            cut = hub.cuts.pop(0) if hub.cuts else len(body)
            self.wfile.write(body[:cut])
            self.close_connection = cut < len(body)

        def _list(self, repo: str) -> None:
            rows = [_row(path.removeprefix(f"{repo}/"), content) for path, content in hub.files.items() if repo in path]
            body = json.dumps([{**row, "path": hub.listed.get(row["path"], row["path"])} for row in rows]).encode()
            self._headers(200, {}, length=len(body))
            self.wfile.write(body)

        def _end(self, status: int, headers: dict[str, str] | None = None) -> None:
            silent = self.command == "HEAD" and status == 200
            self._headers(status, headers or {}, None if silent else 0)

        def _headers(self, status: int, headers: dict[str, str], length: int | None) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    storage_url = f"http://localhost:{server.server_port}/storage"  # another origin
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        if hub.hold:
            hub.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _row(path: str, content: bytes) -> dict[str, object]:
    large = {"oid": _sha256(content), "size": len(content)}
    return {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": hashlib.sha1(content).hexdigest(),
        **({"lfs": large} if path.endswith(".safetensors") else {}),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
