"""What happens in a run, as a stream of events. Every front end, log and data set is a fold over it."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from patchwright.schema.messages import AssistantMessage, FinishReason, Message, ToolMessage, Usage
from patchwright.schema.record import Record
from patchwright.schema.resolution import (
    Candidate,
    CandidateSource,
    Location,
    Reproduction,
    SuiteRun,
    Verdict,
    Word,
)

StopReason = Literal[
    "done",
    "step_limit",
    "time_limit",
    "token_limit",
    "malformed_calls",
    "stuck",
    "refused",
    "interrupted",
    "infrastructure",
]
"""Why a run ended. `done`: the policy called finish and, where tests were given, they passed."""


ResolveReason = Literal["done", "time_limit", "token_limit", "interrupted", "infrastructure"]
"""Why a resolution ended. `done`: a candidate was verified, or there was nothing left to try with."""
ResolveWord = Word | Literal["none"]
"""What the selected patch is worth, or that there is none."""


class RunStarted(Record):
    kind: Literal["run_started"] = "run_started"
    task: str
    profile: str
    model: str
    work_tree: str
    sandbox: str


class MessageAdded(Record):
    """A message that the policy did not write joined the history."""

    kind: Literal["message_added"] = "message_added"
    message: Message


class StepStarted(Record):
    """`prompt_tokens` is what the request is expected to hold, counted before it is sent."""

    kind: Literal["step_started"] = "step_started"
    step: int
    prompt_tokens: int


class TextArrived(Record):
    """Text of the reply in progress, for showing: Replied repeats it whole."""

    kind: Literal["text_arrived"] = "text_arrived"
    text: str


class Replied(Record):
    """The policy's answer joined the history. `first_token_s` and `duration_s` count from sending."""

    kind: Literal["replied"] = "replied"
    message: AssistantMessage
    usage: Usage
    finish_reason: FinishReason
    problem: str | None = None
    first_token_s: float
    duration_s: float


class StepFailed(Record):
    """The endpoint failed during a step; the text that had arrived is void. The step is tried once more."""

    kind: Literal["step_failed"] = "step_failed"
    error: str


class ToolStarted(Record):
    kind: Literal["tool_started"] = "tool_started"
    call_id: str
    name: str
    arguments: str


class ToolFinished(Record):
    """The observation joined the history. `failed`: the call did not do what was asked; `malformed`: it could
    not even be read."""

    kind: Literal["tool_finished"] = "tool_finished"
    message: ToolMessage
    duration_s: float
    failed: bool = False
    malformed: bool = False
    finished: bool = False
    """The run is over: the policy called finish, and the tests, where there are any, passed."""
    diff: str = ""
    """For an edit: the change as a unified diff, for showing."""


class StepTakenBack(Record):
    """The step came to nothing and left the history again, of which the first `kept_messages` stay."""

    kind: Literal["step_taken_back"] = "step_taken_back"
    kept_messages: int


class HistoryCompacted(Record):
    """The history was replaced as a whole; the next request shares no prefix with the last."""

    kind: Literal["history_compacted"] = "history_compacted"
    messages: tuple[Message, ...]
    tokens_before: int
    tokens_after: int


class SnapshotTaken(Record):
    """The work tree was recorded. `tree` names its contents: the same for the same files."""

    kind: Literal["snapshot_taken"] = "snapshot_taken"
    snapshot: str
    tree: str
    label: str


class TestsRun(Record):
    """The user's test command was run, on the untouched tree (`before`) or on the changed one (`after`)."""

    __test__ = False  # not a test class, whatever its name says to pytest

    kind: Literal["tests_run"] = "tests_run"
    when: Literal["before", "after"]
    command: str
    exit_code: int
    output: str
    duration_s: float


class RunFinished(Record):
    """`message` is the policy's own closing word; `patch` is a unified diff that `git apply` takes."""

    kind: Literal["run_finished"] = "run_finished"
    reason: StopReason
    message: str
    patch: str
    steps: int
    usage: Usage
    duration_s: float


class IssueRead(Record):
    """A resolution began, or was taken up again."""

    kind: Literal["issue_read"] = "issue_read"
    issue: str
    model: str
    work_tree: str
    test_command: str | None
    tests_given: bool
    """Whether the user named the tests, or they were found."""
    time_limit_s: float
    tree: str = ""
    """Names the work tree's contents, as in SnapshotTaken; empty where nobody looked."""


class BaselineRun(Record):
    """The user's test command ran on the untouched tree. `flaky` tests differed when it ran again."""

    kind: Literal["baseline_run"] = "baseline_run"
    suite: SuiteRun
    flaky: tuple[str, ...] = ()
    stable: bool | None = True
    """False when the command itself passed once and failed once, None when it ran only once."""


class Localised(Record):
    """Where the fault may be, the likeliest place first."""

    kind: Literal["localised"] = "localised"
    locations: tuple[Location, ...]


class Reproduced(Record):
    """What will tell whether a candidate resolves the issue; without one, `problem` says why there is none."""

    kind: Literal["reproduced"] = "reproduced"
    reproduction: Reproduction | None
    problem: str = ""


class Proposed(Record):
    """A candidate was made, or one of before was made again: then `duplicate_of` is its id."""

    kind: Literal["proposed"] = "proposed"
    candidate: Candidate
    duplicate_of: int | None = None
    source: CandidateSource | None = None
    """Who proposed it this time; None in older records, where it is taken to be who made the candidate."""


class Sampled(Record):
    """The policy was asked for answers. `duration_s` is how long it took to give them."""

    kind: Literal["sampled"] = "sampled"
    asked: str
    """What for: "reproduction", "rewrite of parse", "line 7 of parse"."""
    ask: int | None = None
    """Which ask of the pipeline's order it answers, from 1; None for what is in no order."""
    policy_calls: int = 1
    """More where an answer is a rollout of the agent."""
    answers: int
    unusable: int = 0
    """So many of them could not be used."""
    problems: tuple[str, ...] = ()
    """Why not, each reason once."""
    usage: Usage
    duration_s: float


class Judged(Record):
    kind: Literal["judged"] = "judged"
    verdict: Verdict


class ResolveFinished(Record):
    """The end of a resolution: the selected patch and what it is worth, or none."""

    kind: Literal["resolve_finished"] = "resolve_finished"
    word: ResolveWord
    reason: ResolveReason
    candidate: int | None
    patch: str
    why: str
    """Why this candidate won, or why there is none."""
    seconds: dict[str, float]
    """How long each stage took."""
    usage: Usage
    duration_s: float


AnyEvent = (
    RunStarted
    | MessageAdded
    | StepStarted
    | TextArrived
    | Replied
    | StepFailed
    | ToolStarted
    | ToolFinished
    | StepTakenBack
    | HistoryCompacted
    | SnapshotTaken
    | TestsRun
    | RunFinished
    | IssueRead
    | BaselineRun
    | Localised
    | Reproduced
    | Proposed
    | Sampled
    | Judged
    | ResolveFinished
)
Event = Annotated[AnyEvent, Field(discriminator="kind")]
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Event)
