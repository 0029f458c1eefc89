"""`patchwright model generate`: what the publisher's own code makes of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from patchwright.cli.checkpoints import libraries


def generate(
    weights: Annotated[Path, typer.Argument(help="A directory in Mistral's format.")],
    text: Annotated[str, typer.Argument(help="What the user says; - reads stdin.")],
    system: Annotated[Path | None, typer.Option(help="A file with the system prompt; none is made up.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1)] = 128,
    temperature: Annotated[
        float, typer.Option(min=0, help="0: the likeliest token each time; else among the likeliest 80 %.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Tokens and log-probabilities, too.")] = False,
) -> None:
    """Let mistral-inference, the publisher's own code, answer: what every engine should say to the same.

    It loads the weights whole and anew each time. Control tokens are shown by their names.
    """
    import asyncio
    import signal
    import sys

    from patchwright.config import load_settings
    from patchwright.engines.installation import Installation
    from patchwright.engines.mistral_inference import MistralInference
    from patchwright.errors import ConversationError, ModelError
    from patchwright.schema.messages import Request, SystemMessage, UserMessage

    with libraries():
        from patchwright.chat.mistral.tokens import MistralTokens

    engine = MistralInference(weights, Installation(load_settings().data_dir / "engines", "mistral-inference"))
    tokens = MistralTokens(weights / "tekken.json")
    said = UserMessage(content=sys.stdin.read() if text == "-" else text)
    messages = (SystemMessage(content=_read(system)), said) if system else (said,)
    try:
        prompt = tokens.prompt(Request(messages=messages))
    except ConversationError as error:
        raise ModelError(str(error)) from None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the program would live on
    generated = asyncio.run(
        engine.generate(prompt, end=tokens.end, max_tokens=max_tokens, temperature=temperature, seed=seed)
    )
    typer.echo(generated.model_dump_json(indent=2) if as_json else tokens.decoded(generated.tokens))


def _read(path: Path) -> str:
    from patchwright.errors import ModelError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "is not in UTF-8"
        raise ModelError(f"--system: {path}: {reason}") from None
