"""How Devstral's conversations are written: the order of tokens of Mistral's tokenizer v13."""

from importlib.resources import files

CHAT_TEMPLATE = (files("patchwright.chat") / "devstral.jinja").read_text(encoding="utf-8")
"""For engines that render by a template: a GGUF file carries it."""
