"""QuixBugs (Lin et al., 2017): forty Python programs of one line's bug each, from a checkout of its repository."""

from pathlib import Path

from patchwright.errors import BenchmarkError
from patchwright.evals.exercises import Exercise, Exercises, gold_patch, text_of
from patchwright.schema.instance import Instance

_SHARED = ("conftest.py", "python_testcases/load_testdata.py", "python_testcases/node.py", "python_programs/node.py")


def quixbugs(checkout: Path, path: str) -> Exercises:
    """Each program becomes a small repository with its tests, which are its test command.

    The tests are there and the issue says no more than that they fail. Raises BenchmarkError.
    """
    tests = sorted((checkout / "python_testcases").glob("test_*.py"))
    if not tests:
        raise BenchmarkError(
            f"{checkout} holds no python_testcases",
            hint="name a checkout of https://github.com/jkoppel/QuixBugs, or that URL",
        )
    exercises = [_exercise(checkout, test.stem.removeprefix("test_")) for test in tests]
    return Exercises("quixbugs", exercises, path, hidden=(checkout.resolve(),))


def _exercise(checkout: Path, program: str) -> Exercise:
    source, test = f"python_programs/{program}.py", f"python_testcases/test_{program}.py"
    wanted = (*_SHARED, source, test, f"json_testcases/{program}.json")
    files = {name: text_of(checkout / name, checkout) for name in wanted if (checkout / name).exists()}
    solved = {source: text_of(checkout / "correct_python_programs" / f"{program}.py", checkout)}
    instance = Instance(
        instance_id=f"quixbugs__{program}",
        repo="jkoppel/QuixBugs",
        base_commit="",
        problem_statement=f"`{program}` in {source} does not work: its tests in {test} fail.",
        patch=gold_patch(files, solved),
    )
    return Exercise(instance, files, solution=(source,), tests=(test,))
