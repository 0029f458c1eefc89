"""What an engine has to know of a directory of weights before it starts: read from two small files."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from patchwright.errors import ModelError
from patchwright.models.params import Windowed
from patchwright.models.pickles import missing
from patchwright.schema.record import Record

WeightsFormat = Literal["mistral", "hf"]

KV_BYTES = 2
"""Of a number in the KV cache: bf16 or f16."""

_MISTRAL, _HUGGING_FACE = "params.json", "config.json"
_M = TypeVar("_M", bound=BaseModel)


class Weights(Record):
    """A directory of safetensors."""

    format: WeightsFormat
    context_tokens: int
    """The model's own window."""
    kv_bytes_per_token: int
    size_bytes: int
    tekken: bool
    """Whether Mistral's tokenizer is there: Hugging Face's files of its models may have no other."""


class _Params(Windowed):
    """Mistral's params.json, as far as it matters here."""

    n_layers: int
    n_kv_heads: int
    head_dim: int


class _Config(BaseModel):
    """Hugging Face's config.json."""

    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    max_position_embeddings: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None


def read_weights(directory: Path) -> Weights:
    """Mistral's format where the directory holds both. Raises ModelError when it holds none, or pickles alone."""
    if (directory / _MISTRAL).is_file() and any(directory.glob("consolidated*.safetensors")):
        params = _read(directory / _MISTRAL, _Params)
        keys = params.n_layers * params.n_kv_heads * params.head_dim
        return _weights(directory, "mistral", params.context_tokens, keys)
    if (directory / _HUGGING_FACE).is_file():
        config = _read(directory / _HUGGING_FACE, _Config)
        heads = config.num_key_value_heads or config.num_attention_heads
        length = config.head_dim or config.hidden_size // config.num_attention_heads
        window = config.max_position_embeddings
        return _weights(directory, "hf", window, config.num_hidden_layers * heads * length)
    raise ModelError(
        f"{directory} holds no weights in Mistral's or Hugging Face's format",
        hint="such directories come from `patchwright model pull hf:OWNER/REPO` or `patchwright model convert`",
    )


def _weights(directory: Path, form: WeightsFormat, context_tokens: int, keys: int) -> Weights:
    stem = "consolidated" if form == "mistral" else "model"
    files = list(directory.glob(f"{stem}*.safetensors"))
    if not files:
        raise missing(directory / f"{stem}.safetensors")
    return Weights(
        format=form,
        context_tokens=context_tokens,
        kv_bytes_per_token=2 * keys * KV_BYTES,  # keys and values
        size_bytes=sum(file.stat().st_size for file in files),
        tekken=(directory / "tekken.json").is_file(),
    )


def _read(path: Path, model: type[_M]) -> _M:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise ModelError(f"{path} cannot be read: {str(reason).lower()}") from None
