"""The chat templates for who renders by one: in Jinja, as GGUF files of ours carry it, and in Go's."""

from importlib.resources import files


def chat_template() -> str:
    """Jinja. Where no text looks like a control token it gives what `MistralTokens` does."""
    return (files("patchwright.chat.mistral") / "devstral.jinja").read_text(encoding="utf-8")


def ollama_template() -> str:
    """Go's template language with Ollama's variables, as its Modelfile has it. Gives what `chat_template` does, but
    begins with no <s>, which Ollama adds."""
    return (files("patchwright.chat.mistral") / "devstral.gotmpl").read_text(encoding="utf-8").rstrip("\n")
