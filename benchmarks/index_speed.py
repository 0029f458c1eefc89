"""Prints how long it takes to index a directory for the first time, and again with nothing changed.

    python benchmarks/index_speed.py DIRECTORY [COUNT]

A DIRECTORY that does not exist is made, with COUNT Python files (5,000) of about 10 kB.
"""

import sys
import tempfile
import time
from pathlib import Path

from patchwright.repo.index.files import PYTHON
from patchwright.repo.index.index import Index

FUNCTION = '''
def load_{noun}_{number}(source, default=None, *, strict=False):
    """Read the {noun} number {number} from its source and check each {verb} of it."""
    result = []
    for line in source.read_lines():
        if not line.strip() or (strict and line.startswith("#")):
            continue
        result.append(parse_{verb}_{number}(line, default=default))
    return {noun}Registry(result).{verb}_all()
'''
NOUNS = ("Header", "Invoice", "Session", "Token", "Widget", "Schema", "Packet", "Ledger")
VERBS = ("merge", "escape", "format", "resolve", "attach", "encode", "reduce")


def main() -> None:
    directory = Path(sys.argv[1])
    if not directory.exists():
        make(directory, int(sys.argv[2]) if len(sys.argv) > 2 else 5000)
    files = [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]
    python = sum(Path(file).suffix in PYTHON for file in files)
    with tempfile.TemporaryDirectory() as kept:
        database = Path(kept, "index.sqlite")
        cold_s = seconds(database, directory, files)
        warm_s = seconds(database, directory, files)
        size_bytes = database.stat().st_size
    print(f"{python} Python files of {len(files)}: cold {cold_s:.2f} s, warm {warm_s:.2f} s, {size_bytes / 1e6:.0f} MB")


def seconds(database: Path, directory: Path, files: list[str]) -> float:
    start = time.perf_counter()
    with Index(database) as index:
        index.update(directory, files)
    return time.perf_counter() - start


def make(directory: Path, count: int) -> None:
    for number in range(count):
        file = directory / f"package_{number % 50}" / f"module_{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        functions = (
            FUNCTION.format(noun=NOUNS[i % len(NOUNS)], verb=VERBS[i % len(VERBS)], number=number + i)
            for i in range(25)
        )
        file.write_text("import os\n" + "".join(functions), encoding="utf-8")


if __name__ == "__main__":
    main()
