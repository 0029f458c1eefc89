"""The official Docker images: where an engine answers, a patch is graded in the image that its row names."""

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from patchwright.errors import BenchmarkError, SandboxError
from patchwright.evals.official import Outcome
from patchwright.schema.attempt import Environments

_GIVEN = "/patchwright"
"""Where the container has the patch and the script."""
_NOT_APPLIED = 97
"""The container's exit code, which the official script never ends with."""
_COMMAND = f"""\
cd /testbed
if [ -s {_GIVEN}/patch.diff ]; then
    git apply --verbose {_GIVEN}/patch.diff || patch --batch --forward --fuzz=5 -p1 -i {_GIVEN}/patch.diff \
|| exit {_NOT_APPLIED}
fi
bash {_GIVEN}/eval.sh
exit 0
"""
_ANSWER_TIMEOUT_S = 10.0
_CLIENT_FAILED = (125, 126, 127)
"""`docker run`'s own exit codes."""


async def images_for(environments: Environments, docker: str) -> "Images | None":
    """The images, where patches are to be graded in them. Raises SandboxError when no engine answers `docker`."""
    if environments == "local":
        return None
    images = Images(docker)
    if not await images.answer():
        raise SandboxError("no Docker engine answers", hint="`docker version` says why; or `--environments local`")
    return images


class Images:
    """Grades in containers, each thrown away afterwards. `docker` is the client: a name on PATH or a path."""

    def __init__(self, docker: str = "docker") -> None:
        self._docker = docker

    async def answer(self) -> bool:
        """Whether there is a client, and an engine behind it."""
        if shutil.which(self._docker) is None:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await _exit_code((self._docker, "version", "--format", "{{.Server.Version}}")) == 0
        return False

    async def run(self, image: str, script: str, patch: str, *, timeout_s: float) -> Outcome:
        """The official script, as it is, with `patch` applied before. Pulling the image is part of it.

        Raises BenchmarkError when the container could not be started.
        """
        with TemporaryDirectory(prefix="patchwright-") as directory:
            given = Path(directory)
            (given / "patch.diff").write_text(patch, encoding="utf-8", errors="surrogateescape")
            (given / "eval.sh").write_text(script, encoding="utf-8", errors="surrogateescape")
            # Whoever the image runs as must get in.
            given.chmod(0o755)
            name = f"patchwright-{secrets.token_hex(6)}"
            return await self._run(container_command(self._docker, name, image, given), name, image, timeout_s)

    async def _run(self, command: Sequence[str], name: str, image: str, timeout_s: float) -> Outcome:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                log, _ = await process.communicate()
        except TimeoutError:
            return Outcome(b"", timed_out=True)
        finally:
            if process.returncode is None:
                # To kill the client would leave the container.
                await _exit_code((self._docker, "kill", name))
                await process.wait()
        if process.returncode in _CLIENT_FAILED:
            last = log.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BenchmarkError(f"no container of {image} runs: {' '.join(last)}", hint="`docker pull` says more")
        return Outcome(log, applied=process.returncode != _NOT_APPLIED)


def container_command(docker: str, name: str, image: str, given: Path) -> tuple[str, ...]:
    """`docker run` for one evaluation: `given` holds patch.diff and eval.sh. With a network, as the official
    harness has it: its scripts install the project."""
    # fmt: off
    return (
        docker, "run", "--rm", "--quiet", "--name", name, "--entrypoint", "",
        "--mount", f"type=bind,source={given},target={_GIVEN},readonly",
        "--workdir", "/testbed", image, "bash", "-c", _COMMAND,
    )
    # fmt: on


async def _exit_code(command: Sequence[str]) -> int:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()
