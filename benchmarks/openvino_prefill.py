"""Whether OpenVINO GenAI reads prompts faster than we do: python benchmarks/openvino_prefill.py MODEL.gguf PYTHON

PYTHON is that of an environment with openvino-genai in it. It does not read all of GGUF's types, so the file is written
anew in F16, too. OpenVINO reads 64 tokens a step, as `--engine openvino` does, and once the 256 of its own default.
Both read the same prompt, `--rounds` times each in turn, in processes of their own, and write 16 tokens; the best round
of each is printed.
"""

import argparse
import json
import subprocess
import tempfile
import urllib.request
from asyncio import run
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gguf
import numpy as np

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, stop_engine
from patchwright.schema.endpoint import Endpoint

PROMPT = (
    "def decode(text, position):\n" + Path(json.__file__).with_name("decoder.py").read_text(encoding="utf-8")[:2400]
)
TOKENS = 16
BATCHED_TOKENS = 64
"""Of the prompt, read in one step, as engines/openvino_program.py has it."""
REPLACED = ("general.architecture", "general.file_type", "general.quantization_version")
OPENVINO = """
import json, sys
import openvino_genai
scheduler = openvino_genai.SchedulerConfig()
scheduler.cache_size = 1
scheduler.max_num_batched_tokens = int(sys.argv[3])
pipeline = openvino_genai.LLMPipeline(sys.argv[1], "CPU", scheduler_config=scheduler)
prompt = sys.stdin.read()
answer = pipeline.generate([prompt], max_new_tokens=int(sys.argv[2]), do_sample=False, apply_chat_template=False)
metrics = answer.perf_metrics
prefill = metrics.get_num_input_tokens() / (metrics.get_ttft().mean / 1000)
print(json.dumps([metrics.get_num_input_tokens(), prefill, 1000 / metrics.get_tpot().mean]))
"""


class Measured(NamedTuple):
    """Tokens read, and tokens per second read and written."""

    tokens: int
    prefill: float
    decode: float


CANNOT = Measured(0, 0.0, 0.0)
"""Of a file that it does not read; stderr says why."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("python", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        f16 = Path(directory) / "f16.gguf"
        write_f16(arguments.model, f16)
        measures: dict[str, Callable[[], Measured]] = {
            "llama.cpp, as it is": lambda: run(by_llama_cpp(arguments.model)),
            "OpenVINO GenAI, as it is": lambda: by_openvino(arguments.model, arguments.python),
            "the same, 256 tokens a step": lambda: by_openvino(arguments.model, arguments.python, 256),
            "llama.cpp, F16": lambda: run(by_llama_cpp(f16)),
            "OpenVINO GenAI, F16": lambda: by_openvino(f16, arguments.python),
        }
        rows = [{name: measure() for name, measure in measures.items()} for _ in range(arguments.rounds)]
    print("| | tokens read | prefill | decode |\n|---|---|---|---|")
    for name in measures:
        prefill, decode = max(row[name].prefill for row in rows), max(row[name].decode for row in rows)
        print(f"| {name} | {rows[0][name].tokens} | {prefill:.1f} tokens/s | {decode:.1f} tokens/s |")


def write_f16(source: Path, target: Path) -> None:
    """The same model with its matrices in F16 and its norms in F32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in REPLACED:
            writer.add_key_value(
                name, field.contents(), field.types[0], field.types[-1] if len(field.types) > 1 else None
            )
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for tensor in reader.tensors:
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, numbers.astype(np.float16 if numbers.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


async def by_llama_cpp(model: Path) -> Measured:
    with tempfile.TemporaryDirectory() as directory:
        engine = LlamaCpp(model, LlamaCppSettings(context_tokens=2048, ngram_speculation=False), Path(directory))
        endpoint = await engine.connect()
        try:
            return _complete(endpoint)
        finally:
            stop_engine(find_engine(Path(directory), None), Path(directory))


def _complete(endpoint: Endpoint) -> Measured:
    assert endpoint.api_key
    headers = {"Authorization": f"Bearer {endpoint.api_key.get_secret_value()}", "Content-Type": "application/json"}
    body = {"prompt": PROMPT, "n_predict": TOKENS, "temperature": 0, "ignore_eos": True}
    url = endpoint.base_url.removesuffix("/v1") + "/completion"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as response:
        timings = json.load(response)["timings"]
    return Measured(timings["prompt_n"], timings["prompt_per_second"], timings["predicted_per_second"])


def by_openvino(model: Path, python: Path, batched_tokens: int = BATCHED_TOKENS) -> Measured:
    command = [str(python), "-c", OPENVINO, str(model), str(TOKENS), str(batched_tokens)]
    result = subprocess.run(command, input=PROMPT, stdout=subprocess.PIPE, text=True, check=False)
    return Measured(*json.loads(result.stdout.splitlines()[-1])) if result.returncode == 0 else CANNOT


if __name__ == "__main__":
    main()
