"""Chunks of a streamed chat completion, and the completion that they add up to: the same words, streamed or not."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from patchwright.schema.messages import Json, Usage
from patchwright.serving.body import ChatBody
from patchwright.serving.problems import CUT_OFF, ENGINE, MALFORMED, Problem


def chunk(delta: Json, *, index: int = 0, finish_reason: str | None = None, logprobs: Json | None = None) -> Json:
    """Of one choice. What is the same in all chunks of an answer is added by the route."""
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {"choices": [choice if logprobs is None else choice | {"logprobs": logprobs}]}


def chunk_of_call(number: int, index: int) -> Json:
    return chunk({"tool_calls": [{"index": number, "function": {"arguments": "{}"}}]}, index=index)


def usage_chunk(usage: Usage) -> Json:
    return {"choices": [], "usage": usage_json(usage)}


def usage_json(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


class Completion:
    """What the chunks have said so far."""

    def __init__(self) -> None:
        self.usage: Json | None = None
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Json) -> None:
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            self._choices.setdefault(choice.get("index", 0), _Choice()).add(choice)

    def json(self) -> Json:
        """As the body of an answer that is not streamed."""
        choices = [self._choices[index].json(index) for index in sorted(self._choices)]
        return {"choices": choices, "usage": self.usage or usage_json(Usage())}

    def without_arguments(self, chunk: Json) -> list[Json]:
        """Chunks that complete the calls of choices which end with this one."""
        ended = [choice.get("index", 0) for choice in chunk.get("choices") or () if choice.get("finish_reason")]
        return [
            chunk_of_call(number, index) for index in ended for number in self._choices[index].calls_without_arguments()
        ]

    def check_end(self) -> None:
        """Raises Problem when an answer has not come to its end."""
        if not self._choices or not all(choice.ended for choice in self._choices.values()):
            raise Problem(ENGINE, "the engine ended its answer in the middle")

    def check(self, chunk: Json, body: ChatBody) -> None:
        """Raises Problem when a choice that ends with this chunk, which has been added, holds a call that is none."""
        for choice in chunk.get("choices") or ():
            if choice.get("finish_reason"):
                self._choices[choice.get("index", 0)].check(body)


class TextCompletion:
    """The same for /v1/completions."""

    def __init__(self) -> None:
        self.usage: Json | None = None
        self._choices: dict[int, Json] = {}

    def add(self, chunk: Json) -> None:
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            index = choice.get("index", 0)
            found = self._choices.setdefault(index, {"index": index, "text": "", "logprobs": None})
            found["text"] += choice.get("text") or ""
            found["logprobs"] = _joined(found["logprobs"], choice.get("logprobs"))
            found["finish_reason"] = choice.get("finish_reason") or found.get("finish_reason")

    def json(self) -> Json:
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {"choices": choices, "usage": self.usage or usage_json(Usage())}


def _joined(one: Json | None, other: Json | None) -> Json | None:
    """Logprobs: lists by name, in either of the shapes that OpenAI's protocol has had."""
    if one is None or other is None:
        return one or other
    return {name: [*(one.get(name) or ()), *(other.get(name) or ())] for name in one | other}


async def checked(chunks: AsyncGenerator[Json], body: ChatBody) -> AsyncGenerator[Json]:
    """The chunks. Raises Problem in the place of an end that would be a lie. Calls without arguments get empty ones."""
    completion = Completion()
    async with aclosing(chunks):
        async for each in chunks:
            completion.add(each)
            for missing in completion.without_arguments(each):
                completion.add(missing)
                yield missing
            completion.check(each, body)
            yield each
    completion.check_end()


class _Choice:
    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._calls: dict[int, Json] = {}
        self._logprobs: list[Json] = []
        self._finish_reason: str | None = None

    @property
    def ended(self) -> bool:
        return self._finish_reason is not None

    def calls_without_arguments(self) -> list[int]:
        """Some endpoints send nothing where a tool has no parameters."""
        if self._finish_reason == "length":
            return []
        return [number for number, call in self._calls.items() if not call["function"]["arguments"].strip()]

    def add(self, choice: Json) -> None:
        delta: Json = choice.get("delta") or {}
        for key, text in delta.items():
            if isinstance(text, str) and key != "role":
                self._texts[key] = self._texts.get(key, "") + text
        for piece in delta.get("tool_calls") or ():
            self._add_to_call(piece)
        logprobs: Json = choice.get("logprobs") or {}
        self._logprobs += logprobs.get("content") or ()
        self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def json(self, index: int) -> Json:
        message: Json = {"role": "assistant", "content": None} | self._texts
        if self._calls:
            message["tool_calls"] = [self._calls[number] for number in sorted(self._calls)]
        elif message["content"] is None:
            message["content"] = ""
        logprobs = {"content": self._logprobs} if self._logprobs else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self._finish_reason}

    def check(self, body: ChatBody) -> None:
        for number in sorted(self._calls):
            function = self._calls[number]["function"]
            if problem := _problem(function["arguments"]):
                self._refuse(f"the call of {function['name']} is cut off or malformed: {problem}")
        if self._finish_reason == "tool_calls" and not self._calls:
            self._refuse("the engine says that it has called a tool, and gives no call")
        named = body.named_tool
        if body.must_call and not self._calls:
            self._refuse("no tool was called, although tool_choice asks for it")
        others = {call["function"]["name"] for call in self._calls.values()} - {named}
        if named and others:
            self._refuse(f"{', '.join(sorted(others))} was called, although tool_choice names {named}")

    def _refuse(self, message: str) -> None:
        if self._finish_reason == "length":
            way_out = "ask with a larger one, if the server allows it"
            raise Problem(CUT_OFF, f"{message}; the answer ended at its limit of tokens: {way_out}")
        raise Problem(MALFORMED, message)

    def _add_to_call(self, piece: Json) -> None:
        call = self._calls.setdefault(
            piece.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        function: Json = piece.get("function") or {}
        call["id"] = call["id"] or piece.get("id") or ""
        call["function"]["name"] = call["function"]["name"] or function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


def _problem(arguments: str) -> str:
    """What keeps the arguments from being a JSON object; empty when nothing does."""
    try:
        return "" if isinstance(json.loads(arguments), dict) else "its arguments are no object"
    except (ValueError, RecursionError) as error:
        return f"its arguments are no JSON: {str(error).lower()}"
