"""Weights that we write against those who define the formats: transformers, peft and llama.cpp."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import peft
import pytest
import torch
import transformers
from pydantic import JsonValue
from safetensors.numpy import load_file, save_file

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.models.checkpoint.adapter import merged, open_adapter, write_gguf_adapter
from patchwright.models.checkpoint.convert import convert, opened
from patchwright.models.checkpoint.decoder import DEVSTRAL, Decoder
from patchwright.schema.messages import (
    AssistantMessage,
    Request,
    SystemMessage,
    ToolCall,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from tests.models.checkpoint.reference import Expected, by_llama_cpp, by_transformers, largest_difference

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks for it

TOLERANCE = 0.02
"""In log-probability; llama.cpp's kernels add up in another order than torch's."""

IDS = [1, 17, 6302, 1395, 18, 5, 4, 3, 7493, 1278, 15_000, 44_444, 100_000, 131_071, 4, 9, 32, 2, 7, 1097, 8]
"""Special tokens and words, without sense."""

PATH: dict[str, JsonValue] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
CONVERSATION = Request(
    messages=(
        SystemMessage(content="You fix bugs."),
        UserMessage(content="What is in add.py?"),
        AssistantMessage(tool_calls=(ToolCall(id="call00001", name="view", arguments='{"path": "add.py"}'),)),
        ToolMessage(tool_call_id="call00001", name="view", content="def add(a, b):\n    return a - b"),
    ),
    tools=(ToolSpec(name="view", description="Show a file.", parameters=PATH),),
)


def read(directory: Path) -> Any:
    return transformers.MistralForCausalLM.from_pretrained(directory, dtype=torch.float32)


def gguf_of(source: Path, target: Path) -> Path:
    with opened(source) as checkpoint:
        convert(checkpoint, target, "gguf", "f32", chat_template="")
    return target


def assert_same(one: Expected, other: Expected) -> None:
    assert largest_difference(one, other) < TOLERANCE
    assert one.greedy == other.greedy


def test_transformers_and_llama_cpp_expect_the_same_after_a_tool_conversation(
    tiny_devstral: Path, tokens: MistralTokens, tmp_path: Path
) -> None:
    ids = tokens.prompt(CONVERSATION)
    ours = by_llama_cpp(gguf_of(tiny_devstral / "mistral", tmp_path / "tiny.gguf"), ids)
    assert_same(by_transformers(read(tiny_devstral / "hf"), ids), ours)


@pytest.fixture(scope="module")
def seeing(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Expected]:
    """A tiny model with a vision tower, as transformers saves it, and what it expects after a text."""
    decoder = Decoder.model_validate(
        DEVSTRAL.model_dump()
        | {"layers": 1, "embedding_length": 64, "feed_forward_length": 128}
        | {"heads": 4, "kv_heads": 2, "head_length": 16}
    )
    config = transformers.Mistral3Config(
        text_config={
            "model_type": "mistral",
            "hidden_size": decoder.embedding_length,
            "intermediate_size": decoder.feed_forward_length,
            "num_hidden_layers": decoder.layers,
            "num_attention_heads": decoder.heads,
            "num_key_value_heads": decoder.kv_heads,
            "head_dim": decoder.head_length,
            "vocab_size": decoder.vocabulary,
            "max_position_embeddings": decoder.context_tokens,
            "rms_norm_eps": decoder.norm_eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": decoder.rope_theta},
            "sliding_window": None,
            "tie_word_embeddings": False,
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "head_dim": 16,
            "image_size": 56,
            "patch_size": 14,
        },
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = transformers.Mistral3ForConditionalGeneration(config).eval()
    directory = tmp_path_factory.mktemp("seeing")
    model.save_pretrained(directory)
    (directory / "tekken.json").write_bytes((tiny_devstral / "hf" / "tekken.json").read_bytes())
    return directory, by_transformers(model, IDS)


@pytest.mark.parametrize("form", ["hf", "mistral"])
def test_without_its_vision_tower_a_model_says_the_same_to_text(
    seeing: tuple[Path, Expected], tmp_path: Path, form: Any
) -> None:
    with opened(seeing[0]) as checkpoint:
        assert checkpoint.problems()[0].startswith("a vision tower is in it")
        convert(checkpoint.text_only(), tmp_path / form, form, "f32", chat_template="")
    assert_same(seeing[1], by_llama_cpp(gguf_of(tmp_path / form, tmp_path / "text.gguf"), IDS))
    if form == "hf":
        assert_same(seeing[1], by_transformers(read(tmp_path / form), IDS))


def test_mistrals_own_format_is_stripped_as_well(tiny_devstral: Path, tmp_path: Path) -> None:
    """With all that Mistral-Small-3.1's files hold of its sight; what is left is the text's model to the byte."""
    source, alone = tmp_path / "seeing", tiny_devstral / "mistral"
    source.mkdir()
    tekken, params = (json.loads((alone / name).read_bytes()) for name in ("tekken.json", "params.json"))
    image = {"image_patch_size": 14, "max_image_size": 1540, "spatial_merge_size": 2}
    (source / "tekken.json").write_text(json.dumps(tekken | {"image": image}))
    (source / "params.json").write_text(json.dumps(params | {"vision_encoder": TOWER}))
    tensors = load_file(alone / "consolidated.safetensors")
    save_file(tensors | tower(params["dim"]), source / "consolidated.safetensors")
    with opened(source) as checkpoint:
        convert(checkpoint.text_only(), tmp_path / "text", "mistral", "bf16", chat_template="")
    for name in ("params.json", "tekken.json", "consolidated.safetensors"):
        assert (tmp_path / "text" / name).read_bytes() == (alone / name).read_bytes()


TOWER = {
    "hidden_size": 32,
    "num_channels": 3,
    "max_image_size": 1540,
    "patch_size": 14,
    "rope_theta": 10000.0,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "adapter_bias": False,
    "mm_projector_id": "patch_merge",
    "spatial_merge_size": 2,
    "add_pre_mm_projector_layer_norm": True,
    "image_token_id": 10,
    "image_break_token_id": 12,
    "image_end_token_id": 13,
    "image_size": 1540,
}


def tower(width: int) -> dict[str, np.ndarray]:
    """A vision tower and its projector by Mistral's names (mistral-inference's vision_encoder.py)."""
    layer, seen, inside = "vision_encoder.transformer.layers.0", 32, 64
    shapes = {
        "vision_encoder.patch_conv.weight": (seen, 3, 14, 14),
        "vision_encoder.ln_pre.weight": (seen,),
        **{f"{layer}.attention.{name}.weight": (seen, seen) for name in ("wq", "wk", "wv", "wo")},
        **{f"{layer}.feed_forward.{name}.weight": (inside, seen) for name in ("w1", "w3")},
        f"{layer}.feed_forward.w2.weight": (seen, inside),
        **{f"{layer}.{name}.weight": (seen,) for name in ("attention_norm", "ffn_norm")},
        "pre_mm_projector_norm.weight": (seen,),
        "patch_merger.merging_layer.weight": (seen, 4 * seen),
        "vision_language_adapter.w_in.weight": (width, seen),
        "vision_language_adapter.w_out.weight": (width, width),
    }
    return {name: np.ones(shape, ml_dtypes.bfloat16) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def adapted(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Expected]:
    """An adapter as peft saves it, far from nothing, and what the model expects with it."""
    torch.manual_seed(1)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False)
    model = peft.get_peft_model(read(tiny_devstral / "hf"), config).eval()
    directory = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(directory)
    return directory, by_transformers(model, IDS)


@pytest.mark.parametrize("source", ["mistral", "hf"])
def test_a_merged_adapter_changes_a_model_as_peft_does(
    tiny_devstral: Path, adapted: tuple[Path, Expected], tmp_path: Path, source: str
) -> None:
    with opened(tiny_devstral / source) as checkpoint, ExitStack() as files:
        adapter = open_adapter(adapted[0], checkpoint.decoder, files)
        convert(merged(checkpoint, adapter), tmp_path / "merged", "hf", "f32", chat_template="")
    assert largest_difference(adapted[1], by_transformers(read(tmp_path / "merged"), IDS)) < TOLERANCE


def test_llama_cpp_applies_an_exported_adapter_as_peft_does(
    tiny_devstral: Path, adapted: tuple[Path, Expected], tmp_path: Path
) -> None:
    base = gguf_of(tiny_devstral / "hf", tmp_path / "base.gguf")
    with opened(tiny_devstral / "hf") as checkpoint, ExitStack() as files:
        write_gguf_adapter(open_adapter(adapted[0], checkpoint.decoder, files), tmp_path / "adapter.gguf")
    assert_same(adapted[1], by_llama_cpp(base, IDS, tmp_path / "adapter.gguf"))
