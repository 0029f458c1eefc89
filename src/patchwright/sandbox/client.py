"""The host's side of a sandbox: one class for every kind, asking a supervisor over the wire."""

import asyncio
from collections.abc import Mapping
from typing import Self, TypeVar

from patchwright.errors import SandboxError, ToolError
from patchwright.sandbox.answers import Answer, Hello, Listed, Looked, Ran, Refusal, parse_answer
from patchwright.sandbox.base import CommandResult, FileInfo
from patchwright.sandbox.child import SupervisorProcess
from patchwright.sandbox.launch import Launch, supervisor_source
from patchwright.sandbox.machine import memory_limit_bytes
from patchwright.sandbox.settings import SandboxSettings

A = TypeVar("A", bound=Answer)

# Beyond what a request itself may take: a machine under load, a file system that is slow.
_ANSWER_TIMEOUT_S = 30.0
_END_GRACE_S = 2.0
_CANCEL_TIMEOUT_S = 5.0
_HEAD_LIMIT_BYTES = 65_536
_ENTRY_LIMIT_BYTES = 16_384
_DIED = "the sandbox has died"
# Always set; PYTHONDONTWRITEBYTECODE because bytecode is matched to its source by whole seconds and size: an
# edit in the second after a test run would go unnoticed. Git must not try to refresh its read-only index.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "TMPDIR": "/tmp",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class SupervisedSandbox:
    """The `Sandbox` protocol over any launch."""

    def __init__(self, launch: Launch, settings: SandboxSettings, home: str) -> None:
        self.name = launch.name
        self.root = launch.root
        self._launch = launch
        self._settings = settings
        self._home = home
        self._process: SupervisorProcess | None = None
        self._death = "the sandbox is not open"
        self._requests = 0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        reasons: list[str] = []
        for command in self._launch.commands:
            try:
                hello = await self._start(command)
            except SandboxError as error:
                reasons.append(f"{command[0]}: {str(error).removeprefix(f'{_DIED}: ')}")
                continue
            if hello.writable:
                return self
            await self._end("the sandbox is closed", _END_GRACE_S)
            raise SandboxError(
                f"{self.root} cannot be written to from inside the {self.name} sandbox",
                hint="run as the user that the directory belongs to",
            )
        hint = self._launch.hint
        raise SandboxError(f"the {self.name} sandbox cannot start: {'; '.join(reasons)}", hint=hint)

    async def __aexit__(self, *exc: object) -> None:
        await self._end("the sandbox is closed", _END_GRACE_S)

    async def run(
        self, command: str, *, timeout_s: float, output_limit_bytes: int = 65_536, fresh: bool = False
    ) -> CommandResult:
        if "\0" in command:
            raise ToolError("a command cannot hold a NUL byte")
        head = {"op": "run", "timeout_s": timeout_s, "output_limit_bytes": output_limit_bytes, "fresh": fresh}
        answer, body = await self._ask(
            Ran,
            head,
            command.encode("utf-8", "replace"),
            limit_bytes=output_limit_bytes + _HEAD_LIMIT_BYTES,
            timeout_s=timeout_s + self._settings.interrupt_grace_s + _ANSWER_TIMEOUT_S,
        )
        return CommandResult(
            output=_joined(body, answer),
            exit_code=answer.exit_code,
            duration_s=answer.duration_s,
            timed_out=answer.timed_out,
            omitted_bytes=answer.omitted_bytes,
            cwd=answer.cwd,
        )

    async def read(self, path: str, *, limit_bytes: int = 10_000_000) -> bytes:
        head = {"op": "read", "path": path, "limit_bytes": limit_bytes}
        _, body = await self._ask(Answer, head, limit_bytes=limit_bytes + _HEAD_LIMIT_BYTES)
        return body

    async def write(self, path: str, data: bytes) -> None:
        await self._ask(Answer, {"op": "write", "path": path}, data)

    async def remove(self, path: str) -> None:
        await self._ask(Answer, {"op": "remove", "path": path})

    async def info(self, path: str) -> FileInfo | None:
        answer, _ = await self._ask(Looked, {"op": "info", "path": path})
        return answer.info

    async def list(self, path: str, *, depth: int = 1, limit: int = 1000) -> tuple[FileInfo, ...]:
        head = {"op": "list", "path": path, "depth": depth, "limit": limit}
        answer, _ = await self._ask(Listed, head, limit_bytes=_HEAD_LIMIT_BYTES + limit * _ENTRY_LIMIT_BYTES)
        return answer.entries

    async def _start(self, command: tuple[str, ...]) -> Hello:
        source = supervisor_source()
        command = (*command, str(len(source)))
        process = await SupervisorProcess.start(command, self._launch.environment, self._launch.kill_command)
        self._process = process
        process.wire.post_bytes(source)
        process.wire.post(self._configuration())
        try:
            hello, _ = await self._exchange(process, Hello, 0, _HEAD_LIMIT_BYTES, self._launch.start_timeout_s)
        except asyncio.CancelledError:
            await self._end("the sandbox is closed", 0.0)
            raise
        if isinstance(hello, Refusal):
            raise SandboxError(hello.error)
        return hello

    def _configuration(self) -> dict[str, object]:
        settings, launch = self._settings, self._launch
        fixed = {"PATH": settings.path, "HOME": self._home} | _ENVIRONMENT
        return {
            "root": str(self.root),
            "environment": fixed | settings.environment,
            "path_from_image": launch.path_from_image,
            "memory_bytes": None if launch.limits_enforced else memory_limit_bytes(settings),
            "processes": None if launch.limits_enforced else settings.processes,
            "interrupt_grace_s": settings.interrupt_grace_s,
            "readable": launch.readable,
        }

    async def _ask(
        self,
        model: type[A],
        head: Mapping[str, object],
        body: bytes = b"",
        *,
        limit_bytes: int = _HEAD_LIMIT_BYTES,
        timeout_s: float = _ANSWER_TIMEOUT_S,
    ) -> tuple[A, bytes]:
        """One request and its answer, never two at a time.

        A cancelled caller waits until the supervisor has killed the command, so that nothing of it runs on.
        """
        async with self._turn:
            process = self._process
            if process is None:
                raise SandboxError(self._death)
            self._requests += 1
            number = self._requests
            process.wire.post({"id": number, **head}, body)
            exchange = asyncio.ensure_future(self._exchange(process, model, number, limit_bytes, timeout_s))
            try:
                answer, data = await asyncio.shield(exchange)
            except asyncio.CancelledError:
                await self._abandon(process, exchange, number)
                raise
        if isinstance(answer, Refusal):
            raise ToolError(f"{head['path']}: {answer.error}" if "path" in head else answer.error)
        return answer, data

    async def _exchange(
        self, process: SupervisorProcess, model: type[A], number: int, limit_bytes: int, timeout_s: float
    ) -> tuple[A | Refusal, bytes]:
        try:
            async with asyncio.timeout(timeout_s):
                await process.wire.drain()
                head, body = await process.wire.receive(limit_bytes)
            answer = parse_answer(model, head)
            if answer.id != number:
                raise SandboxError("the sandbox answered another request")
        except TimeoutError:
            await self._end(f"the sandbox did not answer for {timeout_s:.0f} s and was killed", 0.0)
            raise SandboxError(self._death) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._end(_DIED, _END_GRACE_S)
            raise SandboxError(self._death) from None
        except SandboxError as error:
            await self._end(str(error), 0.0)
            raise
        return answer, body

    async def _abandon(
        self, process: SupervisorProcess, exchange: "asyncio.Future[tuple[A | Refusal, bytes]]", number: int
    ) -> None:
        if not exchange.done():
            process.wire.post({"id": 0, "op": "cancel", "target": number})
        try:
            await asyncio.wait({exchange}, timeout=_CANCEL_TIMEOUT_S)
        finally:
            if not exchange.done():
                exchange.cancel()
                await self._end("the sandbox was killed, since it did not stop a command", 0.0)
            elif not exchange.cancelled():
                # Whatever became of it, the caller has gone.
                exchange.exception()

    async def _end(self, reason: str, grace_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._death = reason
        words = await process.end(grace_s)
        if words:
            self._death = f"{reason}: {_gist(words)}"


def _gist(words: str) -> str:
    """The line that matters: a launcher explains itself first, a traceback ends with the reason."""
    lines = words.splitlines()
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def _joined(body: bytes, answer: Ran) -> str:
    head, tail = body[: answer.head_bytes], body[answer.head_bytes :]
    if not answer.omitted_bytes:
        return body.decode("utf-8", "replace")
    # The cut may have gone through a character.
    return head.decode("utf-8", "ignore") + tail.decode("utf-8", "replace").lstrip("\ufffd")
