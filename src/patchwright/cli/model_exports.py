"""`patchwright model export-ollama` and `export-lmstudio`: our model files for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from patchwright.models.export import LM_STUDIO_MODELS

Name = Annotated[str, typer.Argument(help="A name from `patchwright model list`, a .gguf file, or hf:owner/repo/file.")]

DEVSTRALS_TEMPERATURE = 0.15
"""From its model card."""


def export_ollama(
    name: Name,
    target: Annotated[Path, typer.Argument(help="The Modelfile to write. It must not be there.")] = Path("Modelfile"),
    context_tokens: Annotated[
        int | None, typer.Option("--context", min=256, help="Tokens of the window; default 32768, or the model's own.")
    ] = None,
    system: Annotated[Path | None, typer.Option(help="A file with the system prompt.")] = None,
) -> None:
    """Write an Ollama Modelfile: where the model lies, its template, its temperature and a window that is long enough.

    The window has to be in there: Ollama's is 4096 tokens or so, and its OpenAI route takes no other.
    """
    from patchwright.chat.mistral.template import ollama_template
    from patchwright.engines.llama_cpp_settings import CONTEXT_TOKENS
    from patchwright.errors import ModelError
    from patchwright.models.export import modelfile
    from patchwright.models.gguf_file import read_gguf
    from patchwright.models.tokenizer import has_devstrals_tokens

    if target.exists():
        raise ModelError(f"{target} is there already", hint="name another file")
    path = _file(name)
    info = read_gguf(path)
    template = ollama_template() if has_devstrals_tokens(path) else None
    if context_tokens and context_tokens > info.context_tokens:
        raise ModelError(f"the model has a window of {info.context_tokens} tokens, not {context_tokens}")
    text = modelfile(
        path,
        context_tokens or min(info.context_tokens, CONTEXT_TOKENS),
        DEVSTRALS_TEMPERATURE if template else _temperature(name),
        template,
        _text_of(system) if system else None,
    )
    target.write_text(text, encoding="utf-8")
    if template is None:
        typer.echo("no template is written: Ollama takes the file's own where it knows it", err=True)
    typer.echo(target)


def export_lmstudio(
    name: Name,
    models: Annotated[Path, typer.Option(help="LM Studio's directory of models.")] = LM_STUDIO_MODELS,
    title: Annotated[
        str | None, typer.Option("--name", help="PUBLISHER/MODEL as LM Studio shows it; default patchwright/FILE.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the file instead of linking to it.")] = False,
) -> None:
    """Put a model where LM Studio looks for models: a link to it, in the directories that LM Studio wants."""
    from patchwright.models.export import place_for_lm_studio

    path = _file(name)
    typer.echo(place_for_lm_studio(path, models, title or path.stem, copy=copy))


def _file(name: str) -> Path:
    from patchwright.config import load_settings
    from patchwright.errors import ModelError
    from patchwright.models.reference import resolve
    from patchwright.models.store import ModelStore

    path = ModelStore(load_settings().data_dir / "models").find(resolve(name))
    if path is None:
        raise ModelError(f"the model {name} is not on this machine", hint=f"`patchwright model pull {name}`")
    if path.is_dir():
        raise ModelError(f"{path} is no GGUF file", hint="`patchwright model convert` writes one")
    return path


def _text_of(path: Path) -> str:
    from patchwright.errors import ModelError

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not in UTF-8") from None


def _temperature(name: str) -> float:
    from patchwright.models.catalogue import CatalogueEntry
    from patchwright.models.reference import resolve

    reference = resolve(name)
    if isinstance(reference, CatalogueEntry):
        return reference.temperature
    return float(CatalogueEntry.model_fields["temperature"].default)
