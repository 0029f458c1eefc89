"""The same tokens through llama.cpp and through transformers: what each expects to come next.

Run as a program, for llama.cpp in a process of its own: python reference.py FILE.gguf [ADAPTER.gguf] < ids
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

TOP = 1000
NEW_TOKENS = 12


class Expected(NamedTuple):
    logprobs: dict[int, float]
    """Of the likeliest TOP tokens to come next."""
    greedy: list[int]


def by_llama_cpp(model: Path, ids: list[int], adapter: Path | None = None) -> Expected:
    command = [sys.executable, __file__, str(model), *([str(adapter)] if adapter else [])]
    result = subprocess.run(command, input=json.dumps(ids), capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    logprobs, greedy = json.loads(result.stdout.splitlines()[-1])
    return Expected({int(token): logprob for token, logprob in logprobs.items()}, greedy)


def by_transformers(model: Any, ids: list[int]) -> Expected:
    import torch

    tokens = torch.tensor([ids])  # [1, T]
    with torch.no_grad():
        values, indices = torch.log_softmax(model(input_ids=tokens).logits[0, -1].double(), -1).topk(TOP)
        answer = model.generate(input_ids=tokens, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=11)
    return Expected(dict(zip(indices.tolist(), values.tolist(), strict=True)), answer[0, len(ids) :].tolist())


def largest_difference(one: Expected, other: Expected) -> float:
    """Over the tokens that both have among their likeliest."""
    common = one.logprobs.keys() & other.logprobs.keys()
    assert len(common) > 0.99 * TOP
    return max(abs(one.logprobs[token] - other.logprobs[token]) for token in common)


def main() -> None:
    from pydantic import SecretStr
    from xllamacpp import CommonAdapterLoraInfo, Server

    from patchwright.engines.launch import LlamaCppLaunch
    from patchwright.engines.llama_cpp_server import server_params

    ids = json.load(sys.stdin)
    launch = LlamaCppLaunch(
        id="reference",
        directory=Path(),
        model="reference",
        path=Path(sys.argv[1]),
        context_tokens=1024,
        kv_type="f16",
        threads=1,
        slots=1,
        cache_ram_mib=0,
        ngram_speculation=False,
        repack=False,
        planned_bytes=0,
        idle_s=1,
        start_timeout_s=1,
        api_key=SecretStr("key"),
    )
    params = server_params(launch)
    if len(sys.argv) > 2:
        params.lora_adapters = [CommonAdapterLoraInfo(sys.argv[2], 1.0)]
    server = Server(params)

    def complete(**options: Any) -> dict[str, Any]:
        body = {"prompt": ids, "temperature": 0, "return_tokens": True, "ignore_eos": False, **options}
        headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.listening_address}/completion", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    top = complete(n_predict=1, n_probs=TOP)["completion_probabilities"][0]["top_logprobs"]
    greedy = complete(n_predict=NEW_TOKENS)["tokens"]
    print(json.dumps([{each["id"]: each["logprob"] for each in top}, greedy]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
