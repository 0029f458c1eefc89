"""Runs a command inside a sandbox beside a port that leads out: python forward.py SOCKET PORT COMMAND…

Connections to 127.0.0.1:PORT go to the Unix socket, which is all that the sandbox sees of the world. The standard
library alone, any Python from 3.8: this file is copied to where the sandbox can read it.
"""

import socket
import subprocess
import sys
import threading

BLOCK_BYTES = 65536


def main() -> None:
    path, port, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=accept, args=(listener, path), daemon=True).start()
    try:
        sys.exit(subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode)
    except KeyboardInterrupt:  # its time is over
        sys.exit(130)


def accept(listener: socket.socket, path: str) -> None:
    while True:
        inner, _ = listener.accept()
        outer = socket.socket(socket.AF_UNIX)
        try:
            outer.connect(path)
        except OSError:
            inner.close()
            continue
        for source, target in ((inner, outer), (outer, inner)):
            threading.Thread(target=copy, args=(source, target), daemon=True).start()


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while block := source.recv(BLOCK_BYTES):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone: so is the other.
        source.close()
        target.close()


if __name__ == "__main__":
    main()
