"""The official images through a stand-in for the Docker client: no engine is needed to know what would be run."""

from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError
from patchwright.evals.images import Images, container_command
from patchwright.evals.official import Outcome

# Notes its arguments, and runs on this machine what was to run in the container.
STAND_IN = """#!/bin/bash
printf '%s\\n' "$*" >> "$0.log"
[ "$1" = run ] || exit 0
given=$(sed -n 's/.*source=\\([^,]*\\),.*/\\1/p' <<< "$*")
cd {testbed}
until [ "$1" = -c ]; do shift; done
exec bash -c "$(sed "s|/patchwright/|$given/|g; s|/testbed|{testbed}|g" <<< "$2")"
"""
SCRIPT = "#!/bin/bash\ncd {testbed}\ncat file; sleep {sleep}\n"
PATCH = "diff --git a/file b/file\n--- a/file\n+++ b/file\n@@ -1 +1 @@\n-old\n+new\n"


@pytest.fixture
def testbed(tmp_path: Path) -> Path:
    root = tmp_path / "testbed"
    root.mkdir()
    (root / "file").write_text("old\n")
    return root


@pytest.fixture
def client(tmp_path: Path, testbed: Path) -> Path:
    path = tmp_path / "docker"
    path.write_text(STAND_IN.replace("{testbed}", str(testbed)))
    path.chmod(0o755)
    return path


async def run(client: Path, testbed: Path, patch: str, sleep: int = 0, timeout_s: float = 30) -> Outcome:
    script = SCRIPT.format(testbed=testbed, sleep=sleep)
    return await Images(str(client)).run("image:1", script, patch, timeout_s=timeout_s)


def test_the_container_is_the_row_s_image_and_gets_the_script_read_only() -> None:
    command = container_command("docker", "name", "swebench/adder:latest", Path("/given"))
    assert command[:8] == ("docker", "run", "--rm", "--quiet", "--name", "name", "--entrypoint", "")
    assert command[8:10] == ("--mount", "type=bind,source=/given,target=/patchwright,readonly")
    assert command[10:15] == ("--workdir", "/testbed", "swebench/adder:latest", "bash", "-c")


async def test_the_patch_is_applied_before_the_script_runs(client: Path, testbed: Path) -> None:
    assert (await run(client, testbed, "")).log == b"old\n"
    outcome = await run(client, testbed, PATCH)
    assert outcome.applied
    assert outcome.log.endswith(b"new\n")


async def test_a_patch_that_does_not_apply_is_an_outcome(client: Path, testbed: Path) -> None:
    assert not (await run(client, testbed, PATCH.replace("old", "older"))).applied


async def test_a_container_that_takes_too_long_is_killed_by_name(client: Path, testbed: Path) -> None:
    assert (await run(client, testbed, "", sleep=3, timeout_s=0.5)).timed_out
    started, killed = Path(f"{client}.log").read_text().splitlines()[0], Path(f"{client}.log").read_text().split()[-2:]
    assert killed == ["kill", started.split()[started.split().index("--name") + 1]]


async def test_a_client_that_fails_is_an_error_and_one_that_is_missing_does_not_answer(tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho no such image >&2\nexit 125\n")
    client.chmod(0o755)
    with pytest.raises(BenchmarkError, match="no container of image:1 runs: no such image"):
        await run(client, tmp_path, "")
    assert not await Images(str(client)).answer()
    assert not await Images(str(tmp_path / "none")).answer()
