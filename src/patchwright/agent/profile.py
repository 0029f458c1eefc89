"""A profile: how to work with a kind of model. Its prompt, its tools, how it calls them, and how it is sampled."""

from importlib.resources import files
from string import Template

from pydantic import BaseModel, ConfigDict

from patchwright.errors import ConfigError
from patchwright.schema.messages import Calling, Sampling

HOTTEST = 0.7


class Profile(BaseModel):
    """What the agent needs to know about a model. How to work is said in `profiles/<name>.md`."""

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
    the untouched tree, the run is done as soon as it passes."""
    starts_afresh: bool
    """Whether failures leave the files and the history again: an edit after which the tests fail as they did before,
    and the second failed call in a row. Weak models correct a wrong edit worse than they make another."""
    warming: float
    """What each failed call in a row adds to the temperature, up to HOTTEST: the same draw would fail the same way."""
    told_where: bool
    """Whether the prompt ends with where the model is at work: `profiles/environment.md`."""
    published_prompt: str | None = None
    """The system prompt that came with the weights. It takes the place of our words about how to work."""

    def sampling_after(self, failures: int) -> Sampling:
        """How to sample when that many calls in a row have failed."""
        base = self.sampling.temperature
        if base is None or not failures:
            return self.sampling
        return self.sampling.model_copy(update={"temperature": max(base, min(HOTTEST, base + failures * self.warming))})

    def prompt(self, work_tree: str) -> str:
        how = self.published_prompt or _text(self.name)
        where = Template(_text("environment")).substitute(work_tree=work_tree) if self.told_where else ""
        return f"{how.strip()}\n\n{where}".strip()


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
    starts_afresh=False,
    warming=0.0,
    told_where=True,
)
SMALL = Profile(
    name="small",
    calling="json",
    tools=("edit", "execute_bash", "search", "finish"),
    sampling=Sampling(temperature=0.3),
    reply_tokens=1024,
    observation_chars=4_000,
    shows_mentioned_files=True,
    tests_after_edit=True,
    starts_afresh=True,
    warming=0.1,
    told_where=False,
)
PROFILES = {profile.name: profile for profile in (DEVSTRAL, SMALL)}


def profile_named(name: str) -> Profile:
    """Raises ConfigError."""
    if name not in PROFILES:
        raise ConfigError(f"there is no profile {name!r}", hint=f"profiles: {', '.join(PROFILES)}")
    return PROFILES[name]


def _text(name: str) -> str:
    return files("patchwright.agent").joinpath("profiles", f"{name}.md").read_text(encoding="utf-8")
