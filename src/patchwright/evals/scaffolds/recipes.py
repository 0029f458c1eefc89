"""How each foreign scaffold is installed and started: non-interactive, on one endpoint, in one work tree."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from patchwright.evals.scaffolds.environment import Environment

KEY = "unused"
"""In the place of a key: the real one stays outside of the sandbox."""

CONTEXT_TOKENS = 32768
"""Where the endpoint does not say how much it takes."""


@dataclass(frozen=True)
class Errand:
    """What a scaffold is sent to do."""

    task: str
    test_command: str | None
    model: str
    base_url: str
    """Ends in /v1."""
    context_tokens: int
    environment: Path
    files: Path
    """A directory that can be read; `Start.files` lie there."""

    def program(self, name: str) -> tuple[str, ...]:
        """A script that the environment has installed."""
        return self._isolated(self.environment / "bin" / name)

    def written(self, name: str) -> tuple[str, ...]:
        """A script that lies in `files`."""
        return self._isolated(self.files / name)

    def _isolated(self, script: Path) -> tuple[str, ...]:
        """It keeps its own libraries: the instance's PYTHONPATH is for what it starts.

        Otherwise, a bug in click's own repository would be one in every scaffold that is made with click.
        """
        return (str(self.environment / "bin" / "python"), "-I", str(script))


@dataclass(frozen=True)
class Start:
    """A command, with the files and variables that it needs."""

    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Text by name."""


@dataclass(frozen=True)
class Recipe:
    """One foreign scaffold."""

    environment: Environment
    start: Callable[[Errand], Start]
    leaves: tuple[str, ...] = ()
    """What it leaves in a work tree beside its changes, as git's ignore rules name it."""


def _mini_swe_agent(errand: Errand) -> Start:
    """With its text-based actions: they ask nothing of the endpoint but text."""
    settings = (
        *("mini_textbased.yaml", "agent.mode=yolo", "agent.cost_limit=0", "agent.confirm_exit=false"),
        *("model.cost_tracking=ignore_errors", "model.model_kwargs.temperature=0"),
        *(f"model.model_kwargs.api_base={errand.base_url}", f"model.model_kwargs.api_key={KEY}"),
    )
    options = [option for setting in settings for option in ("--config", setting)]
    model = ("--model", f"openai/{errand.model}", "--model-class", "litellm_textbased")
    command = (*errand.program("mini"), *options, *model, "--yolo", "--exit-immediately", "--task", errand.task)
    quiet = {"MSWEA_CONFIGURED": "true", "MSWEA_SILENT_STARTUP": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Start(command, quiet)


def _aider(errand: Errand) -> Start:
    name = f"openai/{errand.model}"
    window = {"max_input_tokens": errand.context_tokens, "max_tokens": errand.context_tokens}
    free = {"input_cost_per_token": 0, "output_cost_per_token": 0, "litellm_provider": "openai", "mode": "chat"}
    tests = ("--test-cmd", errand.test_command, "--auto-test") if errand.test_command else ()
    # fmt: off
    command = (
        *errand.program("aider"), "--model", name, "--openai-api-base", errand.base_url, "--openai-api-key", KEY,
        "--model-metadata-file", str(errand.files / "metadata.json"), "--no-show-model-warnings",
        "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-suggest-shell-commands", "--no-detect-urls",
        "--no-pretty", "--no-stream", "--no-fancy-input", "--no-check-update", "--no-show-release-notes",
        "--analytics-disable", "--disable-playwright",
        "--chat-history-file", "/tmp/aider.chat.md", "--input-history-file", "/tmp/aider.input",
        *tests, "--message-file", str(errand.files / "task.md"),
    )
    # fmt: on
    files = {"task.md": errand.task, "metadata.json": json.dumps({name: window | free})}
    return Start(command, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, files)


def _mistral_vibe(errand: Errand) -> Start:
    """Its home must be writable, so the configuration is copied there first."""
    config = f"""
active_model = "model"
enable_telemetry = false
enable_update_checks = false

[[providers]]
name = "endpoint"
api_base = {json.dumps(errand.base_url)}
api_key_env_var = "ENDPOINT_KEY"
backend = "generic"

[[models]]
name = {json.dumps(errand.model)}
provider = "endpoint"
alias = "model"
max_context_length = {errand.context_tokens}
"""
    options = ("--auto-approve", "--trust", "--prompt-file", str(errand.files / "task.md"))
    copied = f'mkdir -p ~/.vibe && cp {errand.files}/config.toml ~/.vibe/config.toml && exec "$@"'
    command = ("bash", "-c", copied, "vibe", *errand.program("vibe"), "--prompt", *options)
    return Start(command, {"ENDPOINT_KEY": KEY}, {"config.toml": config, "task.md": errand.task})


def _gptme(errand: Errand) -> Start:
    tools = "shell,read,save,append,patch"
    options = ("--non-interactive", "--no-stream", "--tools", tools, "--tool-format", "markdown")
    command = (*errand.program("gptme"), *options, "--model", f"local/{errand.model}", "--workspace", ".", errand.task)
    return Start(command, {"OPENAI_BASE_URL": errand.base_url, "OPENAI_API_KEY": KEY})


def _openhands(errand: Errand) -> Start:
    order = {
        "task": errand.task,
        "model": f"openai/{errand.model}",
        "base_url": errand.base_url,
        "key": KEY,
        "context_tokens": errand.context_tokens,
    }
    driver = Path(__file__).with_name("openhands_driver.py").read_text(encoding="utf-8")
    command = (*errand.written("driver.py"), str(errand.files / "order.json"))
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENHANDS_SUPPRESS_BANNER": "1"}
    return Start(command, variables, {"driver.py": driver, "order.json": json.dumps(order)})


RECIPES: dict[str, Recipe] = {
    "mini-swe-agent": Recipe(
        Environment("mini-swe-agent", "3.12", ("mini-swe-agent==2.4.6",)),
        _mini_swe_agent,
    ),
    "aider": Recipe(
        Environment("aider", "3.12", ("aider-chat==0.86.2",)),
        _aider,
        leaves=(".aider*",),
    ),
    "mistral-vibe": Recipe(
        Environment("mistral-vibe", "3.12", ("mistral-vibe==3.0.2",)),
        _mistral_vibe,
    ),
    "gptme": Recipe(
        Environment("gptme", "3.12", ("gptme==0.35.1",)),
        _gptme,
    ),
    "openhands": Recipe(
        Environment("openhands", "3.12", ("openhands-sdk==1.58.0", "openhands-tools==1.58.0")),
        _openhands,
    ),
}
