"""The tests nearest to a changed file, and the user's pytest command narrowed to them."""

import ast
import re
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from patchwright.repo.testing.files import subject_of

_SOURCE_DIRECTORIES = ("src", "lib", "python")
_TEST_DIRECTORIES = ("test", "tests", "testing")

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PYTHON = re.compile(r"python[\d.]*")
_PYTHON_WITH_VALUE = ("-X", "-W")
_RUNNERS = ("coverage", "env", "hatch", "pdm", "pipenv", "poetry", "run", "uv")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SHELL_CHARACTERS = re.compile(r"[;&|<>(){}*?\[\]~#!]")
# Even between double quotes.
_EXPANSIONS = re.compile(r"[$`\\\n]")
_WITH_VALUE = (
    *("-k", "-m", "-p", "-c", "-n", "-o", "-W", "-r", "--tb", "--maxfail", "--durations", "--timeout", "--cov"),
    *(
        "--cov-report",
        "--cov-config",
        "--ignore",
        "--ignore-glob",
        "--deselect",
        "--rootdir",
        "--confcutdir",
        "--color",
    ),
    *(
        "--junitxml",
        "--junit-xml",
        "--basetemp",
        "--log-level",
        "--import-mode",
        "--dist",
        "--numprocesses",
        "--reruns",
    ),
    *("--override-ini", "--pythonwarnings", "--capture", "--config-file", "--ds", "--asyncio-mode"),
)
_WITHOUT_VALUE = ("--verbose", "--quiet", "--exitfirst", "--showlocals", "--strict-markers", "--strict-config")


def nearest_tests(files: Sequence[str], changed: str, texts: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The test files that have to do with `changed`, best first; empty when nothing points to any.

    `files` are the repository's, relative to its top. A test file has to do with a module that its name names, that
    it imports (where `texts` has its source, by path), or that lies in the directory it stands for or lies in.
    """
    tests = [file for file in files if subject_of(file) is not None]
    scores = {test: _score(test, changed, files, (texts or {}).get(test, "")) for test in tests}
    return tuple(
        sorted((test for test in scores if any(scores[test])), key=lambda test: (*_negated(scores[test]), test))
    )


def narrowed(command: str, files: Sequence[str]) -> str | None:
    """The pytest command for these test files alone, where it would have come to them.

    `python -m pytest -q` becomes `python -m pytest -q tests/a.py`; paths that it names are left out, and so are files
    that lie in none of them. None when it isn't a single pytest command in plain words, when it selects single tests
    already, or when no file is left.
    """
    words = _words(command)
    start = _after_pytest(words)
    if start is None:
        return None
    split = _split(words[start:])
    if split is None:
        return None
    options, paths = split
    chosen = [file for file in files if not paths or any(_is_in(file, path) for path in paths)]
    if not chosen or any("::" in path for path in paths):
        return None
    return " ".join(_quoted(word) for word in (*words[:start], *options, *chosen))


def _score(test: str, changed: str, files: Sequence[str], text: str) -> tuple[int, int]:
    """What the name and the imports say, then how near the directories are; zeros when nothing does."""
    if test == changed:
        return (100, 0)
    return (_name_score(test, changed) + _import_score(text, _module_names(changed, files)), _shared(test, changed))


def _name_score(test: str, changed: str) -> int:
    subject = (subject_of(test) or "").lower()
    *_, directory, name = ("", *PurePosixPath(changed).with_suffix("").parts)
    name = (directory if name in ("__init__", "__main__") else name).lower().lstrip("_")
    if subject in (name, f"{directory.lower()}_{name}"):
        return 4
    if subject.startswith(f"{name}_") or name.startswith(f"{subject}_"):
        return 2
    return 1 if name in subject.split("_") else 0


def _import_score(text: str, modules: Sequence[str]) -> int:
    imported = set(_imported(text))
    if imported.intersection(modules):
        return 3
    packages = {module.rpartition(".")[0] for module in modules} - {""}
    return 1 if imported.intersection(packages) else 0


def _imported(text: str) -> Iterator[str]:
    """Absolute names. `from a import b` may mean a module `a.b`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_names(path: str, files: Sequence[str]) -> tuple[str, ...]:
    """What it may be imported as: from the outermost package, from the top, from a source directory."""
    parts = PurePosixPath(path).with_suffix("").parts
    present = set(files)
    start = len(parts) - 1
    while start > 0 and "/".join((*parts[:start], "__init__.py")) in present:
        start -= 1
    parts_from = [parts[start:], parts, parts[1:] if parts[0] in _SOURCE_DIRECTORIES else parts]
    names = (".".join(each[:-1] if each[-1] == "__init__" else each) for each in parts_from)
    return tuple(name for name in dict.fromkeys(names) if name)


def _shared(test: str, changed: str) -> int:
    """How many directories both lie in, whether tests lie beside the code or in a tree of their own."""
    left_out = {*_SOURCE_DIRECTORIES, *_TEST_DIRECTORIES}
    first, second = (set(PurePosixPath(path).parent.parts) - left_out for path in (test, changed))
    return len(first & second)


def _negated(score: tuple[int, int]) -> tuple[int, int]:
    return (-score[0], -score[1])


def _words(command: str) -> list[str]:
    """Empty when the shell would do more than split it."""
    if _EXPANSIONS.search(command) or _SHELL_CHARACTERS.search(_QUOTED.sub("", command)):
        return []
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _after_pytest(words: Sequence[str]) -> int | None:
    """Where pytest's own arguments start."""
    previous = ""
    for index, word in enumerate(words):
        name = PurePosixPath(word).name
        if name in ("pytest", "py.test"):
            return index + 1
        is_value = previous in _PYTHON_WITH_VALUE
        if not (is_value or _ASSIGNMENT.fullmatch(word) or word.startswith("-") or _is_runner(name)):
            return None
        previous = word
    return None


def _is_runner(name: str) -> bool:
    return name in _RUNNERS or _PYTHON.fullmatch(name) is not None


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Options with their values, and paths; None where the one cannot be told from the other."""
    options: list[str] = []
    paths: list[str] = []
    previous = ""
    for word in arguments:
        if previous in _WITH_VALUE or word.startswith("-"):
            options.append(word)
        elif _may_take_value(previous):
            return None
        else:
            paths.append(word)
        previous = "" if previous in _WITH_VALUE else word
    return None if "--" in options or "--pyargs" in options else (options, paths)


def _may_take_value(option: str) -> bool:
    return option.startswith("--") and "=" not in option and option not in _WITHOUT_VALUE


def _is_in(file: str, path: str) -> bool:
    return PurePosixPath(file).is_relative_to(PurePosixPath(path.partition("::")[0]))


def _quoted(word: str) -> str:
    assignment = _ASSIGNMENT.fullmatch(word)
    return f"{assignment[1]}={shlex.quote(assignment[2])}" if assignment else shlex.quote(word)
