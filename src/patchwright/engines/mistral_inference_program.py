"""mistral-inference, run in its own environment: a task on stdin, the tokens on stdout. Imports nothing of ours.

Its attention is xformers', which is for GPUs: PyTorch's own stands in, for one sequence that is read at once.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class BlockDiagonalMask:
    """Of a prompt that is read in pieces."""

    @classmethod
    def from_seqlens(cls, **_: object) -> "BlockDiagonalMask":
        raise NotImplementedError("a prompt is read at once here")


@dataclass(frozen=True)
class BlockDiagonalCausalMask:
    """Of a prompt: each token sees itself and those before."""

    tokens: int

    @classmethod
    def from_seqlens(cls, seqlens: list[int]) -> "BlockDiagonalCausalMask":
        (tokens,) = seqlens
        return cls(tokens)

    def make_local_attention(self, window: int) -> "BlockDiagonalCausalMask":
        if window < self.tokens:
            raise NotImplementedError("a sliding window is not Devstral's")
        return self


@dataclass(frozen=True)
class BlockDiagonalCausalWithOffsetPaddedKeysMask:
    """Of one token after others: of the cache it sees what has been written."""

    written: int

    @classmethod
    def from_seqlens(
        cls, q_seqlen: list[int], kv_padding: int, kv_seqlen: list[int]
    ) -> "BlockDiagonalCausalWithOffsetPaddedKeysMask":
        (_,), (written,) = q_seqlen, kv_seqlen
        return cls(written)


Mask = BlockDiagonalCausalMask | BlockDiagonalCausalWithOffsetPaddedKeysMask


def memory_efficient_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Mask
) -> torch.Tensor:  # all [1, T, H, D]
    if isinstance(mask, BlockDiagonalCausalWithOffsetPaddedKeysMask):
        key, value = key[:, : mask.written], value[:, : mask.written]
    query, key, value = (each.transpose(1, 2) for each in (query, key, value))  # [1, H, T, D]
    is_prompt = isinstance(mask, BlockDiagonalCausalMask)
    seen = scaled_dot_product_attention(query, key, value, is_causal=is_prompt)
    return seen.transpose(1, 2).contiguous()


def stand_in_for_xformers() -> None:
    bias = ModuleType("xformers.ops.fmha.attn_bias")
    for mask in (BlockDiagonalMask, BlockDiagonalCausalMask, BlockDiagonalCausalWithOffsetPaddedKeysMask):
        setattr(bias, mask.__name__, mask)
    bias.AttentionBias = object
    fmha = ModuleType("xformers.ops.fmha")
    fmha.memory_efficient_attention = memory_efficient_attention
    sys.modules |= {
        "xformers": ModuleType("xformers"),
        "xformers.ops": ModuleType("xformers.ops"),
        fmha.__name__: fmha,
        bias.__name__: bias,
    }


def main() -> None:
    stand_in_for_xformers()
    from mistral_inference.generate import generate
    from mistral_inference.transformer import Transformer

    task = json.load(sys.stdin)
    torch.manual_seed(task["seed"])
    model = Transformer.from_folder(Path(task["weights"]), device=task["device"])
    tokens, logprobs = generate(
        [task["prompt"]], model, max_tokens=task["max_tokens"], temperature=task["temperature"], eos_id=task["end"]
    )
    written = tokens[0] if tokens else []
    print(json.dumps({"tokens": written, "logprobs": logprobs[0][len(task["prompt"]) - 1 :]}))


if __name__ == "__main__":
    main()
