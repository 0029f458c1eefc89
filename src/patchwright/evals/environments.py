"""The environments that instances are worked on and graded in: one for each repository and version, kept in a cache.

An environment is a directory of the cache: `venv`, and `tree`, the place that the project was installed from, editable.
Work trees come before it on PYTHONPATH, and get the files that installing made and git ignores. Those alone stay in
`tree`: the sources there were those of one instance, and may hold the solution of another.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from patchwright.errors import BenchmarkError
from patchwright.evals.build import Build
from patchwright.evals.trees import QUICK
from patchwright.evals.uv import index_exports, python_of, uv_program
from patchwright.lock import locked_within
from patchwright.repo.git import Git, split
from patchwright.sandbox.settings import SandboxSettings
from patchwright.schema.instance import InstallConfig
from patchwright.schema.record import Record

_FINISHED = "finished.json"
_SEEDS = ("pip", "setuptools", "wheel")
"""What install commands take for granted."""
_SYSTEM_COMMAND = re.compile(r"\s*(sudo|apt|apt-get|yum|dnf|brew|conda|locale-gen)\b")
"""Rows made for a container bring these along; they are not for somebody's machine."""
_EDITABLE = re.compile(r"\s(-e|--editable)\b|\bdevelop\b")
_NOT_GENERATED = re.compile(r"(^|/)(__pycache__|build|dist|\.eggs|\.tox|\.git)(/|$)|\.pyc$")
_LAYOUTS = ("src", "lib")
_REQUIREMENT_FILE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Environment:
    """An environment for one work tree."""

    path: str
    """The PATH for commands: the environment's programs first."""
    python: Path
    variables: Mapping[str, str]
    """What commands need besides: PYTHONPATH, so that the work tree comes before the template."""
    readable: tuple[Path, ...]
    """What a sandbox must show, read-only."""


class _Finished(Record):
    """What is known of an environment once it is built."""

    roots: tuple[str, ...]
    """Where packages lie in the tree: "" for the tree itself, "src"."""
    generated: tuple[str, ...]
    """Files that installing made and that git ignores."""


class Environments:
    """Environments in the directory `cache`. Several processes can share it: one builds, the others wait.

    `path` is the PATH behind the environment's own; `timeout_s` bounds each command of a build and the wait for
    somebody else's.
    """

    def __init__(self, cache: Path, *, path: str = SandboxSettings().path, timeout_s: float = 1800) -> None:
        self._cache = cache.absolute()
        self._path = path
        self._timeout_s = timeout_s

    async def built(self, config: InstallConfig, tree: Path, *, name: str) -> Environment:
        """The environment `name` as `config` says, made when it isn't there, and `tree` made ready for it:
        `pre_install` is run in it, and it gets what installing generates.

        Raises BenchmarkError when it cannot be built; then nothing is left but its log.
        """
        directory = self._cache / await _directory_name(name, config, tree)
        finished = await self._finished(directory, config, tree)
        log = directory / "build.log"
        await _run_pre_install(config, Build(tree, log, timeout_s=self._timeout_s), directory / "venv")
        await asyncio.to_thread(_copy_generated, directory / "tree", tree, finished.generated)
        return Environment(
            path=f"{directory / 'venv' / 'bin'}:{self._path}",
            python=directory / "venv" / "bin" / "python",
            variables=_variables(tree, directory, finished),
            readable=(directory,),
        )

    async def _finished(self, directory: Path, config: InstallConfig, tree: Path) -> _Finished:
        if found := _read_finished(directory):
            return found
        self._cache.mkdir(parents=True, exist_ok=True)
        busy = BenchmarkError(
            f"another process has been building {directory} for {self._timeout_s:g} s",
            hint="wait for it to end, then try again",
        )
        async with locked_within(directory.with_name(f"{directory.name}.lock"), self._timeout_s, busy) as lock:
            if found := _read_finished(directory):
                return found
            # What an interrupted build has left: a virtual environment cannot be moved, so that it isn't built
            # elsewhere and renamed.
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
            directory.mkdir()
            finished = await self._build(directory, config, tree, lock)
            _write_finished(directory, finished)
            return finished

    async def _build(self, directory: Path, config: InstallConfig, tree: Path, lock: int) -> _Finished:
        template, venv, log = directory / "tree", directory / "venv", directory / "build.log"
        await _make_template(tree, template)
        build = Build(template, log, inherited_fds=(lock,), timeout_s=self._timeout_s)
        uv = str(uv_program())
        await build.run([uv, "venv", "--no-project", "--python", python_of(config.python), str(venv)], "uv venv")
        await _run_pre_install(config, build, venv)
        await _add_to_index(template)
        if config.pip_packages or config.install:
            requirements = [*_SEEDS, *_requirements(config.pip_packages)]
            install = [uv, "pip", "install", "--python", str(venv / "bin" / "python")]
            await build.run(_shell(venv, shlex.join([*install, *requirements])), "installing the packages")
        if config.install:
            await build.run(_shell(venv, config.install), f"`{config.install}`")
        # A sandbox shows the environment read-only: what is not compiled now would be compiled for every run. Some
        # packages hold files that are no Python. (uv's own way to compile fails with Python 3.6.)
        await build.run(_shell(venv, 'python -m compileall -q "$VIRTUAL_ENV/lib" >/dev/null || true'), "compiling")
        finished = _Finished(roots=_roots(template, venv), generated=await _generated(template))
        await asyncio.to_thread(_strip, template, set(await _made(template)))
        return finished


async def _directory_name(name: str, config: InstallConfig, tree: Path) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "environment"
    # What the tests are run with makes no difference to the environment.
    wanted = config.model_copy(update={"test_cmd": ""}).model_dump_json()
    # Two commits of a version may want other packages in a file of the same name.
    for file in await asyncio.to_thread(_requirement_files, config.pip_packages, tree):
        wanted += hashlib.sha256(file.read_bytes()).hexdigest()
    if config.install and not _EDITABLE.search(config.install):
        # The environment holds a copy of the project: it is for this very tree.
        wanted += await asyncio.to_thread(_digest, tree)
    return f"{readable}-{hashlib.sha256(f'{name} {wanted}'.encode()).hexdigest()[:12]}"


def _requirement_files(packages: tuple[str, ...], tree: Path) -> Sequence[Path]:
    """The files that `-r FILE` and `-c FILE` name, there and in one another."""
    found: list[Path] = []
    named = [(tree, "\n".join(_requirements(packages)))]
    while named:
        place, text = named.pop()
        for name in _REQUIREMENT_FILE.findall(text):
            file = (place / name).resolve()
            if file.is_file() and file not in found:
                found.append(file)
                named.append((file.parent, file.read_text(encoding="utf-8", errors="replace")))
    return found


def _digest(tree: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in tree.rglob("*") if path.is_file() and ".git" not in path.parts):
        digest.update(f"{file.relative_to(tree)}\n{file.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read_finished(directory: Path) -> _Finished | None:
    try:
        return _Finished.model_validate_json((directory / _FINISHED).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write_finished(directory: Path, finished: _Finished) -> None:
    partial = directory / f"{_FINISHED}.partial"
    partial.write_text(finished.model_dump_json(), encoding="utf-8")
    partial.replace(directory / _FINISHED)


async def _make_template(tree: Path, template: Path) -> None:
    """A copy of the tree with a repository of its own, which tells later what installing has made."""
    await asyncio.to_thread(shutil.copytree, tree, template, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    await Git(template).run("init", "--quiet", "--template=")
    await _add_to_index(template)


async def _add_to_index(template: Path) -> None:
    await Git(template, config=QUICK).run("add", "--all", "--force")


async def _run_pre_install(config: InstallConfig, build: Build, venv: Path) -> None:
    for command in config.pre_install:
        if not _SYSTEM_COMMAND.match(command):
            await build.run(_shell(venv, command), f"`{command}`")


def _shell(venv: Path, command: str) -> list[str]:
    """A bash command with the environment activated, and with the user's own settings for the rest."""
    lines = (
        f"export VIRTUAL_ENV={shlex.quote(str(venv))} LC_ALL=C.UTF-8",
        'export PATH="$VIRTUAL_ENV/bin:$PATH"',
        "unset PYTHONHOME PYTHONPATH",
        index_exports(),
        command,
    )
    return ["bash", "-c", "\n".join(lines)]


def _requirements(packages: tuple[str, ...]) -> list[str]:
    """Requirements as arguments; one that starts with an option ("-r requirements.txt") is several."""
    return [word for each in packages for word in (shlex.split(each) if each.startswith("-") else [each])]


def _roots(template: Path, venv: Path) -> tuple[str, ...]:
    """Where the install says that packages lie; where it doesn't say, the usual places that hold some."""
    written = [*venv.glob("lib/python*/site-packages/*.pth"), *venv.glob("lib/python*/site-packages/*.egg-link")]
    lines = [line.strip() for file in written for line in file.read_text(errors="replace").splitlines()]
    paths = [Path(line) for line in lines if line.startswith(f"{template}/") or line == str(template)]
    told = dict.fromkeys(path.relative_to(template).as_posix() for path in paths if path.is_dir())
    if told:
        return tuple("" if root == "." else root for root in told)
    return next(((layout,) for layout in _LAYOUTS if _holds_packages(template / layout)), ("",))


def _holds_packages(directory: Path) -> bool:
    return any(directory.glob("*.py")) or any(directory.glob("*/__init__.py")) or any(directory.glob("*/*/__init__.py"))


async def _generated(template: Path) -> tuple[str, ...]:
    """What installing made and git ignores."""
    return await _made(template, "--ignored", "--exclude-standard")


async def _made(template: Path, *options: str) -> tuple[str, ...]:
    found = split(await Git(template).run("ls-files", "-z", "--others", *options))
    return tuple(path for path in found if not _NOT_GENERATED.search(path))


def _strip(template: Path, kept: set[str]) -> None:
    """Removes all but the files in `kept`, git's own among them, and the directories that are empty then."""
    shutil.rmtree(template / ".git")
    for directory, _, files in os.walk(template, topdown=False):
        place = Path(directory)
        for name in files:
            if (place / name).relative_to(template).as_posix() not in kept:
                (place / name).unlink()
        with contextlib.suppress(OSError):  # not empty
            place.rmdir()
    template.mkdir(exist_ok=True)


def _copy_generated(template: Path, tree: Path, generated: tuple[str, ...]) -> None:
    for path in generated:
        target = tree / path
        if not target.exists() and (template / path).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(template / path, target)


def _variables(tree: Path, directory: Path, finished: _Finished) -> dict[str, str]:
    roots = ":".join(str(tree.absolute() / root) if root else str(tree.absolute()) for root in finished.roots)
    # `tox --current-env`, which some rows use, drops PYTHONPATH, and calls Python by a symlink of its own, which does
    # not find the virtual environment. The first is for tox 3, the second for tox 4.
    inside_tox = ":".join([roots, *map(str, directory.glob("venv/lib/python*/site-packages"))])
    tox = {"TOX_TESTENV_PASSENV": "PYTHONPATH", "TOX_OVERRIDE": f"testenv.setenv+=PYTHONPATH={inside_tox}"}
    return {"PYTHONPATH": roots, "VIRTUAL_ENV": str(directory / "venv"), "LC_ALL": "C.UTF-8", **tox}
