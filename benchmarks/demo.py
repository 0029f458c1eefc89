"""How often the demo's bug is fixed, and how long that takes: python benchmarks/demo.py [RUNS]

Takes the project that script/demo has fetched, so run that first. Each run starts from the released source and is
sampled anew; it counts as fixed when `patchwright run` exits with 0, which it does only after the reproduction and the
project's own tests have passed.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "patchwright-demo"
ARCHIVE = DEMO / "validators-0.14.2.tar.gz"
EXAMPLE = ROOT / "examples" / "demo"
MODEL = "qwen2.5-coder-1.5b"
TESTS = "PYTHONPATH=. python ../reproduce.py && python -m pytest -q"
"""As script/demo has it."""


def main(runs: int) -> None:
    finished = [run(number) for number in range(1, runs + 1)]
    fixed = [event for event in finished if event["reason"] == "done"]
    seconds = [event["duration_s"] for event in finished]
    print(f"\nfixed in {len(fixed)} of {runs} runs of {MODEL}")
    print(f"seconds: median {statistics.median(seconds):.0f}, longest {max(seconds):.0f}")
    print(f"steps: {', '.join(str(event['steps']) for event in finished)}")


def run(number: int) -> dict[str, Any]:
    """The last event of one run."""
    with tempfile.TemporaryDirectory(dir=DEMO) as directory:
        project = unpacked(Path(directory))
        reproduction = shutil.copy(EXAMPLE / "reproduce.py", directory)
        command = [str(ROOT / ".venv/bin/patchwright"), "run", "-", "--json", "--model", MODEL]
        command += ["--time-limit", "300", "--test-command", TESTS]
        issue = (EXAMPLE / "issue.md").read_text()
        result = subprocess.run(
            command,
            cwd=project,
            env=environment(reproduction),
            input=issue,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    last: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    print(f"run {number}: {last['reason']} after {last['steps']} steps, {last['duration_s']:.0f} s", flush=True)
    return last


def unpacked(directory: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(directory, filter="data")
    project = directory / "validators-0.14.2"
    git = shutil.which("git") or "git"
    subprocess.run([git, "init", "--quiet"], cwd=project, check=True)
    return project


def environment(readable: str) -> dict[str, str]:
    path = f"{DEMO / 'env/bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PATCHWRIGHT_SANDBOX__READABLE": json.dumps([readable])}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
