"""What the agent gets from the engine: python benchmarks/trajectory_replay.py TRAJECTORY… [--model MODEL] [--steps N]

Asks an engine for every step of recorded runs (what `patchwright session export` writes, or the `events.jsonl` of an
attempt of `patchwright eval run`): each request is the conversation as it was then, and is answered greedily, in as
many tokens as it was then, MOST_TOKENS at most. Two engines are asked in turn, with n-gram speculation and without, so
that a machine that is busy for a while is busy for both. Prints the share of the prompts' tokens that came from the
cache after the first step of each run, and how fast answers came, those that edit and the others.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from patchwright.agent.profile import Profile, profile_named
from patchwright.chat.calling import CALLING
from patchwright.cli.assemble import engine_of
from patchwright.config import load_settings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.policy.connection import Connection
from patchwright.sandbox.kinds import open_sandbox
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.events import EVENT, AnyEvent, Replied, RunStarted
from patchwright.schema.history import extend
from patchwright.schema.messages import AssistantMessage, Json, Message, Request, Sampling, ToolSpec
from patchwright.schema.record import parse_line
from patchwright.tools.edit import Edit
from patchwright.tools.str_replace_editor import StrReplaceEditor
from patchwright.tools.toolbox import open_toolbox

EDITING = {Edit.name, StrReplaceEditor.name}
MOST_TOKENS = 200
LEAST_TOKENS = 16
"""An answer that is shorter says nothing of the speed."""


class Step(NamedTuple):
    request: Request
    edits: bool
    is_first: bool


class Answered(NamedTuple):
    """By llama.cpp's own counts and clock. answer: its message."""

    prompt_tokens: int
    cached_tokens: int
    tokens: int
    tokens_per_s: float
    answer: Json


def events_of(path: Path) -> Iterator[AnyEvent]:
    """With a header before them or without one. Raises RecordError."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if number > 1 or '"format"' not in line:
            yield parse_line(EVENT, line, path, number)


def steps(events: Iterable[AnyEvent]) -> Iterator[Step]:
    """What was asked for in a run, and what came of it."""
    history: tuple[Message, ...] = ()
    profile: Profile | None = None
    is_first = True
    for event in events:
        if isinstance(event, RunStarted):
            profile = profile_named(event.profile)
        if isinstance(event, Replied) and event.usage.completion_tokens:
            assert profile
            yield Step(_request(profile, history, event.usage.completion_tokens), _edits(event.message), is_first)
            is_first = False
        history = extend(history, event)


def _request(profile: Profile, history: tuple[Message, ...], tokens: int) -> Request:
    sampling = Sampling(temperature=0, max_tokens=min(tokens, MOST_TOKENS))
    return Request(messages=history, tools=_specs(profile), calling=profile.calling, sampling=sampling)


def _specs(profile: Profile) -> tuple[ToolSpec, ...]:
    sandbox = open_sandbox("none", Path.cwd(), SandboxSettings())  # never started
    return open_toolbox(profile.tools, sandbox, profile.observation_chars).specs


def _edits(message: AssistantMessage) -> bool:
    return any(call.name in EDITING and '"view"' not in call.arguments for call in message.tool_calls)


async def asked(connection: Connection, request: Request) -> Answered:
    body = CALLING[request.calling].body(request) | request.sampling.model_dump(exclude_none=True)
    body["model"] = connection.endpoint.model
    answer = json.loads(await connection.post("/v1/chat/completions", body))
    usage, timings = answer["usage"], answer["timings"]
    return Answered(
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        timings["predicted_n"],
        timings["predicted_per_second"],
        answer["choices"][0]["message"],
    )


async def replayed(model: str, recorded: list[Step]) -> tuple[list[Answered], list[Answered]]:
    """Each step's answer without n-gram speculation, and with it."""
    answers: tuple[list[Answered], list[Answered]] = ([], [])
    with TemporaryDirectory() as directory:
        settings = load_settings(model=model, state_dir=Path(directory))
        engines = [
            engine_of(settings.model_copy(update={"llama_cpp": settings.llama_cpp.model_copy(update=update)}))
            for update in ({"ngram_speculation": False}, {"ngram_speculation": True})
        ]
        try:
            async with AsyncExitStack() as stack:
                both = [await stack.enter_async_context(Connection.opened(each.connect)) for each in engines]
                for number, step in enumerate(recorded):
                    for one in (0, 1) if number % 2 else (1, 0):
                        answers[one].append(await asked(both[one], step.request))
        finally:
            for engine in running_engines(settings.state_dir):
                stop_engine(engine, settings.state_dir)
    return answers


def report(recorded: list[Step], plain: list[Answered], guessing: list[Answered]) -> Iterator[str]:
    later = [answered for step, answered in zip(recorded, plain, strict=True) if not step.is_first]
    prompt_tokens = sum(each.prompt_tokens for each in later)
    share = sum(each.cached_tokens for each in later) / prompt_tokens
    yield f"after the first step: {share:.1%} of {prompt_tokens} prompt tokens from the cache, {len(later)} steps"
    yield ""
    yield "| steps | number | tokens/s | with n-grams | median ratio | the same answer |"
    yield "|---|---|---|---|---|---|"
    for name, edits in (("that edit", True), ("others", False)):
        both = [
            (one, other)
            for step, one, other in zip(recorded, plain, guessing, strict=True)
            if step.edits is edits and min(one.tokens, other.tokens) >= LEAST_TOKENS
        ]
        if not both:
            yield f"| {name} | 0 | | | | |"
            continue
        rates = [statistics.median(each.tokens_per_s for each in answers) for answers in zip(*both, strict=True)]
        ratio = statistics.median(other.tokens_per_s / one.tokens_per_s for one, other in both)
        same = sum(one.answer == other.answer for one, other in both)
        yield f"| {name} | {len(both)} | {rates[0]:.1f} | {rates[1]:.1f} | {ratio:.2f} | {same} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trajectories", nargs="+", type=Path)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--steps", type=int, help="of each run, the first so many")
    chosen = parser.parse_args()
    recorded = [step for path in chosen.trajectories for step in islice(steps(events_of(path)), chosen.steps)]
    answers = asyncio.run(replayed(chosen.model, recorded))
    print(f"{len(chosen.trajectories)} recorded runs, {len(recorded)} steps, {chosen.model}")
    print("\n".join(report(recorded, *answers)))


if __name__ == "__main__":
    main()
