"""A catalogue entry as the GGUF file that llama-quantize makes of it, so that memory is planned before a fetch.

Source: `llama_tensor_get_type` in llama-quant.cpp. For Devstral Small 1.1 in Q4_K_M the sum is 0.06 % below the
published file, whose header holds the vocabulary as well.
"""

from collections import Counter
from typing import NamedTuple

from patchwright.errors import ModelError
from patchwright.models.catalogue import SAFETENSORS, CatalogueEntry, Shape
from patchwright.models.ggml import stored_bytes
from patchwright.models.gguf_file import GgufInfo


def expected_info(entry: CatalogueEntry) -> GgufInfo:
    """What `read_gguf` will say of the file, but for a few kB of biases where the architecture has them.

    Raises ModelError for an entry whose shape is not known, or that is no GGUF file.
    """
    shape = entry.shape
    if shape is None or entry.context_tokens is None:
        raise ModelError(f"nothing is known of {entry.name} before it is fetched", hint=f"pull {entry.name} first")
    if entry.quantisation == SAFETENSORS:
        raise ModelError(f"{entry.name} is not a GGUF file", hint="memory is planned for the embedded engine only")
    matrices = _matrices(shape, entry.quantisation)
    norms = (2 * shape.layers + 1) * shape.embedding_length
    sizes = Counter({"F32": stored_bytes("F32", norms)})
    for matrix in matrices:
        sizes[matrix.type] += matrix.size_bytes
    embedding = matrices[0]
    return GgufInfo(
        name=entry.title,
        architecture=shape.architecture,
        parameters=sum(matrix.values for matrix in matrices) + norms,
        layers=shape.layers,
        embedding_length=shape.embedding_length,
        feed_forward_length=shape.feed_forward_length,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        key_length=shape.head_length,
        value_length=shape.head_length,
        context_tokens=entry.context_tokens,
        vocabulary=shape.vocabulary,
        quantisation=entry.quantisation.upper(),
        tensor_bytes=dict(sizes.most_common()),
        embedding_type=embedding.type,
        embedding_bytes=embedding.size_bytes,
        tied_embeddings=shape.tied_embeddings,
        has_chat_template=True,
    )


def number_type(quantisation: str, tensor: str, columns: int, layers: int) -> str:
    """ggml's type for a matrix of a file in this quantisation: `tensor` by Mistral's name, its rows `columns` long."""
    recipe = RECIPES[quantisation]
    if tensor == "output.weight":
        wanted = recipe.output
    elif tensor.endswith(_BETTER) and _gets_more_bits(int(tensor.split(".")[1]), layers):
        wanted = recipe.better
    else:
        wanted = recipe.usual
    return wanted if columns % 256 == 0 else _INSTEAD.get(wanted, wanted)


class Recipe(NamedTuple):
    """The number types of a quantisation. `better` is for some of the value and down projections."""

    usual: str
    better: str
    output: str


RECIPES = {
    "q4_0": Recipe("Q4_0", "Q4_0", "Q6_K"),
    "q4_1": Recipe("Q4_1", "Q4_1", "Q6_K"),
    "q4_k_m": Recipe("Q4_K", "Q6_K", "Q6_K"),
    "q5_k_m": Recipe("Q5_K", "Q6_K", "Q6_K"),
    "q6_k": Recipe("Q6_K", "Q6_K", "Q6_K"),
    "q8_0": Recipe("Q8_0", "Q8_0", "Q8_0"),
    "f16": Recipe("F16", "F16", "F16"),
    "bf16": Recipe("BF16", "BF16", "BF16"),
    "f32": Recipe("F32", "F32", "F32"),
}
_BETTER = ("attention.wv.weight", "feed_forward.w2.weight")
_INSTEAD = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""For a matrix whose rows are not whole blocks of 256 numbers."""


class _Matrix(NamedTuple):
    rows: int
    columns: int
    type: str

    @property
    def values(self) -> int:
        return self.rows * self.columns

    @property
    def size_bytes(self) -> int:
        return stored_bytes(self.type, self.values)


def _matrices(shape: Shape, quantisation: str) -> list[_Matrix]:
    """The token embeddings first."""
    shapes = {name: pair for layer in range(shape.layers) for name, pair in _layer(shape, layer).items()}
    ends = {"output.weight": (shape.vocabulary, shape.embedding_length)}
    if not shape.tied_embeddings:
        ends = {"tok_embeddings.weight": (shape.vocabulary, shape.embedding_length)} | ends
    return [
        _Matrix(rows, columns, number_type(quantisation, name, columns, shape.layers))
        for name, (rows, columns) in (ends | shapes).items()
    ]


def _layer(shape: Shape, layer: int) -> dict[str, tuple[int, int]]:
    width, inner = shape.embedding_length, shape.feed_forward_length
    query, key = shape.heads * shape.head_length, shape.kv_heads * shape.head_length
    shapes = {
        "attention.wq": (query, width),
        "attention.wk": (key, width),
        "attention.wv": (key, width),
        "attention.wo": (width, query),
        "feed_forward.w1": (inner, width),
        "feed_forward.w2": (width, inner),
        "feed_forward.w3": (inner, width),
    }
    return {f"layers.{layer}.{name}.weight": pair for name, pair in shapes.items()}


def _gets_more_bits(layer: int, layers: int) -> bool:
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
