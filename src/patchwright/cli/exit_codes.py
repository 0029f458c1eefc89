"""Exit codes, the same for every command. docs/cli.md states them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from patchwright.errors import ConfigError, PatchwrightError, RecordError, RepositoryError

if TYPE_CHECKING:  # `patchwright --help` must not wait for pydantic
    from patchwright.schema.events import ResolveFinished, StopReason

DONE = 0
UNPROVEN = 1
"""`patchwright resolve` found a patch that nothing verifies."""
USAGE = 2
INFRASTRUCTURE = 3
LIMIT_REACHED = 4
REFUSED = 5
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

_OF_REASON: dict[StopReason, int] = {
    "done": DONE,
    "step_limit": LIMIT_REACHED,
    "time_limit": LIMIT_REACHED,
    "token_limit": LIMIT_REACHED,
    "malformed_calls": LIMIT_REACHED,
    "stuck": LIMIT_REACHED,
    "refused": REFUSED,
    "interrupted": INTERRUPTED,
    "infrastructure": INFRASTRUCTURE,
}


def exit_code_of(error: PatchwrightError) -> int:
    """What the user asked for wrongly is USAGE; what the machine or an endpoint did is INFRASTRUCTURE."""
    usage = isinstance(error, ConfigError | RecordError | RepositoryError)
    return USAGE if usage else INFRASTRUCTURE


def exit_code_for_resolution(finished: ResolveFinished) -> int:
    if finished.reason == "interrupted":
        return INTERRUPTED
    if finished.candidate is None:
        return INFRASTRUCTURE if finished.reason == "infrastructure" else LIMIT_REACHED
    return DONE if finished.word == "verified" else UNPROVEN


def exit_code_for(reason: StopReason) -> int:
    return _OF_REASON[reason]
