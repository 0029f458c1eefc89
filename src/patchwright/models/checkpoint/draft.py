"""What takes its name when it is whole: nothing half-written is left behind, whatever ends the program."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patchwright.errors import ModelError
from patchwright.lock import taken


@contextmanager
def appearing(target: Path, size_bytes: int = 0) -> Generator[Path]:
    """A path beside `target`, which takes its name when all went well and is gone when not.

    It is on the disk before it has the name. `size_bytes`: about how large it will be. What a killed program left
    half-written beside `target` is removed. Raises ModelError when there is something of that name, when there is too
    little space, or when it cannot be written.
    """
    try:
        if os.path.lexists(target):
            raise _taken(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        _check_space(target, size_bytes)
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix=_prefix(target)) as directory,
            _held(Path(directory)),
        ):
            draft = Path(directory) / target.name
            yield draft
            _sync(draft)
            _name(draft, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from None


def _prefix(target: Path) -> str:
    return f".{target.name}.new-"


@contextmanager
def _held(directory: Path) -> Generator[None]:
    """A lock that ends with the process, so that others see whether anybody still writes there."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(target: Path) -> None:
    for directory in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        # Nothing is in it before it is locked.
        with suppress(FileNotFoundError):
            if any(directory.iterdir()) and _is_abandoned(directory):
                shutil.rmtree(directory)


def _is_abandoned(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        return taken(descriptor)
    finally:
        os.close(descriptor)


def _check_space(target: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if size_bytes > free:
        raise ModelError(
            f"not enough space in {target.parent}: {target.name} needs {size_bytes:,} bytes, {free:,} are free",
            hint="free some space, or name another place",
        )


def _sync(draft: Path) -> None:
    for path in _with_all_inside(draft):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _with_all_inside(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from path.rglob("*")
    yield path


def _name(draft: Path, target: Path) -> None:
    """Raises FileExistsError when another run was quicker."""
    if draft.is_dir():
        target.mkdir()
        draft.replace(target)
        return
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: what took an hour is not lost for that
        draft.replace(target)


def _taken(target: Path) -> ModelError:
    return ModelError(f"{target} is there already", hint="remove it, or name another place")
