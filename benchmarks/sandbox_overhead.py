"""Prints what a sandbox costs, as a table for docs/sandbox.md: its start, each command, a flood of output, memory.

    python benchmarks/sandbox_overhead.py

The measure is bash started by this process for each command, without any sandbox. Takes about a minute.
"""

import asyncio
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from patchwright.sandbox.base import Sandbox
from patchwright.sandbox.kinds import SandboxKind, open_sandbox
from patchwright.sandbox.settings import SandboxSettings

KINDS: tuple[SandboxKind, ...] = ("bubblewrap", "none")
COMMANDS = 200
STARTS = 10
FLOOD_BYTES = 1_000_000_000
FLOOD = f"head -c {FLOOD_BYTES} /dev/zero"
# What a session gathers: variables and functions, saved and restored with every command.
STATE = 'for i in {1..100}; do declare -x name_$i=value; eval "function_$i() { echo $i; }"; done'


async def main() -> None:
    bare_s = await median_s(lambda: bare("true"), COMMANDS)
    print("| | start | a command | with much state | added per command | 1 GB of output | memory inside | added here |")
    print("|---|---|---|---|---|---|---|---|")
    print(f"| bare bash | | {ms(bare_s)} | | | {await median_s(lambda: bare(FLOOD), 3):.2f} s | | |")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as directory:
            await measure(kind, Path(directory), bare_s)


async def measure(kind: SandboxKind, work_tree: Path, bare_s: float) -> None:
    settings = SandboxSettings(path=os.environ["PATH"])
    start_s = await median_s(lambda: start(kind, work_tree, settings), STARTS)
    before = peak_kib()
    async with open_sandbox(kind, work_tree, settings) as sandbox:
        command_s = await median_s(lambda: run(sandbox, "true"), COMMANDS)
        flood_s = await median_s(lambda: run(sandbox, FLOOD), 3)
        inside = (await sandbox.run("grep VmHWM /proc/$PPID/status | tr -dc 0-9", timeout_s=30)).output
        added = peak_kib() - before
        await run(sandbox, STATE)
        laden_s = await median_s(lambda: run(sandbox, "true"), COMMANDS)
    print(
        f"| {kind} | {ms(start_s)} | {ms(command_s)} | {ms(laden_s)} | {ms(command_s - bare_s)} | {flood_s:.2f} s "
        f"| {int(inside) / 1024:.0f} MiB | {added / 1024:.1f} MiB |"
    )


async def bare(command: str) -> None:
    process = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    while await process.stdout.read(1 << 20):
        pass
    await process.wait()


async def start(kind: SandboxKind, work_tree: Path, settings: SandboxSettings) -> None:
    async with open_sandbox(kind, work_tree, settings):
        pass


async def run(sandbox: Sandbox, command: str) -> None:
    result = await sandbox.run(command, timeout_s=60)
    assert result.exit_code == 0, result.output


async def median_s(work: Callable[[], Awaitable[None]], times: int) -> float:
    durations: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


asyncio.run(main())
