"""SWE-smith's rows, which say neither how their project is installed nor how it is tested: swesmith's profiles do."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from patchwright.errors import BenchmarkError
from patchwright.evals.eval_script import changed_files, made_eval_script
from patchwright.evals.uv import EXTRA_HINT
from patchwright.repo.testing.files import is_test
from patchwright.schema.instance import InstallConfig, Instance
from patchwright.schema.record import Record

SMITH = re.compile(r"swesmith/(?P<owner>.+?)__(?P<name>.+)\.(?P<commit>[0-9a-f]{7,40})")
"""SWE-smith's name for a repository: the origin's owner and name, and the commit that it is a copy of."""

_PROGRAM = Path(__file__).with_name("smith_program.py")
_OF_ITS_TIME = ("pip<25", "setuptools<76", "pytest<9")
"""What SWE-smith's images have, whose list of packages is not published with swesmith."""
_TEST_REQUIREMENTS = """\
find . -maxdepth 3 -path '*requirements*' -name '*.txt' | grep -E '^\\./requirements\\.txt$|dev|test' | sort |
    while read -r file; do python -m pip install -r "$file" </dev/null; done
python -m pip install -e '.[dev,test,tests,testing]'
"""
"""In place of the rest of that list: what the project says that its tests need. pip only warns of extras that a project
has not; what cannot be installed may not be needed."""
_IN_THE_TREE = re.compile(r"(rm|sed)\s")
_ONLY_IN_THE_IMAGE = re.compile(r"(apt-get|git)\s")
"""A tree of one commit has no remotes, and is to get no other commits."""
_COPYING, _EDITABLE = "python setup.py install", "python -m pip install -e ."
"""What the environment held a copy of would show one instance the solution of another."""


class Profile(Record):
    """What swesmith says of an instance."""

    commit: str
    python: str
    install_cmds: tuple[str, ...]
    test_cmd: str
    test_files: tuple[str, ...]

    def config(self) -> InstallConfig:
        commands = [each.replace(_COPYING, _EDITABLE) for each in self.install_cmds]
        installing = [each for each in commands if not _ONLY_IN_THE_IMAGE.match(each)]
        return InstallConfig(
            python=self.python,
            pip_packages=_OF_ITS_TIME,
            pre_install=tuple(each for each in installing if _IN_THE_TREE.match(each)),
            install=_TEST_REQUIREMENTS + " && ".join(each for each in installing if not _IN_THE_TREE.match(each)),
            test_cmd=self.command,
        )

    @property
    def command(self) -> str:
        """Without what activates the image's environment, and with a summary that swebench reads."""
        return f"{self._own_command} -rA" if self._runs_pytest else self._own_command

    @property
    def log_parser(self) -> str:
        """swebench's, which reads the outcomes that the profile's own reads. Those that don't run pytest run unittest,
        as Django does."""
        return "parse_log_pytest" if self._runs_pytest else "parse_log_django"

    @property
    def _own_command(self) -> str:
        return self.test_cmd.rpartition("; ")[2]

    @property
    def _runs_pytest(self) -> bool:
        return "pytest" in self._own_command.split()


_ANSWERS = TypeAdapter(tuple[Profile | str, ...])
"""What the program says of each row: a profile, or why there is none."""


def is_smith(instance: Instance) -> bool:
    return SMITH.fullmatch(instance.repo) is not None


def lacks_profile(instance: Instance) -> bool:
    """Whether nothing but a profile can say how it is tested."""
    return is_smith(instance) and not instance.eval_script


def profiled(instances: Iterable[Instance], python: str = sys.executable) -> tuple[Instance, ...]:
    """With an install_config and an eval_script where a row of SWE-smith has none and swesmith knows its project; the
    others as they are. swesmith is imported by the interpreter `python`, and only where there is such a row.
    """
    instances = tuple(instances)
    asked = [each for each in instances if lacks_profile(each)]
    try:
        answers = iter(profiles(asked, python))
    except BenchmarkError:  # whoever is to be graded hears of it
        return instances
    return tuple(_with(next(answers), each) if lacks_profile(each) else each for each in instances)


def check_profile(instance: Instance, python: str = sys.executable) -> None:
    """Raises BenchmarkError that says why there is no profile of an instance that lacks one."""
    for answer in profiles([instance] if lacks_profile(instance) else [], python):
        if isinstance(answer, str):
            raise BenchmarkError(
                f"nothing says how {instance.repo} is tested: {answer}",
                hint="a row can bring an install_config with a test_cmd",
            )


def without_profile(instances: Iterable[Instance], python: str = sys.executable) -> Mapping[str, str]:
    """Why there is no profile of those that lack one, by id."""
    asked = [each for each in instances if lacks_profile(each)]
    try:
        answers = profiles(asked, python)
    except BenchmarkError as error:
        return {each.instance_id: error.with_hint for each in asked}
    return {each.instance_id: answer for each, answer in zip(asked, answers, strict=True) if isinstance(answer, str)}


def hidden_tests(instance: Instance) -> Sequence[str]:
    """The files of FAIL_TO_PASS, which SWE-smith's own branches are without while they are worked on. Where there is a
    test patch, it brings what is hidden."""
    if not is_smith(instance) or instance.test_patch.strip():
        return ()
    return _tests_in(instance, (name.partition("::")[0] for name in instance.fail_to_pass))


def _tests_in(instance: Instance, files: Iterable[str]) -> Sequence[str]:
    """Without what is to be mended: doctests are in there, or it is itself for testing."""
    return sorted(file for file in set(files) - set(changed_files(instance.patch)) if is_test(file))


def _with(profile: Profile | str, instance: Instance) -> Instance:
    if isinstance(profile, str):
        return instance
    config = instance.install_config or profile.config()
    config = config.model_copy(update={"test_cmd": profile.command})
    tests = _tests_in(instance, profile.test_files)
    return instance.model_copy(
        update={
            "base_commit": profile.commit,
            "install_config": config,
            "log_parser": instance.log_parser or profile.log_parser,
            "eval_script": made_eval_script(profile.commit, instance.test_patch, config.test_cmd, tests),
        }
    )


def profiles(instances: Sequence[Instance], python: str = sys.executable) -> tuple[Profile | str, ...]:
    """What swesmith says of each, or why it says nothing. Raises BenchmarkError when swesmith cannot be imported."""
    if not instances:
        return ()
    rows = [
        {
            "repo": each.repo,
            "FAIL_TO_PASS": _one_of_each_file(each.fail_to_pass),
            "PASS_TO_PASS": _one_of_each_file(each.pass_to_pass),
        }
        for each in instances
    ]
    result = subprocess.run(
        [python, "-P", str(_PROGRAM)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        env=_environment(os.environ),
        check=False,
    )
    if result.returncode:
        said = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        raise BenchmarkError(f"swesmith cannot be imported: {said[-1]}", hint=EXTRA_HINT)
    return _ANSWERS.validate_json(result.stdout.splitlines()[-1])


def _environment(own: Mapping[str, str]) -> Mapping[str, str]:
    """A .env file somewhere above the packages is not for us."""
    return {**own, "PYTHON_DOTENV_DISABLED": "1"}


def _one_of_each_file(tests: Sequence[str]) -> Sequence[str]:
    """A row can name ten thousand tests, and profiles ask for their files alone."""
    return tuple({name.partition("::")[0]: name for name in tests}.values())
