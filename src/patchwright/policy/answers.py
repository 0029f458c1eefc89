"""Several whole answers to one request, read from a chat completion that was not streamed."""

from pydantic import Field, ValidationError

from patchwright.errors import EngineError
from patchwright.policy.completion import Wire, WireUsage, usage_of
from patchwright.schema.messages import Answer, Answers


class _Token(Wire):
    logprob: float = 0.0


class _Logprobs(Wire):
    content: list[_Token] | None = None


class _Message(Wire):
    content: str | None = None


class _Choice(Wire):
    message: _Message = _Message()
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Completion(Wire):
    choices: list[_Choice] = Field(default_factory=list[_Choice])
    usage: WireUsage = WireUsage()


def read_answers(body: bytes) -> Answers:
    """Raises EngineError when `body` is no chat completion."""
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError:
        raise EngineError(f"the endpoint sent what is no chat completion: {body[:200]!r}") from None
    if not completion.choices:
        raise EngineError("the endpoint sent a chat completion without an answer")
    return Answers(answers=tuple(map(_answer, completion.choices)), usage=usage_of(completion.usage))


def _answer(choice: _Choice) -> Answer:
    tokens = (choice.logprobs.content if choice.logprobs else None) or []
    mean = sum(token.logprob for token in tokens) / len(tokens) if tokens else None
    return Answer(text=choice.message.content or "", logprob=mean, complete=choice.finish_reason != "length")
