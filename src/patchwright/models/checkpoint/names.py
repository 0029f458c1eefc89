"""What the formats call the same tensor. Mistral's own name is ours.

Sources: `MistralForCausalLM` of transformers, `MODEL_ARCH.LLAMA` in the package `gguf`.
"""

import re

_HUGGING_FACE = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
}
_GGUF = {
    "tok_embeddings.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "output.weight": "output.weight",
    "attention_norm.weight": "attn_norm.weight",
    "attention.wq.weight": "attn_q.weight",
    "attention.wk.weight": "attn_k.weight",
    "attention.wv.weight": "attn_v.weight",
    "attention.wo.weight": "attn_output.weight",
    "ffn_norm.weight": "ffn_norm.weight",
    "feed_forward.w1.weight": "ffn_gate.weight",
    "feed_forward.w2.weight": "ffn_down.weight",
    "feed_forward.w3.weight": "ffn_up.weight",
}
_LAYER = re.compile(r"layers\.(\d+)\.(.+)")


def hugging_face_name(name: str) -> str:
    return _renamed(name, _HUGGING_FACE, "model.layers.{}.{}")


def gguf_name(name: str) -> str:
    return _renamed(name, _GGUF, "blk.{}.{}")


def _renamed(name: str, names: dict[str, str], layer: str) -> str:
    match = _LAYER.fullmatch(name)
    return layer.format(match[1], names[match[2]]) if match else names[name]
