"""A model that answers whatever is asked with one call of one tool."""

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.models.checkpoint.checkpoint import Checkpoint
from patchwright.models.checkpoint.tiny import scripted_checkpoint, tiny_decoder
from patchwright.schema.messages import Request, UserMessage

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}
ARGUMENTS = '{"a": 1}'


def one_call_checkpoint(tokens: MistralTokens) -> Checkpoint:
    """Of Devstral's architecture, and tiny."""
    end_of_turn = tokens.prompt(Request(messages=(UserMessage(content="hi"),)))[-1]
    answer = [tokens.tool_calls, *tokens.encoded("add"), tokens.args, *tokens.encoded(ARGUMENTS), tokens.end]
    return scripted_checkpoint(tiny_decoder(width=256, layers=2), [end_of_turn, *answer], seed=0)
