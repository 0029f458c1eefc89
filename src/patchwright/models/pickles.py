"""Weights as pickles, which can run any program when they are loaded: they are never read."""

from pathlib import Path

from patchwright.errors import ModelError

_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def missing(weights: Path) -> ModelError:
    """What to say where these safetensors are not: a pickle beside them is no substitute."""
    pickles = (found for pattern in _PATTERNS for found in sorted(weights.parent.glob(pattern)))
    if pickle := next(pickles, None):
        return ModelError(
            f"{pickle} is a pickle, which can run any program when it is loaded: it is not read",
            hint="publishers offer the same weights as safetensors",
        )
    return ModelError(f"{weights} is missing", hint="fetch it again: every part is needed")
