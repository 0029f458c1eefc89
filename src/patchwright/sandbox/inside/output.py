"""What a command prints: the first and the last bytes of it, half and half."""

from __future__ import annotations


class Output:
    """Never holds more than its limit, however much is added."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_limit = (limit_bytes + 1) // 2
        self._tail_limit = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._notes = b""
        self.omitted_bytes = 0

    def add(self, chunk: bytes) -> None:
        room = self._head_limit - len(self._head)
        self._head += chunk[:room]
        rest = chunk[room:]
        # A flood comes in chunks larger than the whole tail: only their ends are worth copying.
        self._tail += rest[max(0, len(rest) - self._tail_limit) :]
        excess = max(0, len(self._tail) - self._tail_limit)
        del self._tail[:excess]
        self.omitted_bytes += excess + max(0, len(rest) - self._tail_limit)

    def note(self, text: str) -> None:
        """A word of the sandbox's own, after all the rest and beyond the limit."""
        self._notes += f"\n[sandbox: {text}]\n".encode()

    def parts(self) -> tuple[bytes, bytes]:
        """What came before what was left out, and what came after."""
        return bytes(self._head), bytes(self._tail) + self._notes
