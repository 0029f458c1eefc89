"""What a GGUF file says of its model, read without loading it."""

from collections import Counter
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.models.ggml import FILE_TYPES
from patchwright.models.gguf_header import GgufHeader, Tensor, read_header
from patchwright.schema.record import Record

EMBEDDING = "token_embd.weight"
OUTPUT = "output.weight"

_ALTERNATING = "must alternate"
"""In what Mistral's and Gemma's templates say when they refuse a conversation."""


class GgufInfo(Record):
    """What the memory plan, the engine and `model show` need to know of a model."""

    name: str
    architecture: str
    parameters: int
    layers: int
    embedding_length: int
    feed_forward_length: int
    heads: int
    kv_heads: int
    """Of the layer that has most."""
    key_length: int
    """Numbers in the key of one head, and `value_length` in its value."""
    value_length: int
    context_tokens: int
    """The window that the model was trained for."""
    vocabulary: int
    quantisation: str
    tensor_bytes: dict[str, int]
    """Bytes of tensor data by number type."""
    embedding_type: str
    embedding_bytes: int
    """The number type of the token embeddings, and their share of `tensor_bytes`."""
    tied_embeddings: bool
    """Whether the token embeddings also make the output layer."""
    has_chat_template: bool
    turns_alternate: bool = False
    """Whether the chat template refuses turns that do not."""

    @property
    def weights_bytes(self) -> int:
        return sum(self.tensor_bytes.values())


def read_gguf(path: Path) -> GgufInfo:
    """The model's description, checked against the file's length. Takes about 0.1 s, whatever the file's size.

    Raises ModelError when the file cannot be read, is not a GGUF of a known version, is cut short, or does not
    describe a language model.
    """
    header = read_header(path)
    return _Facts(header, path).info()


class _Facts:
    """A header's metadata as facts of a language model; the architecture is the prefix of most keys."""

    def __init__(self, header: GgufHeader, path: Path) -> None:
        self._header = header
        self._path = path
        self._prefix = ""
        self._architecture = self._text("general.architecture")
        self._prefix = f"{self._architecture}."

    def info(self) -> GgufInfo:
        embedding_length, heads = self._number("embedding_length"), self._number("attention.head_count")
        head_length = embedding_length // heads
        tensors = {tensor.name: tensor for tensor in self._header.tensors}
        embedding = self._embedding(tensors)
        return GgufInfo(
            name=self._text("general.name", self._path.stem),
            architecture=self._architecture,
            parameters=sum(tensor.values for tensor in tensors.values()),
            layers=self._number("block_count"),
            embedding_length=embedding_length,
            feed_forward_length=self._number("feed_forward_length", 4 * embedding_length),
            heads=heads,
            kv_heads=self._number("attention.head_count_kv", heads),
            key_length=self._number("attention.key_length", head_length),
            value_length=self._number("attention.value_length", head_length),
            context_tokens=self._number("context_length"),
            vocabulary=self._vocabulary(),
            quantisation=self._quantisation(),
            tensor_bytes=self._tensor_bytes(),
            embedding_type=embedding.type,
            embedding_bytes=embedding.size_bytes,
            tied_embeddings=OUTPUT not in tensors,
            has_chat_template="tokenizer.chat_template" in self._header.metadata,
            turns_alternate=_ALTERNATING in str(self._header.metadata.get("tokenizer.chat_template")),
        )

    def _text(self, key: str, default: str | None = None) -> str:
        value = self._header.metadata.get(key, default)
        if not isinstance(value, str):
            raise self._missing(key)
        return value

    def _number(self, key: str, default: int | None = None) -> int:
        value = self._header.metadata.get(self._prefix + key, default)
        if isinstance(value, tuple):  # a number for each layer
            value = max(value)
        if not isinstance(value, int) or value < 1:
            raise self._missing(self._prefix + key)
        return value

    def _vocabulary(self) -> int:
        return self._header.array_lengths.get("tokenizer.ggml.tokens") or self._number("vocab_size")

    def _quantisation(self) -> str:
        kind = self._header.metadata.get("general.file_type")
        return FILE_TYPES.get(kind, "unknown") if isinstance(kind, int) else "unknown"

    def _tensor_bytes(self) -> dict[str, int]:
        sizes: Counter[str] = Counter()
        for tensor in self._header.tensors:
            sizes[tensor.type] += tensor.size_bytes
        return dict(sizes.most_common())

    def _embedding(self, tensors: dict[str, Tensor]) -> Tensor:
        if EMBEDDING not in tensors:
            raise self._missing(EMBEDDING)
        return tensors[EMBEDDING]

    def _missing(self, key: str) -> ModelError:
        return ModelError(
            f"{self._path}: not a language model that the engine can run: {key} is missing or makes no sense"
        )
