"""The user's test command as a suite: what each test did, besides the exit code, where pytest runs the tests."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from shlex import quote

from pydantic import ValidationError

from patchwright.errors import ToolError
from patchwright.sandbox.base import CommandResult, Sandbox
from patchwright.schema.record import Record
from patchwright.schema.resolution import SuiteRun, TestOutcome

_PROBE = "patchwright_probe"
_TRACER = "patchwright_tracer"
# pytest's words, from 3.0 on.
_NOT_IMPORTED = f'Error importing plugin "{_PROBE}"'
_OWN_PYTHONPATH = re.compile(r"\bPYTHONPATH=")
_FILE_LIMIT = 64
_REPORT_LIMIT_BYTES = 32_000_000
_CLEANUP_TIMEOUT_S = 30.0
# Of a test that is reported twice (a controller and its worker, two runs in one command), the last of these stands.
_RANK: tuple[TestOutcome, ...] = ("skipped", "passed", "error", "failed", "timed_out")


class Reported(Record):
    """One line of a report that the probe wrote."""

    test: str
    outcome: TestOutcome
    seconds: float = 0.0
    lines: dict[str, tuple[int, ...]] = {}


class Suite:
    """A shell command that exits with 0 when all is well, run in the sandbox from the top of the work tree.

    Where it runs pytest (5.0 or later, Python 3.6 or later), however often and however deep inside a script, each
    test's outcome is reported too. Any other command has its exit code and its output, and that is all.
    """

    def __init__(self, command: str, sandbox: Sandbox) -> None:
        self.command = command
        self._sandbox = sandbox

    async def run(self, *, timeout_s: float, test_timeout_s: float | None = None, trace: bool = False) -> SuiteRun:
        """Run it once, at most for `timeout_s`; what was reported until then is kept.

        `test_timeout_s` is for each test's setup, call and teardown alike; a test that takes longer is
        interrupted and the next one starts; after two such, the others have a tenth of it. `trace` asks for the
        lines in the work tree that the setup and the call of each test executed; fixtures shared by several tests
        count for the first of them.
        Raises SandboxError when the sandbox has died.
        """
        directory = f"/tmp/patchwright-{secrets.token_hex(6)}"
        variables = {
            "PATCHWRIGHT_PROBE_REPORTS": f"{directory}/reports",
            "PATCHWRIGHT_PROBE_TEST_TIMEOUT_S": "" if test_timeout_s is None else f"{test_timeout_s:g}",
            "PATCHWRIGHT_PROBE_TRACE": str(self._sandbox.root) if trace else "",
        }
        for module in (_PROBE, _TRACER):
            await self._sandbox.write(f"{directory}/probe/{module}.py", _source_of(module))
        try:
            result = await self._run(_with_probe(self.command, f"{directory}/probe", variables), timeout_s)
            left_s = timeout_s - result.duration_s
            if _NOT_IMPORTED in result.output and left_s > 0:
                result = await self._run(self.command, left_s)
            reported = await self._reported(f"{directory}/reports")
        finally:
            await self._sandbox.run(f"rm -rf {directory}", timeout_s=_CLEANUP_TIMEOUT_S, fresh=True)
        outcomes, lines = _merged(reported)
        return SuiteRun(
            command=self.command,
            exit_code=result.exit_code,
            outcomes=outcomes,
            lines=lines,
            slowest_s=max((each.seconds for each in reported if each.outcome == "passed"), default=None),
            output=result.output,
            duration_s=result.duration_s,
            timed_out=result.timed_out,
        )

    async def _run(self, script: str, timeout_s: float) -> CommandResult:
        return await self._sandbox.run(script, timeout_s=timeout_s, fresh=True)

    async def _reported(self, directory: str) -> list[Reported]:
        """What can be read of the reports. Tests can write there too: what is too large or makes no sense is left."""
        reported: list[Reported] = []
        room = _REPORT_LIMIT_BYTES
        for path in await self._files(directory):
            with suppress(ToolError):
                data = await self._sandbox.read(path, limit_bytes=room)
                room -= len(data)
                reported += _parsed(data)
        return reported

    async def _files(self, directory: str) -> list[str]:
        try:
            entries = await self._sandbox.list(directory, limit=_FILE_LIMIT)
        except ToolError:
            # Nothing that ran was pytest.
            return []
        return [entry.path for entry in entries if entry.kind == "file"]


def _source_of(module: str) -> bytes:
    return (files("patchwright.repo.testing") / f"{module}.py").read_bytes()


def _with_probe(command: str, probe: str, variables: Mapping[str, str]) -> str:
    exports = [f"export {name}={quote(value)}" for name, value in variables.items()]
    exports.append(f"export PYTEST_PLUGINS={_PROBE}${{PYTEST_PLUGINS:+,$PYTEST_PLUGINS}}")
    exports.append(f"export PYTHONPATH={probe}${{PYTHONPATH:+:$PYTHONPATH}}")
    # Where the command sets it itself, which would hide the plugin.
    own = _OWN_PYTHONPATH.sub(f"PYTHONPATH={probe}:", command)
    return "\n".join([*exports, "export PYTHONDONTWRITEBYTECODE=1", own])


def _parsed(data: bytes) -> Iterator[Reported]:
    for line in data.split(b"\n"):
        with suppress(ValidationError):
            yield Reported.model_validate_json(line)


def _merged(
    reported: Iterable[Reported],
) -> tuple[dict[str, TestOutcome], dict[str, dict[str, tuple[int, ...]]]]:
    outcomes: dict[str, TestOutcome] = {}
    lines: dict[str, dict[str, set[int]]] = {}
    for each in reported:
        both: tuple[TestOutcome, TestOutcome] = (each.outcome, outcomes.get(each.test, each.outcome))
        outcomes[each.test] = max(both, key=_RANK.index)
        for path, numbers in each.lines.items():
            lines.setdefault(each.test, {}).setdefault(path, set()).update(numbers)
    in_order = {
        test: {path: tuple(sorted(numbers)) for path, numbers in sorted(paths.items())} for test, paths in lines.items()
    }
    return outcomes, in_order
