"""Toolchains in hidden directories: what must be visible again for the programs on PATH to run.

pyenv, uv, nvm, cargo and virtual environments live in the home directory, which the sandbox hides. For a
directory `X/bin` on PATH, X comes back if it is an installation by the look of it, and else only what
programs use in it: `~/.cargo` holds a token beside its programs, `~/Documents/bin` has letters beside it.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_INSTALLATIONS = (
    *("pyvenv.cfg", "conda-meta", "lib/python3*", "lib/node_modules", "include/node", "lib/ruby", "lib/rustlib"),
    *("jmods", "lib/modules", "pkg/tool"),
)
"""What tells an installation, of Python, node, Ruby, Rust, Java, Go, from a directory that has programs too."""
_PARTS = (
    *("bin", "sbin", "lib", "lib32", "lib64", "libexec", "include", "share", "etc", "ssl"),
    *("shims", "plugins", "versions", "version", "pyenv.d", "installs", "toolchains"),
)
_PARTS_OF = {".local": ("bin", "lib"), ".cargo": ("bin", "registry", "git")}
"""Where it is not the usual: ~/.local/share holds keyrings."""
_COMPANIONS = {".cargo": (".rustup",)}
_INTERPRETER = re.compile(r"python[\d.]*")
_VIRTUAL_ENVIRONMENTS = (".venv", "venv", "env")
# As in the kernel.
_SYMLINK_LIMIT = 40


class Toolchains:
    """Collects the paths to show, for a home directory, hidden directories and a work tree (all resolved)."""

    def __init__(self, home: Path, hidden: Iterable[Path], work_tree: Path) -> None:
        self._home = home
        self._hidden = tuple(hidden)
        self._work_tree = work_tree
        self._seen: set[Path] = set()
        self._found: set[Path] = set()

    def visible(self, path: str, interpreter: Path, readable: Iterable[Path]) -> tuple[Path, ...]:
        """Every hidden path to show for this PATH, this Python and these further paths, none below another."""
        own = (self._work_tree / name / "bin" for name in _VIRTUAL_ENVIRONMENTS)
        for entry in (*map(Path, filter(None, path.split(":"))), *own, interpreter.parent):
            self._add_programs(entry)
        for place in readable:
            self._found.update(each for each in (place, place.resolve()) if self._is_hidden(each))
        return tuple(_outermost(path for path in self._found if os.path.lexists(path)))

    def _add_programs(self, directory: Path) -> None:
        if directory in self._seen or not directory.is_absolute() or not _is_readable(directory):
            return
        self._seen.add(directory)
        real = directory.resolve()
        if _is_below(real, self._work_tree):
            self._add_interpreters(real)
            return
        self._found.update(part for part in self._parts(directory) if self._may_show(part))
        if real != directory:
            self._add_programs(real)
            return
        for target in _targets(directory):
            self._add_target(target)
        self._add_programs(_base_of(directory.parent))

    def _add_interpreters(self, directory: Path) -> None:
        """A virtual environment in the work tree: commands can change it, so only Pythons are believed."""
        pythons = [target.parent for target in _targets(directory) if _INTERPRETER.fullmatch(target.name)]
        for place in (*pythons, _base_of(directory.parent)):
            if place.name == "bin" and any(place.parent.glob("lib/python3*")):
                self._add_programs(place)

    def _add_target(self, target: Path) -> None:
        directory = target.parent
        if directory.name in ("bin", "sbin"):
            self._add_programs(directory)
        elif self._may_show(target) and target.is_file():
            self._found.add(target)

    def _parts(self, directory: Path) -> Iterator[Path]:
        yield directory
        prefix = directory.parent
        if directory.name not in ("bin", "sbin") or not self._may_show(prefix):
            return
        is_dot_directory = prefix.parent == self._home and prefix.name.startswith(".")
        if not is_dot_directory and any(any(prefix.glob(sign)) for sign in _INSTALLATIONS):
            yield prefix
            return
        yield from (prefix / part for part in _PARTS_OF.get(prefix.name, _PARTS))
        yield from (self._home / name for name in _COMPANIONS.get(prefix.name, ()))

    def _may_show(self, path: Path) -> bool:
        """Never the home directory itself, nor what holds it."""
        return self._is_hidden(path) and not any(_is_below(place, path) for place in (self._home, *self._hidden))

    def _is_hidden(self, path: Path) -> bool:
        return any(_is_below(path, place) for place in self._hidden)


def _is_below(path: Path, place: Path) -> bool:
    # As `is_relative_to`, twenty times as fast: there are thousands of programs on a PATH.
    return str(path) == str(place) or str(path).startswith(f"{place}/")


def _is_readable(directory: Path) -> bool:
    # Nothing is raised for what lies in somebody else's directory.
    return os.access(f"{directory}/", os.R_OK | os.X_OK)


def _base_of(environment: Path) -> Path:
    """The directory of the Python that a virtual environment was made from; a relative path if it isn't one."""
    config = environment / "pyvenv.cfg"
    lines = config.read_text(encoding="utf-8", errors="replace").splitlines() if config.is_file() else []
    settings = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    return Path(settings.get("home", ""))


def _targets(directory: Path) -> Iterator[Path]:
    """Where the symlinks that lead out of a directory lead to, each step of the way."""
    with os.scandir(directory) as entries:
        links = [directory / entry.name for entry in entries if entry.is_symlink()]
    for link in links:
        # Most of the thousands in /usr/bin lead to a neighbour, which is looked at itself.
        if len(link.readlink().parts) > 1:
            yield from _steps(link)


def _steps(link: Path) -> Iterator[Path]:
    step = link
    for _ in range(_SYMLINK_LIMIT):
        if not step.is_symlink():
            break
        step = Path(os.path.normpath(step.parent / step.readlink()))
        yield step
    yield Path(os.path.realpath(step))


def _outermost(paths: Iterable[Path]) -> Iterator[Path]:
    last: Path | None = None
    for path in sorted(paths):
        if last is None or not _is_below(path, last):
            last = path
            yield path
