"""How a run is shown: live on a terminal, as plain lines when piped, as JSON lines for programs."""

import sys
from typing import IO, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from patchwright.cli.summary import Summary
from patchwright.schema.events import (
    AnyEvent,
    HistoryCompacted,
    Replied,
    RunFinished,
    RunStarted,
    StepFailed,
    StepStarted,
    StepTakenBack,
    TestsRun,
    TextArrived,
    ToolFinished,
    ToolStarted,
)

LINE_CHARS = 160
OBSERVATION_LINES = 6
STREAMED_LINES = 8


class View(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def show(self, event: AnyEvent) -> None: ...


class JsonView:
    """Each event as one line of JSON."""

    def __init__(self, out: IO[str] = sys.stdout) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._out.flush()

    def show(self, event: AnyEvent) -> None:
        print(event.model_dump_json(), file=self._out, flush=True)


class PlainView:
    """One line an event, the summary and the patch at the end."""

    def __init__(self, out: IO[str] = sys.stdout) -> None:
        self._out = out
        self._summary = Summary()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._out.flush()

    def show(self, event: AnyEvent) -> None:
        self._summary.add(event)
        if line := line_of(event):
            print(line, file=self._out, flush=True)
        if isinstance(event, RunFinished):
            print(*self._summary.lines(), sep="\n", file=self._out)
            print(event.patch or "no change was made", end="", file=self._out, flush=True)


class LiveView:
    """Finished lines scroll by; below them what is going on now, redrawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._summary = Summary()
        self._streamed = ""
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, event: AnyEvent) -> None:
        self._summary.add(event)
        match event:
            case Replied():
                self._print_said()
                self._print(event)
                self._now("thinking")
            case RunStarted() | ToolFinished() | TestsRun() | StepFailed() | StepTakenBack() | HistoryCompacted():
                self._print(event)
                self._now("thinking")
            case StepStarted():
                self._streamed = ""
                self._now(f"step {event.step}: reading {event.prompt_tokens} tokens")
            case TextArrived():
                self._streamed += event.text
                self._now("writing")
            case ToolStarted():
                self._now(f"running {_one_line(f'{event.name} {event.arguments}')}")
            case RunFinished():
                self._finish(event)
            case _:
                pass

    def _print_said(self) -> None:
        if said := self._streamed.strip():
            self._console.print(Text(said, style="italic"))
        self._streamed = ""

    def _print(self, event: AnyEvent) -> None:
        style = "bold red" if isinstance(event, StepFailed) else ""
        self._console.print(Text(line_of(event), style=style))
        if isinstance(event, ToolFinished):
            self._print_result(event)

    def _print_result(self, event: ToolFinished) -> None:
        if event.diff:
            self._console.print(Syntax(event.diff, "diff", background_color="default", word_wrap=True))
            return
        lines = event.message.content.splitlines()
        shown = lines[:OBSERVATION_LINES]
        if len(lines) > OBSERVATION_LINES:
            shown.append(f"… {len(lines) - OBSERVATION_LINES} more lines")
        self._console.print(Text("\n".join(f"    {line[:LINE_CHARS]}" for line in shown), style="dim"))

    def _now(self, doing: str) -> None:
        tail = "\n".join(self._streamed.splitlines()[-STREAMED_LINES:])
        self._live.update(Group(Text(tail, style="italic"), Spinner("dots", text=Text(doing, style="cyan"))))

    def _finish(self, event: RunFinished) -> None:
        self._live.update(Text(""))
        style = "bold green" if event.reason == "done" else "bold yellow"
        for line in self._summary.lines():
            self._console.print(Text(line, style=style))
            style = ""
        if event.patch:
            self._console.print(Syntax(event.patch, "diff", background_color="default"))
        else:
            self._console.print(Text("no change was made", style="yellow"))


def line_of(event: AnyEvent) -> str:
    """An event as a line; empty for those that a line would not help."""
    match event:
        case RunStarted():
            return f"run: {event.model}, profile {event.profile}, sandbox {event.sandbox}, in {event.work_tree}"
        case Replied():
            cached = f", {event.usage.cached_tokens} cached" if event.usage.cached_tokens else ""
            tokens = f"{event.usage.prompt_tokens} tokens read{cached}, {event.usage.completion_tokens} written"
            return f"reply: {tokens}, first after {event.first_token_s:.1f} s, {event.duration_s:.1f} s in all"
        case StepFailed():
            return f"endpoint failed: {event.error}"
        case ToolStarted():
            return _one_line(f"call: {event.name} {event.arguments}")
        case ToolFinished():
            mark = "failed" if event.failed else "ok"
            first = event.message.content.strip().partition("\n")[0]
            return _one_line(f"{event.message.name} {mark} ({event.duration_s:.1f} s): {first}")
        case StepTakenBack():
            return "taken back: the next attempt starts afresh"
        case HistoryCompacted():
            return f"history compacted: {event.tokens_before} → {event.tokens_after} tokens"
        case TestsRun():
            verdict = "pass" if event.exit_code == 0 else f"fail with {event.exit_code}"
            return f"tests {event.when} the change {verdict} ({event.duration_s:.1f} s): {event.command}"
        case _:
            return ""


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LINE_CHARS else f"{flat[:LINE_CHARS]}…"
