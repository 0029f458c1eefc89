"""A model of one layer with random weights and a vocabulary of bytes: llama.cpp runs it, and it says nonsense."""

from pathlib import Path

import gguf
import numpy

WIDTH, HEADS, FEED_FORWARD = 32, 2, 64
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_gguf(
    path: Path, *, context_tokens: int = 16384, architecture: str = "llama", chat_template: str = CHAT_TEMPLATE
) -> Path:
    """Writes about 100 kB. One token is one byte, so that a test can count tokens by hand."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    vocabulary = _add_vocabulary(writer, chat_template)
    _add_tensors(writer, vocabulary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, chat_template: str) -> int:
    special = ["<|im_start|>", "<|im_end|>"]
    tokens = [*_byte_letters(), "th", *special]
    control = [gguf.TokenType.CONTROL] * len(special)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * (len(tokens) - len(special)) + control)
    writer.add_token_merges(["t h"])  # llama.cpp refuses a vocabulary without any
    writer.add_bos_token_id(tokens.index("<|im_start|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(chat_template)
    return len(tokens)


def _byte_letters() -> list[str]:
    """The letter for each byte, as in GPT-2's bytes_to_unicode: printable ones stand for themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def _add_tensors(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    numbers = numpy.random.default_rng(0)
    shapes = {
        "token_embd.weight": (vocabulary, WIDTH),
        "output.weight": (vocabulary, WIDTH),
        "blk.0.attn_q.weight": (WIDTH, WIDTH),
        "blk.0.attn_k.weight": (WIDTH, WIDTH),
        "blk.0.attn_v.weight": (WIDTH, WIDTH),
        "blk.0.attn_output.weight": (WIDTH, WIDTH),
        "blk.0.ffn_gate.weight": (FEED_FORWARD, WIDTH),
        "blk.0.ffn_up.weight": (FEED_FORWARD, WIDTH),
        "blk.0.ffn_down.weight": (WIDTH, FEED_FORWARD),
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, numbers.standard_normal(shape, dtype=numpy.float32))
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, numpy.ones(WIDTH, dtype=numpy.float32))
