"""Toolchains in hidden directories: what must be visible again for the programs on PATH to run.

pyenv, uv, nvm, cargo and virtual environments live in the home directory, which the sandbox hides.
For a directory `X/bin` on PATH the prefix X comes back, but never the home directory itself, and of a dot
directory in it only what belongs to a toolchain: `~/.cargo` holds a token beside its programs.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

# fmt: off
_TOOLCHAIN_PARTS = (
    "bin", "sbin", "lib", "lib32", "lib64", "libexec", "include", "share", "etc", "ssl", "conda-meta", "envs",
    "pyvenv.cfg", "shims", "plugins", "versions", "version", "pyenv.d", "installs", "install", "toolchains",
    "registry", "git", "pkg",
)
# fmt: on
_PARTS_OF = {".local": ("bin", "lib")}
"""Where less than the usual may be shown: ~/.local/share holds keyrings."""
_COMPANIONS = {".cargo": (".rustup",)}
_INTERPRETER = re.compile(r"python[\d.]*")
_VIRTUAL_ENVIRONMENTS = (".venv", "venv", ".tox", "env")


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
        for entry in filter(None, path.split(":")):
            self._add_entry(Path(entry))
        for name in _VIRTUAL_ENVIRONMENTS:
            self._add_entry(self._work_tree / name / "bin")
        self._add_entry(interpreter.parent)
        for place in readable:
            self._show(place)
            self._show(place.resolve())
        return tuple(_outermost(self._found))

    def _add_entry(self, directory: Path) -> None:
        if not directory.is_absolute() or directory in self._seen or not directory.is_dir():
            return
        self._seen.add(directory)
        if directory.resolve().is_relative_to(self._work_tree):
            self._add_interpreters(directory)
            return
        for place in (directory, directory.resolve()):
            for part in self._parts(place):
                self._show(part)
        for hop in _hops(directory):
            self._add_target(hop)
        self._add_base(directory)

    def _add_interpreters(self, directory: Path) -> None:
        """A virtual environment in the work tree: commands can write to it, so only Pythons are believed."""
        for hop in _hops(directory):
            if _INTERPRETER.fullmatch(hop.name) and _is_python_prefix(hop.parent):
                self._add_entry(hop.parent)

    def _add_target(self, target: Path) -> None:
        if target.parent.name in ("bin", "sbin"):
            self._add_entry(target.parent)
        elif target.is_file():
            self._show(target)
            self._show(target.resolve())

    def _add_base(self, directory: Path) -> None:
        """The Python that a virtual environment was made from."""
        config = directory.parent / "pyvenv.cfg"
        if not config.is_file():
            return
        for line in config.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                self._add_entry(Path(value.strip()))

    def _parts(self, directory: Path) -> Iterator[Path]:
        prefix = directory.parent
        yield directory
        if directory.name not in ("bin", "sbin") or self._holds_hidden(prefix):
            return
        if prefix.parent != self._home or not prefix.name.startswith("."):
            yield prefix
            return
        yield from (prefix / part for part in _PARTS_OF.get(prefix.name, _TOOLCHAIN_PARTS))
        yield from (self._home / name for name in _COMPANIONS.get(prefix.name, ()))

    def _show(self, path: Path) -> None:
        if self._is_hidden(path) and not self._holds_hidden(path) and path.exists():
            self._found.add(path)

    def _is_hidden(self, path: Path) -> bool:
        return any(path.is_relative_to(place) for place in self._hidden)

    def _holds_hidden(self, path: Path) -> bool:
        return any(place.is_relative_to(path) for place in (self._home, *self._hidden))


def _hops(directory: Path) -> Iterator[Path]:
    """Where the symlinks in a directory lead to, each step of the way."""
    for entry in directory.iterdir():
        step = entry
        for _ in range(40):
            if not step.is_symlink():
                break
            step = step.parent / step.readlink()
            yield step
        if step != entry:
            yield step.resolve()


def _is_python_prefix(directory: Path) -> bool:
    prefix = directory.parent
    return directory.name == "bin" and any(prefix.glob("lib/python3*")) and any(directory.glob("python3*"))


def _outermost(paths: Iterable[Path]) -> Iterator[Path]:
    last: Path | None = None
    for path in sorted(paths):
        if last is None or not path.is_relative_to(last):
            last = path
            yield path
