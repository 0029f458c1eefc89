"""What each setting of the embedded engine costs and brings: `python benchmarks/engine_settings.py MODEL.gguf`.

Every variant runs the same requests in a process of its own, all variants in turn and that ROUNDS times, so that a
machine that is busy for a while is busy for all of them. The best round counts: interference only ever slows down.

step: some 300 new tokens behind a cached prefix, 120 tokens of answer, which is what an agent's step is.
rewrite: a file is repeated with one name changed, which is what n-gram speculation is for.
long: a prompt of some 1,500 tokens is read. freed: of who asks while somebody else's such prompt has been read for 2 s
who then leaves, the time to an answer.
"""

import argparse
import json
import secrets
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydantic import SecretStr
from xllamacpp import Server, llama_flash_attn_type

from patchwright.engines.launch import LlamaCppLaunch
from patchwright.engines.llama_cpp_server import server_params
from patchwright.engines.machine import usable_cores

CODE = Path(json.__file__).with_name("decoder.py").read_text(encoding="utf-8")

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as it is": ({}, {}),
    "repacked": ({"repack": True}, {}),
    "no n-grams": ({"ngram_speculation": False}, {}),
    "q8_0 cache": ({"kv_type": "q8_0"}, {}),
    "no flash attention": ({}, {"flash_attn_type": llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED}),
    "48 guesses, n_batch 196": ({}, {"speculative.ngram_simple.size_m": 48, "n_batch": 196, "n_ubatch": 196}),
    "n_batch 128": ({}, {"n_batch": 128, "n_ubatch": 128}),
    "n_batch 2048": ({}, {"n_batch": 2048, "n_ubatch": 512}),
    "one thread": ({"threads": 1}, {}),
}
"""For each: what differs in the launch, and in what llama.cpp makes of it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(measure(arguments.model, *VARIANTS[arguments.variant])))
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.only}
    for _ in range(arguments.rounds):
        for name in arguments.only:
            command = [sys.executable, __file__, str(arguments.model), "--variant", name]
            output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
            results[name].append(json.loads(output))
            print(name, output.decode().strip(), file=sys.stderr, flush=True)
    _print_table(results)


def measure(model: Path, launched: dict[str, Any], tuned: dict[str, Any]) -> dict[str, float]:
    """Tokens per second, seconds to load, and resident MB at the end, for one variant in this process."""
    launch = _launch(model, **launched)
    params = server_params(launch)
    for name, value in tuned.items():
        inner, _, last = name.rpartition(".")
        setattr(attrgetter(inner)(params) if inner else params, last, value)
    began_s = time.perf_counter()
    server = Server(params)
    load_s = time.perf_counter() - began_s
    key = launch.api_key.get_secret_value()
    first = _message("user", "Here is the beginning of a file:\n" + CODE[:1200])
    opening = _ask(server.listening_address, key, [first], 2)
    step = _message("user", "It goes on:\n" + CODE[1200:2300] + "\nExplain in a few sentences what this does.")
    answered = _ask(server.listening_address, key, [first, _answer(opening), step], 120, ignore_eos=True)["timings"]
    rewrite = _message("user", "Repeat this file, but call `end` `stop`:\n```python\n" + CODE[4200:4900] + "\n```")
    rewritten = _ask(server.listening_address, key, [rewrite], 200)["timings"]
    long = _ask(server.listening_address, key, [_message("user", "Read this:\n" + CODE[:6000])], 1)["timings"]
    freed_s = _freed_s(server.listening_address, key)
    resident_bytes = psutil.Process().memory_info().rss
    del server
    return {
        "load s": load_s,
        "prefill tokens/s": answered["prompt_per_second"],
        "decode tokens/s": answered["predicted_per_second"],
        "rewrite tokens/s": rewritten["predicted_per_second"],
        "long tokens/s": long["prompt_per_second"],
        "freed s": freed_s,
        "MB": resident_bytes / 1e6,
    }


def _launch(model: Path, **variant: Any) -> LlamaCppLaunch:
    usual: dict[str, Any] = {
        "context_tokens": 8192,
        "kv_type": "f16",
        "threads": usable_cores(),
        "ngram_speculation": True,
        "repack": False,
    }
    return LlamaCppLaunch(
        id="benchmark",
        directory=Path(),
        model="benchmark",
        path=model,
        slots=4,
        cache_ram_mib=0,
        planned_bytes=0,
        idle_s=1,
        start_timeout_s=1,
        api_key=SecretStr(secrets.token_urlsafe()),
        **(usual | variant),
    )


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _answer(completion: dict[str, Any]) -> dict[str, str]:
    return completion["choices"][0]["message"]


def _ask(url: str, key: str, messages: list[dict[str, str]], tokens: int, **options: Any) -> dict[str, Any]:
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, **options}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def _freed_s(url: str, key: str) -> float:
    body = {"messages": [_message("user", "And this:\n" + CODE[6000:12000])], "max_tokens": 1}
    headers = {"Authorization": f"Bearer {key}"}
    with suppress(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=2)
    left_s = time.perf_counter()
    _ask(url, key, [_message("user", "Hi")], 1)
    return time.perf_counter() - left_s


def _print_table(results: dict[str, list[dict[str, float]]]) -> None:
    columns = list(next(iter(results.values()))[0])
    print("| variant | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, rounds in results.items():
        best = [(max if "/s" in column else min)(measured[column] for measured in rounds) for column in columns]
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in best) + " |")


if __name__ == "__main__":
    main()
