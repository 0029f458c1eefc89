"""A program that serves OpenAI's protocol as far as a test needs, with a helper process beside it.

python served_program.py [--fail] (--uds FILE | --host HOST --port PORT)
"""

import argparse
import json
import socketserver
import subprocess
import sys
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 1
    """An idle connection is closed soon, as uvicorn does."""

    def do_GET(self) -> None:
        self._answer({"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({"choices": [{"message": {"content": body["messages"][-1]["content"]}}]})

    def address_string(self) -> str:
        return "somebody"

    def _answer(self, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--never", action="store_true")
    parser.add_argument("--uds")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()
    helper = [sys.executable, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"]
    if arguments.fail:
        raise ValueError("no such architecture")
    subprocess.Popen(helper)
    if arguments.never:
        subprocess.run(helper, check=False)
    server = UnixServer(arguments.uds, Handler) if arguments.uds else TcpServer(("127.0.0.1", arguments.port), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main()
