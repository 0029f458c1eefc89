"""`patchwright model inspect`, `convert` and what else is done to weights in the formats of Mistral's models."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from patchwright.errors import ModelError

if TYPE_CHECKING:
    from patchwright.models.checkpoint.checkpoint import Checkpoint

FormatName = Literal["mistral", "hf", "gguf"]

_USUAL: dict[FormatName, str] = {"mistral": "bf16", "hf": "bf16", "gguf": "q4_k_m"}
"""The number type that is usual for each format."""
_TINY: dict[FormatName, str] = {"mistral": "mistral", "hf": "hf", "gguf": "tiny.gguf"}
_OUR_TEMPLATE_IS_FOR = "v13"

Source = Annotated[Path, typer.Argument(help="A directory in Mistral's or Hugging Face's format, or a .gguf file.")]
Target = Annotated[Path, typer.Argument(help="What to write: a directory, or a .gguf file. It must not be there.")]
To = Annotated[
    FormatName | None, typer.Option(help="The format; by default gguf for a .gguf file, else the source's or mistral.")
]
NumberType = Annotated[
    str | None, typer.Option("--type", help="f32, f16 or bf16; for gguf also q8_0, q6_k, q5_k_m, q4_k_m, q4_1, q4_0.")
]
From = Annotated[FormatName | None, typer.Option("--from", help="Which format to read, where a directory holds two.")]
AdapterDirectory = Annotated[Path, typer.Argument(help="A LoRA adapter as PEFT saves it.")]


def inspect(
    path: Source,
    source_format: From = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Say what weights are: their architecture, tokenizer, number types, window, and what looks wrong with them.

    Reads headers only. Exit code 1 when something looks wrong.
    """
    with libraries():
        from patchwright.models.checkpoint.inspect import inspected

        inspection = inspected(path, source_format)
    if as_json:
        typer.echo(inspection.model_dump_json(indent=2))
    else:
        from patchwright.cli.checkpoint_views import print_inspection

        print_inspection(inspection)
    raise typer.Exit(1 if inspection.problems else 0)


def convert(
    source: Source, target: Target, to: To = None, number_type: NumberType = None, source_format: From = None
) -> None:
    """Write a checkpoint in another format or another number type.

    Mistral's own format, Hugging Face's and GGUF hold the same model; between the unquantised ones nothing is lost.
    Weights are read and written in blocks: little memory is taken, whatever the model's size.
    """
    with _opened(source, source_format) as checkpoint:
        _write(checkpoint, target, to, number_type)
    typer.echo(target)


def strip_vision(
    source: Source, target: Target, to: To = None, number_type: NumberType = None, source_format: From = None
) -> None:
    """Write the text-only decoder of a Mistral-Small-3.1 checkpoint, as Devstral was made.

    Its vision tower and its projector are left out; what it says to text stays the same.
    """
    with _opened(source, source_format) as checkpoint:
        _write(checkpoint.text_only(), target, to, number_type)
    typer.echo(target)


def merge(
    source: Source,
    adapter: AdapterDirectory,
    target: Target,
    to: To = None,
    number_type: NumberType = None,
    source_format: From = None,
) -> None:
    """Write a checkpoint with a LoRA adapter merged into it."""
    with _opened(source, source_format) as checkpoint, ExitStack() as files:
        from patchwright.models.checkpoint.adapter import merged, open_adapter

        opened = open_adapter(adapter, checkpoint.decoder, files)
        _write(merged(checkpoint, opened), target, to, number_type)
    typer.echo(target)


def export_adapter(
    source: Source,
    adapter: AdapterDirectory,
    target: Annotated[Path, typer.Argument(help="The .gguf file to write. It must not be there.")],
    source_format: From = None,
) -> None:
    """Write a LoRA adapter as the GGUF file that llama.cpp applies at run time.

    SOURCE is the model that the adapter is for.
    """
    with _opened(source, source_format) as checkpoint, ExitStack() as files:
        from patchwright.models.checkpoint.adapter import open_adapter, write_gguf_adapter
        from patchwright.models.checkpoint.draft import appearing

        opened = open_adapter(adapter, checkpoint.decoder, files)
        with appearing(target) as draft:
            write_gguf_adapter(opened, draft)
    typer.echo(target)


def make_tiny(
    directory: Annotated[
        Path, typer.Argument(help="Where to write mistral/, hf/ and tiny.gguf; it must not be there.")
    ],
    width: Annotated[int, typer.Option("--dim", min=128, help="Length of an embedding, a multiple of 128.")] = 256,
    layers: Annotated[int, typer.Option(min=1)] = 2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same weights.")] = 0,
    number_type: Annotated[Literal["bf16", "f16", "f32"], typer.Option("--type")] = "bf16",
) -> None:
    """Write a model of Devstral's architecture with its tokenizer and random weights, in three formats.

    It answers nonsense. What loads, renders and serves it does the same with Devstral itself.
    """
    if width % 128:
        raise ModelError(f"a width of {width} is not a multiple of 128")
    with libraries():
        from patchwright.models.checkpoint.draft import appearing
        from patchwright.models.checkpoint.tiny import random_checkpoint, tiny_decoder

        checkpoint = random_checkpoint(tiny_decoder(width=width, layers=layers), seed=seed)
        with appearing(directory) as draft:
            draft.mkdir()
            for form, name in _TINY.items():
                _write(checkpoint, draft / name, form, number_type)
    typer.echo(directory)


def _write(checkpoint: Checkpoint, target: Path, to: FormatName | None, number_type: str | None) -> None:
    from patchwright.chat.mistral.template import chat_template
    from patchwright.cli.model_progress import showing_progress
    from patchwright.models.checkpoint.convert import convert
    from patchwright.models.progress import Progress

    form = to or ("gguf" if target.suffix == ".gguf" else "hf" if checkpoint.format == "hf" else "mistral")
    ours = chat_template() if checkpoint.tekken and checkpoint.tekken.version == _OUR_TEMPLATE_IS_FOR else None
    total_bytes = sum(tensor.size_bytes for tensor in checkpoint.tensors.values())
    with showing_progress() as on_progress:

        def on_bytes(done_bytes: int) -> None:
            on_progress(Progress("converting", target.name, str(checkpoint.path), done_bytes, total_bytes))

        convert(
            checkpoint,
            target,
            form,
            number_type or _USUAL[form],
            chat_template=checkpoint.chat_template or ours,
            on_bytes=on_bytes,
        )


@contextmanager
def _opened(source: Path, form: FormatName | None) -> Generator[Checkpoint]:
    with libraries():
        from patchwright.models.checkpoint.convert import opened

        with opened(source, form) as checkpoint:
            yield checkpoint


@contextmanager
def libraries() -> Generator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{error.name} is not installed, and Mistral's checkpoints are read with it",
            hint="`pip install 'patchwright[mistral]'`",
        ) from None
