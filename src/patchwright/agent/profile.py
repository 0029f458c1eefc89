"""A profile: how to work with a kind of model. Its prompt, its tools, how it calls them, and how it is sampled."""

from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from patchwright.errors import ConfigError
from patchwright.schema.messages import Calling, Sampling


class Profile(BaseModel):
    """What the agent needs to know about a model. The prompt is `profiles/<name>.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    calling: Calling
    tools: tuple[str, ...]
    sampling: Sampling
    reply_tokens: int
    """What one reply may hold at most; that much of the window is kept free for it."""
    observation_chars: int
    """What one observation may hold at most."""
    shows_mentioned_files: bool
    """Whether files that the task or the failing tests name are shown with the task: saves weak models steps."""
    tests_after_edit: bool
    """Whether the test command runs after each edit, its result shown in the edit's observation. When it failed on
    the untouched tree and passes now, the run is done."""

    def prompt(self) -> str:
        return files("patchwright.agent").joinpath("profiles", f"{self.name}.md").read_text(encoding="utf-8")


DEVSTRAL = Profile(
    name="devstral",
    calling="native",
    # Devstral learned to act in OpenHands' CodeAct scaffold: these names and fields are what it knows.
    tools=("execute_bash", "str_replace_editor", "search", "think", "plan", "finish"),
    sampling=Sampling(temperature=0.15),
    reply_tokens=8192,
    observation_chars=30_000,
    shows_mentioned_files=False,
    tests_after_edit=False,
)
SMALL = Profile(
    name="small",
    calling="json",
    tools=("edit", "execute_bash", "search", "finish"),
    sampling=Sampling(temperature=0.0),
    reply_tokens=1024,
    observation_chars=4_000,
    shows_mentioned_files=True,
    tests_after_edit=True,
)
PROFILES = {profile.name: profile for profile in (DEVSTRAL, SMALL)}


def profile_named(name: str) -> Profile:
    """Raises ConfigError."""
    if name not in PROFILES:
        raise ConfigError(f"there is no profile {name!r}", hint=f"profiles: {', '.join(PROFILES)}")
    return PROFILES[name]
