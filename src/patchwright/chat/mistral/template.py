"""The chat template that GGUF files of ours carry, for engines and people who render by one."""

from importlib.resources import files


def chat_template() -> str:
    """Jinja. Where no text looks like a control token it gives what `MistralTokens` does."""
    return (files("patchwright.chat.mistral") / "devstral.jinja").read_text(encoding="utf-8")
