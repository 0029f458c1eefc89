"""What an engine's log says about a model that it could not load."""

import re

_REASONS = (
    re.compile(r"error loading model: (?!llama_model_loader: failed to load model)(?P<reason>.+)"),
    re.compile(r"(?P<reason>failed to allocate .+|unable to allocate .+|.*not enough memory.*)"),
    re.compile(r" E (?:\S+\s+)?\S+: (?P<reason>.+)"),
    re.compile(r"^(?P<reason>[\w.]*Error\b.*)", re.MULTILINE),
    # One of vLLM's processes.
    re.compile(r"^\(\w+ pid=\d+\) .*?[\s\]](?P<reason>\w*Error: .+)", re.MULTILINE),
)
"""The most telling kind of line first."""


def failure_in(log: str) -> str | None:
    """The reason in one line, or None when the log gives none."""
    for pattern in _REASONS:
        if match := pattern.search(log):
            return match["reason"].strip()
    return None
