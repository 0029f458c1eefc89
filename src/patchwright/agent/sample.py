"""One policy call as events."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from patchwright.agent.deadline import Deadline
from patchwright.errors import EngineError
from patchwright.policy.base import Policy
from patchwright.schema.events import AnyEvent, Replied, StepFailed, TextArrived
from patchwright.schema.messages import Reply, Request, TextDelta


async def sample(policy: Policy, request: Request, deadline: Deadline) -> AsyncGenerator[AnyEvent]:
    """The answer's text as it arrives, then Replied, or StepFailed. Raises Stopped."""
    sent = time.monotonic()
    first_token_s: float | None = None
    try:
        async with aclosing(policy.stream(request)) as deltas:
            while delta := await deadline.within(anext(deltas, None)):
                elapsed_s = time.monotonic() - sent
                first_token_s = elapsed_s if first_token_s is None else first_token_s
                if isinstance(delta, TextDelta):
                    yield TextArrived(text=delta.text)
                else:
                    yield _replied(delta, first_token_s, elapsed_s)
    except EngineError as error:
        yield StepFailed(error=str(error))


def _replied(reply: Reply, first_token_s: float, duration_s: float) -> Replied:
    return Replied(
        message=reply.message,
        usage=reply.usage,
        finish_reason=reply.finish_reason,
        problem=reply.problem,
        first_token_s=first_token_s,
        duration_s=duration_s,
    )
