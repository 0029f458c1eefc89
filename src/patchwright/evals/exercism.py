"""Exercism's Python track, and the part of it that is in Aider's polyglot benchmark: programs to be written."""

from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ValidationError

from patchwright.errors import BenchmarkError
from patchwright.evals.exercises import Exercise, Exercises, gold_patch, text_of
from patchwright.schema.instance import Instance

_INSTRUCTIONS = ("introduction.md", "instructions.md", "instructions.append.md")


def _inside(name: str) -> str:
    """And not in what git would take for its own configuration, which names programs."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name} leads out of the exercise")
    if "\0" in name or any(part.casefold() == ".git" for part in path.parts):
        raise ValueError(f"{name!r} cannot be a file of an exercise")
    return name


_Name = Annotated[str, AfterValidator(_inside)]


class _Files(BaseModel):
    solution: tuple[_Name, ...]
    test: tuple[_Name, ...]
    example: tuple[_Name, ...] = ()
    editor: tuple[_Name, ...] = ()
    """Further files that the tests need."""


class _Config(BaseModel):
    """What is needed of .meta/config.json."""

    files: _Files


def polyglot(checkout: Path, path: str) -> Exercises:
    """The Python exercises of a checkout of github.com/Aider-AI/polyglot-benchmark. Raises BenchmarkError."""
    practice = checkout / "python" / "exercises" / "practice"
    return _exercises("polyglot", "Aider-AI/polyglot-benchmark", checkout, practice, path)


def exercism(checkout: Path, path: str) -> Exercises:
    """The practice exercises of a checkout of github.com/exercism/python. Raises BenchmarkError."""
    return _exercises("exercism", "exercism/python", checkout, checkout / "exercises" / "practice", path)


def _exercises(name: str, repo: str, checkout: Path, practice: Path, path: str) -> Exercises:
    """Each exercise is its instructions, its stub and its tests; the tests are there, and are the test command.

    All of the checkout is hidden: its history has the solutions, too.
    """
    configs = sorted(practice.glob("*/.meta/config.json"))
    if not configs:
        raise BenchmarkError(
            f"{practice} holds no exercises", hint=f"name a checkout of https://github.com/{repo}, or that URL"
        )
    exercises = [_exercise(name, repo, config) for config in configs]
    return Exercises(name, exercises, path, hidden=(checkout.resolve(),))


def _exercise(name: str, repo: str, config: Path) -> Exercise:
    root = config.parent.parent
    try:
        named = _Config.model_validate_json(text_of(config, root)).files
    except ValidationError as error:
        raise BenchmarkError(f"{config}: {error.errors(include_url=False)[0]['msg'].lower()}") from None
    beside = [path.name for path in sorted(root.glob("*.py"))]  # error-handling's tests need one that is not named
    files = {each: text_of(root / each, root) for each in (*named.solution, *named.test, *named.editor, *beside)}
    examples = dict(zip(named.solution, (text_of(root / each, root) for each in named.example), strict=False))
    parts = [root / ".docs" / part for part in _INSTRUCTIONS]
    instructions = "\n".join(text_of(part, root) for part in parts if part.exists())
    instance = Instance(
        instance_id=f"{name}__{root.name}",
        repo=repo,
        base_commit="",
        problem_statement=f"{instructions}\nWrite it in {', '.join(named.solution)}, for the tests in "
        f"{', '.join(named.test)} to pass. Do not rename what is there: the tests call it.",
        patch=gold_patch(files, examples),
    )
    return Exercise(instance, files, solution=named.solution, tests=named.test)
