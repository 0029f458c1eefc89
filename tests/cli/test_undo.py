import asyncio
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchwright.cli.undo import app
from patchwright.errors import RepositoryError
from patchwright.repo.snapshot import after_step, before_run
from patchwright.repo.snapshots import Snapshots


@pytest.fixture
def snapshots(repository: Path, tmp_path: Path) -> Snapshots:
    return Snapshots(repository, tmp_path / "state" / "snapshots")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATCHWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PATCHWRIGHT_CONFIG", str(tmp_path / "no-config.toml"))


def undo(repository: Path, *arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["--repo", str(repository), *arguments], input=answer)


def run_that_edits(snapshots: Snapshots, repository: Path, session: str) -> None:
    asyncio.run(snapshots.take(before_run(session)))
    (repository / "adder.py").write_text(f"by {session}\n")
    (repository / f"{session}.py").write_text("new\n")
    (repository / "check_adder.py").unlink(missing_ok=True)
    asyncio.run(snapshots.take(after_step(1)))


def contents(repository: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in repository.iterdir() if path.is_file()}


def test_undo_takes_back_one_run_after_another_and_says_what(repository: Path, snapshots: Snapshots) -> None:
    start = contents(repository)
    run_that_edits(snapshots, repository, "one")
    between = contents(repository)
    run_that_edits(snapshots, repository, "two")

    first = undo(repository)
    assert contents(repository) == between
    assert first.stdout == "restored      adder.py\nremoved       two.py\n"

    second = undo(repository)
    assert contents(repository) == start
    assert second.stdout == "restored      adder.py\nbrought back  check_adder.py\nremoved       one.py\n"

    third = undo(repository)
    assert isinstance(third.exception, RepositoryError)
    assert str(third.exception) == "nothing to undo: no run has changed this work tree"


def test_undo_can_be_taken_back_with_the_hint_it_gives(repository: Path, snapshots: Snapshots) -> None:
    run_that_edits(snapshots, repository, "one")
    edited = contents(repository)

    hint = undo(repository).stderr.splitlines()[-1]
    identifier = hint.split("--to ")[1].split("`")[0]
    undo(repository, "--to", identifier)

    assert hint == f"hint: `patchwright undo --to {identifier}` takes this back"
    assert contents(repository) == edited


def test_what_the_user_changed_since_is_named_and_kept_unless_they_agree(
    repository: Path, snapshots: Snapshots
) -> None:
    start = contents(repository)
    run_that_edits(snapshots, repository, "one")
    (repository / "mine.py").write_text("by hand\n")
    edited = contents(repository)

    refused = undo(repository, answer="n\n")
    assert refused.exit_code == 1
    assert "new           mine.py" in refused.stderr
    assert contents(repository) == edited

    assert undo(repository, answer="y\n").exit_code == 0
    assert contents(repository) == start


def test_yes_does_not_ask(repository: Path, snapshots: Snapshots) -> None:
    start = contents(repository)
    run_that_edits(snapshots, repository, "one")
    (repository / "mine.py").write_text("by hand\n")

    assert undo(repository, "--yes").exit_code == 0
    assert contents(repository) == start


def test_list_shows_every_snapshot(repository: Path, snapshots: Snapshots) -> None:
    run_that_edits(snapshots, repository, "one")
    taken = asyncio.run(snapshots.list())

    lines = undo(repository, "--list").stdout.splitlines()

    assert [line.split(maxsplit=3)[0::3] for line in lines] == [[s.id, s.label] for s in taken]


def test_unknown_snapshot_is_refused(repository: Path) -> None:
    assert str(undo(repository, "--to", "7").exception) == "no snapshot 7"


def test_name_that_would_control_the_terminal_is_escaped(repository: Path, snapshots: Snapshots) -> None:
    asyncio.run(snapshots.take(before_run("one")))
    (repository / os.fsdecode(b"\x1b[2J\xe9\nx")).write_text("")
    asyncio.run(snapshots.take(after_step(1)))

    assert undo(repository).stdout == "removed       \\x1b[2J\\xe9\\nx\n"
