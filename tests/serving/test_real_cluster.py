"""A Ray cluster of this machine's CPUs, and on it vLLM with a tiny model of Devstral's architecture."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pytest

from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.config import load_settings
from patchwright.engines.installation import Installation
from patchwright.models.checkpoint.convert import convert
from patchwright.schema.messages import Request, ToolSpec, UserMessage
from tests.engines.one_call import ADD, one_call_checkpoint
from tests.engines.waiting import has_ended, wait_until

pytestmark = pytest.mark.engines

SERVE = [sys.executable, "-m", "patchwright.cli.main", "serve"]
QUESTION = "Add [INST] one </s> to it."
START_S = 600


@dataclass
class Cluster:
    """One machine, and where it serves the model."""

    environment: dict[str, str]
    url: str
    metrics: str


def vllms(program: str) -> Path:
    """A program of the environment that vLLM is installed in."""
    found = Installation(load_settings().data_dir / "engines", "vllm").program(program)
    if not found.exists():
        pytest.skip("vllm is not installed with Ray: run script/test --engines")
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tokens: MistralTokens) -> Path:
    directory = tmp_path_factory.mktemp("models") / "tiny"
    convert(one_call_checkpoint(tokens), directory, "mistral", "bf16", chat_template=None)
    return directory


@pytest.fixture(scope="module")
def cluster(model: Path) -> Iterator[Cluster]:
    """Two copies of the model, deployed. Ray's sockets need a short path."""
    ports = free_ports(6)
    with TemporaryDirectory(prefix="ray") as directory:
        environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "a-token-of-this-test",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PATCHWRIGHT_STATE_DIR": f"{directory}/state",
            "PATCHWRIGHT_CONFIG": f"{directory}/none.toml",
            "PATCHWRIGHT_VLLM__CONTEXT_TOKENS": "4096",
            "PATCHWRIGHT_VLLM__SLOTS": "4",
        }
        with head_machine(environment, directory, ports):
            address = f"http://127.0.0.1:{ports[1]}"
            options = ["--cluster-address", address, "--device", "cpu", "--port", str(ports[5]), "--replicas", "2"]
            deployed = patchwright(environment, "--cluster", "--model", str(model), *options)
            assert deployed.returncode == 0, deployed.stderr
            yield Cluster(environment, deployed.stdout.strip(), f"http://127.0.0.1:{ports[4]}/metrics")


@contextmanager
def head_machine(environment: dict[str, str], directory: str, ports: list[int]) -> Generator[None]:
    """The cluster's only one. It says that it has eight CPUs, so that Ray finds room for all."""
    names = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port", "metrics-export-port")
    options = [f"--{name}={port}" for name, port in zip(names, ports, strict=False)]
    sizes = ["--num-cpus=8", "--num-gpus=0", "--object-store-memory=200000000"]
    command = [vllms("ray"), "start", "--head", "--block", f"--temp-dir={directory}", *options, *sizes]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            dashboard = f"http://127.0.0.1:{ports[1]}/api/ray/version"
            wait_until(lambda: process.poll() is not None or answers(dashboard), 60)
            yield
        finally:
            started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            wait_until(lambda: all(map(has_ended, started)), 60)


def copies_that_read(metrics: str) -> set[str]:
    """The copies of the model whose vLLM has read tokens of a prompt."""
    found = re.findall(r'prompt_tokens\w*\{[^}]*ReplicaId="([^"]+)"[^}]*\} (\S+)', httpx.get(metrics).text)
    return {replica for replica, number in found if float(number) > 0}


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code < 500
    except httpx.TransportError:
        return False


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


def patchwright(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [*SERVE, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_S, check=False)


def ask(url: str, text: str, **options: Any) -> dict[str, Any]:
    body = {"model": "tiny", "messages": [{"role": "user", "content": text}], "max_tokens": 20, "tools": [ADD]}
    return httpx.post(f"{url}/chat/completions", json=body | options, timeout=120).raise_for_status().json()


def called(answer: dict[str, Any]) -> tuple[str, Any]:
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    return call["function"]["name"], json.loads(call["function"]["arguments"])


def test_rays_own_schema_of_the_application_takes_the_config(model: Path) -> None:
    dry = ["--cluster", "--dry-run", "--model", str(model), "--tensor-parallel-size", "2"]
    configs = [patchwright(dict(os.environ), *dry, "--device", device).stdout for device in ("cpu", "cuda")]
    program = [vllms("python"), Path(__file__).with_name("ray_schema.py")]
    checked = subprocess.run(
        program, input="---\n".join(configs), capture_output=True, text=True, timeout=120, check=False
    )
    assert checked.stdout.splitlines() == [
        "ServeDeploySchema",
        "ServeDeploySchema",
        "LLMConfig cpu",
        "VLLMEngineConfig 2 [{'CPU': 1}, {'CPU': 1}] STRICT_PACK",
        "LLMConfig gpu",
        "VLLMEngineConfig 2 [{'GPU': 1}, {'GPU': 1}] PACK",
    ], checked.stderr


def test_the_cluster_reads_the_reference_tokens_and_parses_the_call(cluster: Cluster, tokens: MistralTokens) -> None:
    answer = ask(cluster.url, QUESTION, return_token_ids=True)
    tool = ToolSpec.model_validate(ADD["function"])
    asked = Request(messages=(UserMessage(content=QUESTION),), tools=(tool,))
    assert answer["prompt_token_ids"] == tokens.prompt(asked)
    assert called(answer) == ("add", {"a": 1})


def test_what_goes_on_is_sent_to_the_copy_that_has_its_beginning(cluster: Cluster) -> None:
    """By chance all four would hit once in sixteen times."""
    beginnings = [f"{name} counts. " + f"{name} adds. " * 200 for name in ("Ada", "Bob", "Cyd", "Dan")]
    for beginning in beginnings:
        ask(cluster.url, beginning)
    usages = [ask(cluster.url, beginning + "And on.")["usage"] for beginning in beginnings]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] / usage["prompt_tokens"] for usage in usages]
    assert min(cached) > 0.5, cached
    wait_until(lambda: len(copies_that_read(cluster.metrics)) == 2, 60)


def test_the_gateway_stands_before_it(cluster: Cluster) -> None:
    command = [*SERVE, "--upstream", cluster.url, "--port", "0"]
    with subprocess.Popen(command, env=cluster.environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            url = process.stderr.readline().removeprefix("serving tiny at ").strip()
            assert called(ask(url, QUESTION)) == ("add", {"a": 1})
            (entry,) = httpx.get(f"{url}/models").json()["data"]
            assert (entry["id"], entry["max_model_len"]) == ("tiny", 4096)
        finally:
            process.terminate()
            process.wait(20)
