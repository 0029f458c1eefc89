"""docs/clients.md, taken at its word: what it says to write and to run is what the tests write and run."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BASE_URL = "http://127.0.0.1:8000/v1"
KEY = "pw-your-key"
MODEL = "devstral-small-2507"
TASK = "Write hello.py, which prints hello."

_FILE = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INSTALLED = re.compile(r"`(?:pip|npm) install (?:-g )?([^`]+)`")


@dataclass(frozen=True)
class Section:
    """What the page says of one client."""

    installed: tuple[str, ...]
    """What its package manager is told."""
    files: dict[str, str]
    """Text by path, which begins with ~/ for one in the home directory."""
    commands: str
    """For bash."""


def section(client: str) -> Section:
    text = PAGE.read_text(encoding="utf-8")
    own = re.search(rf"^## [^\n]*<a id=\"{re.escape(client)}\"></a>\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert own, f"docs/clients.md has no section {client}"
    installed = _INSTALLED.search(own[1])
    assert installed, f"docs/clients.md does not say how {client} is installed"
    files = dict(_FILE.findall(own[1]))
    return Section(tuple(installed[1].replace("'", "").split()), files, "\n".join(_COMMANDS.findall(own[1])))
