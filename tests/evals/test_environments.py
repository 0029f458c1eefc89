"""Environments: built once, by one builder, whole or not at all; a work tree comes before the template."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError
from patchwright.evals.environments import Environment, Environments
from patchwright.schema.instance import InstallConfig

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NOTHING = InstallConfig(python=PYTHON)
PYPROJECT = '[build-system]\nrequires = ["setuptools>=64"]\n[project]\nname = "greeter"\nversion = "1"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "greeter"
    (root / "src" / "greeter").mkdir(parents=True)
    (root / "src" / "greeter" / "__init__.py").write_text("WORD = 'hello'\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / ".gitignore").write_text("*.egg-info\n_made.py\n")
    return root


def output_of(environment: Environment, code: str, cwd: Path) -> str:
    variables = {"PATH": environment.path, **environment.variables}
    command = [str(environment.python), "-c", code]
    return subprocess.run(command, env=variables, cwd=cwd, check=True, capture_output=True, text=True).stdout


async def test_an_environment_without_packages_finds_the_work_tree(tmp_path: Path, tree: Path) -> None:
    environment = await Environments(tmp_path / "cache").built(NOTHING, tree, name="ada/greeter 1")
    assert output_of(environment, "import greeter; print(greeter.__file__)", tmp_path) == (
        f"{tree}/src/greeter/__init__.py\n"
    )
    (directory,) = environment.readable
    assert directory.name.startswith("ada-greeter-1-")
    assert environment.python.is_relative_to(directory)


async def test_two_builders_make_one_environment(tmp_path: Path, tree: Path) -> None:
    counted = NOTHING.model_copy(update={"install": f"echo built >> {tmp_path}/count; touch src/greeter/_made.py # -e"})
    first, second = await asyncio.gather(
        *(Environments(tmp_path / "cache").built(counted, tree, name="greeter") for _ in range(2))
    )
    assert first == second
    assert (tmp_path / "count").read_text() == "built\n"
    assert (tree / "src" / "greeter" / "_made.py").exists()


async def test_an_interrupted_build_is_begun_anew(tmp_path: Path, tree: Path) -> None:
    again = tmp_path / "again"
    once = NOTHING.model_copy(update={"install": f"[ -e {again} ] || {{ touch {again}; sleep 60; }} # -e"})
    environments = Environments(tmp_path / "cache")
    building = asyncio.create_task(environments.built(once, tree, name="greeter"))
    while not again.exists():
        await asyncio.sleep(0.05)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    environment = await environments.built(once, tree, name="greeter")
    assert output_of(environment, "import greeter; print(greeter.WORD)", tmp_path) == "hello\n"


async def test_an_installed_project_is_the_work_tree_s_own(tmp_path: Path, tree: Path) -> None:
    config = NOTHING.model_copy(update={"install": "python -m pip install --no-deps -e ."})
    environments = Environments(tmp_path / "cache")
    await environments.built(config, tree, name="greeter")
    other = tmp_path / "other"
    (other / "src" / "greeter").mkdir(parents=True)
    (other / "src" / "greeter" / "__init__.py").write_text("WORD = 'goodbye'\n")
    environment = await environments.built(config, other, name="greeter")
    code = "import greeter, importlib.metadata as m; print(greeter.WORD, m.version('greeter'))"
    assert output_of(environment, code, tmp_path) == "goodbye 1\n"
    assert (other / "src" / "greeter.egg-info" / "PKG-INFO").exists()


async def test_no_source_of_one_instance_is_left_for_another_to_read(tmp_path: Path, tree: Path) -> None:
    config = NOTHING.model_copy(update={"install": "touch src/greeter/_made.py  # -e"})
    environment = await Environments(tmp_path / "cache").built(config, tree, name="greeter")
    (directory,) = environment.readable
    left = {path.name for path in (directory / "tree").rglob("*") if path.is_file()}
    assert "_made.py" in left
    assert not left & {"__init__.py", "pyproject.toml", ".gitignore", "index"}


async def test_an_environment_with_a_copy_of_the_project_is_for_one_tree_alone(tmp_path: Path, tree: Path) -> None:
    environments = Environments(tmp_path / "cache")
    copying = NOTHING.model_copy(update={"install": "cp -r src/greeter $VIRTUAL_ENV/lib/"})
    first = await environments.built(copying, tree, name="greeter")
    assert await environments.built(copying, tree, name="greeter") == first
    (tree / "src" / "greeter" / "__init__.py").write_text("WORD = 'other'\n")
    assert (await environments.built(copying, tree, name="greeter")).readable != first.readable


async def test_what_is_in_requirement_files_is_part_of_what_is_wanted(tmp_path: Path, tree: Path) -> None:
    environments = Environments(tmp_path / "cache")
    config = NOTHING.model_copy(update={"pip_packages": ("-r wanted/all.txt", "-c bounds.txt")})
    files = {tree / "wanted" / "all.txt": "-r base.txt\n", tree / "wanted" / "base.txt": "", tree / "bounds.txt": ""}
    (tree / "wanted").mkdir()
    for file, text in files.items():
        file.write_text(text)
    first = await environments.built(config, tree, name="greeter")
    (tree / "src" / "greeter" / "__init__.py").write_text("WORD = 'other'\n")
    assert await environments.built(config, tree, name="greeter") == first
    for file in (tree / "wanted" / "base.txt", tree / "bounds.txt"):
        file.write_text("# another\n")
        another = await environments.built(config, tree, name="greeter")
        assert another.readable != first.readable
        first = another


async def test_commands_before_the_installation_change_every_tree(tmp_path: Path, tree: Path) -> None:
    config = NOTHING.model_copy(
        update={"pre_install": ("sed -i s/hello/hullo/ src/greeter/__init__.py", "apt-get install -y nothing")}
    )
    environment = await Environments(tmp_path / "cache").built(config, tree, name="greeter")
    assert output_of(environment, "import greeter; print(greeter.WORD)", tmp_path) == "hullo\n"


async def test_a_failed_build_says_what_failed_and_is_tried_again(tmp_path: Path, tree: Path) -> None:
    failing = NOTHING.model_copy(update={"install": f"echo no such compiler; [ -e {tmp_path}/compiler ]"})
    environments = Environments(tmp_path / "cache")
    with pytest.raises(BenchmarkError, match="no such compiler") as failed:
        await environments.built(failing, tree, name="greeter")
    assert failed.value.hint is not None
    assert "build.log" in failed.value.hint
    (tmp_path / "compiler").touch()
    await environments.built(failing, tree, name="greeter")
