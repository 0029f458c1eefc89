"""`patchwright serve --cluster` as a process of its own, before a dashboard that is written beforehand."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.serving.dashboard import TOKEN, application, dashboard

COMMAND = [sys.executable, "-m", "patchwright.cli.main", "serve", "--cluster"]
DEVSTRAL = ["--model", "hf:mistralai/Devstral-Small-2507"]


def cluster(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *options]
    environment = environment | {"RAY_AUTH_TOKEN": TOKEN}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_it_deploys_waits_and_says_where_the_endpoint_is(
    environment: dict[str, str], tiny_devstral: Path, tmp_path: Path
) -> None:
    model, config = tiny_devstral / "mistral", tmp_path / "config.yaml"
    states = {}, {"patchwright": application("DEPLOYING", model="starting")}, {"patchwright": application("RUNNING")}
    with dashboard(*states) as ray:
        options = ["--replicas", "1..2", "--device", "cpu", "--cluster-address", ray.url, "--cluster-config", config]
        done = cluster(environment, "--model", str(model), *map(str, options))
    assert (done.returncode, done.stdout) == (0, "http://127.0.0.1:8000/v1\n"), done.stderr
    assert f"deploying mistral on Ray 2.60.0 at {ray.url}\ndeploying: starting\n" in done.stderr
    assert "--upstream http://127.0.0.1:8000/v1 --concurrency 32 --port 8001`" in done.stderr
    assert ray.deployed == [yaml.safe_load(config.read_text())]
    (llm,) = ray.deployed[0]["applications"][0]["args"]["llm_configs"]
    assert llm["model_loading_config"] == {"model_id": "mistral", "model_source": str(model)}
    assert llm["runtime_env"]["env_vars"]["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_other_applications_of_the_cluster_are_not_ended(environment: dict[str, str]) -> None:
    with dashboard({"theirs": application("RUNNING")}) as ray:
        done = cluster(environment, *DEVSTRAL, "--cluster-address", ray.url)
    assert (done.returncode, ray.deployed) == (2, [])
    assert "the cluster serves theirs, which this would end\nhint: add what --dry-run prints" in done.stderr


def test_a_dry_run_prints_what_would_be_deployed(environment: dict[str, str]) -> None:
    done = cluster(environment, "--model", "devstral:safetensors", "--tensor-parallel-size", "4", "--dry-run")
    (application_,) = yaml.safe_load(done.stdout)["applications"]
    (llm,) = application_["args"]["llm_configs"]
    assert llm["model_loading_config"]["model_source"] == "mistralai/Devstral-Small-2507"
    assert (llm["engine_kwargs"]["config_format"], llm["engine_kwargs"]["tensor_parallel_size"]) == ("mistral", 4)
    assert llm["deployment_config"]["autoscaling_config"]["max_replicas"] == 1


@pytest.mark.parametrize(
    ("options", "code", "problem", "hint"),
    [
        ([*DEVSTRAL, "--cluster-address", "http://127.0.0.1:9"], 3, "no Ray cluster answers at", "ray start --head"),
        (["--model", "devstral", "--dry-run"], 3, "devstral is a GGUF file", "hf:mistralai/Devstral-Small-2507"),
        (["--model", "hf:Qwen/Qwen3-8B", "--dry-run"], 3, "only its files can tell", "name a directory"),
        ([*DEVSTRAL, "--host", "0.0.0.0"], 2, "Ray Serve asks for no key", "--host 127.0.0.1"),
        ([*DEVSTRAL, "--upstream", "http://gpu:8000/v1"], 2, "an endpoint is named", "deploy first"),
        ([*DEVSTRAL, "--adapter", "sql=sql-lora"], 2, "--adapter is for the embedded engine", "model merge"),
        ([*DEVSTRAL, "--engine", "llama.cpp"], 2, "--cluster runs vLLM, not llama.cpp", "leave --engine out"),
        ([*DEVSTRAL, "--replicas", "many"], 2, "neither a number nor two", "such as 2, or 1..8"),
        ([*DEVSTRAL, "--cluster-config", "/No/where", "--dry-run"], 2, "--cluster-config: /No/where: no such file", ""),
        ([*DEVSTRAL, "--port", "0"], 2, "--port 0: Ray Serve needs to be told one", ""),
    ],
)
def test_what_cannot_be_deployed_says_why(
    environment: dict[str, str], options: list[str], code: int, problem: str, hint: str
) -> None:
    done = cluster(environment, *options)
    assert done.returncode == code, done.stderr
    assert problem in done.stderr
    assert hint in done.stderr.partition("hint: ")[2]
