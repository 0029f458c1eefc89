"""By what a file is known again without being read."""

from pathlib import Path

from patchwright.errors import EngineError


def stamp(path: Path) -> tuple[str, int, int]:
    """Where it is, its size in bytes, and when it was changed, in nanoseconds. Raises EngineError."""
    try:
        file = path.stat()
    except OSError as error:
        raise EngineError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return str(path.resolve()), file.st_size, file.st_mtime_ns


def stamps(model: Path) -> list[tuple[str, int, int]]:
    """Of a file, or of all files in a directory. Raises EngineError."""
    files = sorted(file for file in model.iterdir() if file.is_file()) if model.is_dir() else [model]
    return [stamp(file) for file in files]
