"""A GGUF file made ready for other programs: a Modelfile for Ollama, a place among LM Studio's models."""

import shutil
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.checkpoint.draft import appearing

LM_STUDIO_MODELS = Path("~/.lmstudio/models")
"""Where LM Studio looks, as publisher/model/file.gguf: https://lmstudio.ai/docs/basics/import-model"""

_QUOTES = '"""'


def modelfile(model: Path, context_tokens: int, temperature: float, template: str | None, system: str | None) -> str:
    """What `ollama create NAME -f FILE` reads: https://github.com/ollama/ollama/blob/main/docs/modelfile.md

    `template` is Go's, None where Ollama shall take what it finds in the file. Raises ModelError when a text cannot be
    quoted.
    """
    lines = [
        f"FROM {model.absolute()}",
        f"PARAMETER num_ctx {context_tokens}",
        f"PARAMETER temperature {temperature:g}",
    ]
    if template is not None:
        lines.append(f"TEMPLATE {_quoted(template)}")
    if system is not None:
        lines.append(f"SYSTEM {_quoted(system)}")
    return "\n".join(lines) + "\n"


def place_for_lm_studio(model: Path, models: Path, name: str, *, copy: bool) -> Path:
    """The file as `models`/publisher/model/file.gguf, linked to where it lies, or copied.

    `name` is publisher/model, or the model alone: then we are the publisher. Raises ModelError when something else is
    there, and when it cannot be written.
    """
    publisher, _, title = name.rpartition("/")
    target = models.expanduser() / (publisher or "patchwright") / title / model.name
    if target.exists() and not target.samefile(model):
        raise ModelError(f"{target} is there already", hint="name another with --name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.unlink(missing_ok=True)  # a link to what is gone
            if copy:
                with appearing(target, model.stat().st_size) as draft:
                    shutil.copy2(model, draft)
            else:
                target.symlink_to(model.absolute())
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None
    return target


def _quoted(text: str) -> str:
    if _QUOTES in text:
        raise ModelError("a text with three quotation marks cannot be written into a Modelfile")
    return f"{_QUOTES}{text}{_QUOTES}"
