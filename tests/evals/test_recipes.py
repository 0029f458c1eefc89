"""Recipes: the row's own comes first, a version finds the range that it lies in."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patchwright.evals.environments import Environments
from patchwright.evals.grading import statuses
from patchwright.evals.recipes import install_config_of, recipe_of, recipes
from patchwright.evals.uv import python_of
from patchwright.schema.instance import InstallConfig, Instance

ASKS = """
import json, os, urllib.request

def test_it_is_on_this_machine():
    address = os.environ["HTTPBIN_URL"]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{address}/get?a=1") as answer:
        assert json.load(answer)["args"] == {"a": "1"}
"""
HAS_3_9 = Path(python_of("3.9")).is_absolute() or shutil.which("python3.9")


def instance(repo: str, version: str, config: InstallConfig | None = None) -> Instance:
    return Instance(
        instance_id="a",
        repo=repo,
        version=version,
        base_commit="0",
        problem_statement="",
        patch="",
        install_config=config,
    )


def test_a_version_finds_its_recipe_by_number() -> None:
    pythons = {}
    for repo, version in (("django/django", "3.2"), ("django/django", "4.1"), ("sympy/sympy", "1.12"), ("a/b", "1")):
        config = install_config_of(instance(repo, version))
        pythons[repo, version] = config and config.python
    assert pythons == {
        ("django/django", "3.2"): "3.6",
        ("django/django", "4.1"): "3.9",
        ("sympy/sympy", "1.12"): "3.9",
        ("a/b", "1"): None,
    }


def test_the_version_stands_in_the_install_command() -> None:
    config = install_config_of(instance("pytest-dev/pytest", "5.4"))
    assert config is not None
    assert "SETUPTOOLS_SCM_PRETEND_VERSION=5.4.0 " in config.install


def test_a_row_s_own_recipe_comes_first() -> None:
    own = InstallConfig(python="3.12")
    assert install_config_of(instance("django/django", "3.2", own)) == own


def test_no_two_recipes_are_for_the_same_version() -> None:
    ends = [(each.repo, end) for each in recipes() for end in {each.first, each.last}]
    for repo, version in ends:
        assert sum(each.fits(repo, version) for each in recipes()) == 1, (repo, version)


@pytest.mark.parametrize(
    ("repo", "version", "command"),
    [
        ("psf/requests", "2.4", "pytest -rA tests/test_a.py tests/b/helper.py 'tests/a b.py'"),
        (
            "django/django",
            "3.2",
            "./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1 test_a b.helper 'a b'",
        ),
    ],
)
def test_what_is_run_are_the_files_of_python_that_the_test_patch_changes(repo: str, version: str, command: str) -> None:
    paths = ("tests/test_a.py", "tests/data.json", "tests/b/helper.py", "tests/a b.py")
    recipe = recipe_of(instance(repo, version))
    assert recipe is not None
    assert recipe.test_command("".join(f"diff --git a/{path} b/{path}\n" for path in paths)) == command


@pytest.mark.filterwarnings("ignore")  # swebench's imports
def test_every_recipe_names_a_parser_of_swebench() -> None:
    for recipe in recipes():
        assert statuses(recipe.log_parser, "") == {}


@pytest.mark.skipif(not HAS_3_9, reason="there is no Python 3.9 here")
async def test_the_tests_of_requests_ask_an_httpbin_on_this_machine(tmp_path: Path) -> None:
    tree = tmp_path / "asking"
    tree.mkdir()
    (tree / "setup.py").write_text("from setuptools import setup\nsetup(name='asking', version='1', py_modules=[])\n")
    (tree / "test_asking.py").write_text(ASKS)
    config = install_config_of(instance("psf/requests", "2.4"))
    assert config is not None
    environment = await Environments(tmp_path / "cache", path=os.defpath).built(config, tree, name="asking")
    variables = {"PATH": environment.path, **environment.variables}
    command = [str(environment.python), "-m", "pytest", "test_asking.py"]
    run = subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, timeout=100, check=False)
    assert "1 passed" in run.stdout, run.stdout + run.stderr
