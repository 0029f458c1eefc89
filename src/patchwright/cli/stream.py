"""An event stream on its way to the user."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from patchwright.agent.sessions import Session
from patchwright.cli.views import View
from patchwright.schema.events import AnyEvent, ResolveFinished, RunFinished

E = TypeVar("E", RunFinished, ResolveFinished)


async def followed(events: AsyncGenerator[AnyEvent], session: Session, view: View, last: type[E]) -> E:
    """The first event of the kind that is the last. Each is stored before it is shown: what a user has seen is never
    lost."""
    async with aclosing(events):
        async for event in events:
            session.append(event)
            view.show(event)
            if isinstance(event, last):
                return event
    raise AssertionError(f"the stream ends with {last.__name__}")
