import re
import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.engines.vllm import VllmSettings
from patchwright.errors import ConfigError
from patchwright.serving.cluster_config import ClusterModel, ClusterPlan, Replicas, cluster_config, config_text

SCHEMA = Path(__file__).with_name("ray_schema.py")

DEVSTRAL = ClusterPlan(
    model=ClusterModel(
        name="mistralai/Devstral-Small-2507",
        source="mistralai/Devstral-Small-2507",
        is_directory=False,
        format="mistral",
        tekken=True,
        context_tokens=32768,
        kv_cache_gib=None,
    ),
    replicas=Replicas(minimum=1, maximum=8),
    vllm=VllmSettings(tensor_parallel=2),
    device="cuda",
    host="127.0.0.1",
    port=8000,
)
TINY = ClusterPlan(
    model=ClusterModel(
        name="tiny",
        source="/models/tiny",
        is_directory=True,
        format="hf",
        tekken=False,
        context_tokens=4096,
        kv_cache_gib=1,
    ),
    replicas=Replicas(minimum=0, maximum=1),
    vllm=VllmSettings(slots=1),
    device="cpu",
    host="::1",
    port=8000,
)

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "serve.md"


def test_devstrals_config_has_its_cards_flags_and_is_as_the_documentation_shows_it() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    assert config_text(DEVSTRAL) == shown


def test_on_cpus_no_gpu_is_asked_for_and_nothing_is_looked_for_on_hugging_face() -> None:
    (application,) = cluster_config(TINY)["applications"]
    (llm,) = application["args"]["llm_configs"]
    assert llm["accelerator_config"] == {"kind": "cpu"}
    assert llm["placement_group_config"] == {"bundle_per_worker": {"CPU": 1}, "strategy": "STRICT_PACK"}
    variables = {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    assert llm["runtime_env"] == {"env_vars": variables}
    assert llm["engine_kwargs"] == {
        "tool_call_parser": "mistral",
        "enable_auto_tool_choice": True,
        "tensor_parallel_size": 1,
        "max_model_len": 4096,
        "max_num_seqs": 1,
        "enable_prompt_tokens_details": True,
        "enforce_eager": True,
    }


def test_rays_own_schema_takes_it() -> None:
    command = [sys.executable, str(SCHEMA)]
    configs = f"{config_text(DEVSTRAL)}---\n{config_text(TINY)}"
    checked = subprocess.run(command, input=configs, capture_output=True, text=True, timeout=120, check=False)
    assert checked.stdout.startswith("ServeDeploySchema\n" * 2), checked.stderr
    assert checked.returncode == 0, checked.stderr


def test_replicas_are_a_number_or_a_range() -> None:
    assert Replicas.parsed("3") == Replicas(minimum=3, maximum=3)
    assert Replicas.parsed("0..4") == Replicas(minimum=0, maximum=4)
    for text, problem in {
        "4..2": "at most 2 are fewer than 4",
        "0": "at most 0 are fewer than 1",
        "many": "neither a number nor two",
        "1..": "neither a number nor two",
    }.items():
        with pytest.raises(ConfigError, match=problem):
            Replicas.parsed(text)
