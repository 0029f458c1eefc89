"""How an answer is told in the words of both kinds of completion."""

import secrets
import time
from typing import Protocol

from patchwright.schema.messages import Json
from patchwright.serving.problems import Problem


class Adding(Protocol):
    """Adds chunks up to a whole answer."""

    def add(self, chunk: Json) -> None: ...

    def json(self) -> Json: ...


class CompletionWording:
    """kind: as OpenAI's `object` names the whole answer. usage: whether the client wants the last chunk of a stream,
    which has the usage and no choice."""

    last: bytes | None = b"data: [DONE]\n\n"

    def __init__(self, prefix: str, kind: str, model: str, adding: Adding, *, usage: bool) -> None:
        self._common: Json = {"id": f"{prefix}-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        self._kind = kind
        self._adding = adding
        self._usage = usage

    def begin(self) -> list[Json]:
        return []

    def add(self, chunk: Json) -> list[Json]:
        self._adding.add(chunk)
        if not chunk.get("choices") and not self._usage:
            return []
        suffix = ".chunk" if self._kind.startswith("chat") else ""
        return [chunk | self._common | {"object": self._kind + suffix}]

    def end(self) -> list[Json]:
        return []

    def fail(self, problem: Problem) -> list[Json]:
        return [problem.body()]

    def whole(self) -> Json:
        return self._common | {"object": self._kind} | self._adding.json()
