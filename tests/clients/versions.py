"""Which clients are tested, and in which versions. docs/clients.md names the same."""

from patchwright.evals.scaffolds.environment import Environment
from patchwright.evals.scaffolds.recipes import RECIPES
from tests.clients.npm import NpmPackage

CLIENTS: dict[str, Environment | NpmPackage] = {
    "openai": Environment("openai", "3.12", ("openai==3.54.0",)),
    "openai-agents": Environment("openai-agents", "3.12", ("openai-agents==0.24.0",)),
    "langchain": Environment("langchain", "3.12", ("langchain==1.4.7", "langchain-openai==1.7.3")),
    "openhands": RECIPES["openhands"].environment,
    "aider": RECIPES["aider"].environment,
    # Its litellm imports mcp when it is given tools, and does not bring it.
    "mini-swe-agent": Environment(
        "mini-swe-agent", "3.12", ("mini-swe-agent==2.4.6", "litellm==1.106.2", "mcp==2.3.0")
    ),
    "mistral-vibe": RECIPES["mistral-vibe"].environment,
    "cline": NpmPackage("cline", "3.0.65"),
    "opencode": NpmPackage("opencode-ai", "1.18.33"),
    "codex": NpmPackage("@openai/codex", "0.169.0"),
}


def requirements(name: str) -> tuple[str, ...]:
    """As a package manager is told them."""
    match CLIENTS[name]:
        case NpmPackage(name=package, version=version):
            return (f"{package}@{version}",)
        case Environment(requirements=pinned):
            return pinned
