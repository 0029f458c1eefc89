"""Recipes: the row's own comes first, a version finds the range that it lies in."""

from patchwright.evals.recipes import install_config_of, recipes
from patchwright.schema.instance import InstallConfig, Instance


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
