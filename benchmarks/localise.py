"""Prints how often localisation finds the file and the function that the gold patch changes, from the issue alone.

    python benchmarks/localise.py ROWS.jsonl REPOS_DIR [every other: 0 or 1]

ROWS.jsonl: instances in SWE-bench's format. REPOS_DIR/OWNER+NAME/repo: a git directory of each repository; rows
whose commit is not there are counted and left out. Found at k: one of the gold patch's files (of its functions)
is among the first k files (locations). A gold function is the innermost symbol around a changed line.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from patchwright.repo.index.index import Index
from patchwright.resolve.issue import read_issue
from patchwright.resolve.localise import localise

CUTS = (1, 5, 10)
LOCATIONS = 200
_HUNK = re.compile(r"@@ -(\d+)")


def main() -> None:
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    chosen = rows[int(sys.argv[3]) :: 2] if len(sys.argv) > 3 else rows
    ranks = [(row["instance_id"], *found) for row in chosen if (found := ranks_of(row, Path(sys.argv[2])))]
    for instance, file, function in ranks:
        print(f"{instance}: file {file or '-'}, function {function or '-'}", file=sys.stderr)
    print(f"{len(ranks)} instances, {len(chosen) - len(ranks)} left out: repository or commit not there")
    print("| found at | " + " | ".join(map(str, CUTS)) + " |\n|---|" + "---|" * len(CUTS))
    for name, column in (("file", 1), ("function", 2)):
        shares = [sum(0 < rank[column] <= cut for rank in ranks) / max(1, len(ranks)) for cut in CUTS]
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")


def ranks_of(row: dict[str, str], repositories: Path) -> tuple[int, int] | None:
    """The rank of the first gold file and of the first gold function, from 1; 0 where there is none."""
    git = repositories / row["repo"].replace("/", "+") / "repo"
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "tree")
        root.mkdir()
        if not check_out(git, row["base_commit"], root):
            return None
        with Index(Path(directory, "index.sqlite")) as index:
            return rank_in(index, root, row)


def check_out(git: Path, commit: str, root: Path) -> bool:
    archive = subprocess.run(["git", "-C", git, "archive", commit], capture_output=True, check=False)
    if archive.returncode == 0:
        subprocess.run(["tar", "x", "-C", root], input=archive.stdout, check=True)
    return archive.returncode == 0


def rank_in(index: Index, root: Path, row: dict[str, str]) -> tuple[int, int]:
    start = time.perf_counter()
    index.update(root, [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()])
    indexed = time.perf_counter()
    issue = row["problem_statement"]
    locations = localise(read_issue(issue), issue, index, {}, LOCATIONS)
    print(
        f"{row['instance_id']}: index {indexed - start:.1f} s, search {time.perf_counter() - indexed:.2f} s",
        file=sys.stderr,
    )
    changed = changed_lines(row["patch"])
    gold = {(path, found.symbol.name) for path, line in changed if (found := index.at(path, line))}
    files = list(dict.fromkeys(location.path for location in locations))
    return rank(files, {path for path, _ in changed}), rank([(each.path, each.name) for each in locations], gold)


def rank(ranked: Sequence[object], gold: set[object]) -> int:
    return next((place for place, each in enumerate(ranked, start=1) if each in gold), 0)


def changed_lines(patch: str) -> set[tuple[str, int]]:
    """Old-side lines that are removed, and those that something is added behind."""
    changed: set[tuple[str, int]] = set()
    path, at = "", 0
    for line in patch.splitlines():
        if line.startswith("--- "):
            path = line[4:].removeprefix("a/")
        elif hunk := _HUNK.match(line):
            at = int(hunk[1])
        elif line.startswith("-"):
            changed.add((path, at))
            at += 1
        elif line.startswith("+") and not line.startswith("+++ "):
            changed.add((path, max(1, at - 1)))
        elif line.startswith(" "):
            at += 1
    return changed


if __name__ == "__main__":
    main()
