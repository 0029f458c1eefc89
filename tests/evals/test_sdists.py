"""`pypi/NAME`: the source distribution of a version is the source, and it holds the solution."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError
from patchwright.evals.trees import Trees, commit_all
from patchwright.schema.instance import Instance
from tests.evals.adder import BUGGY, GOLD

PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
# pip asks a source distribution for its metadata; this one needs no package to answer.
BACKEND = """\
import pathlib

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    info = pathlib.Path(directory, "adder-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: adder\\nVersion: 1.0\\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\\n")
    return info.name

def build_wheel(*arguments, **more):
    raise NotImplementedError

build_sdist = build_wheel
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """adder 1.0, where pip looks for it."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    mended = BUGGY.replace("a - b", "a + b")
    files = {"PKG-INFO": "Metadata-Version: 2.1\nName: adder\nVersion: 1.0\n", "pyproject.toml": PYPROJECT}
    with tarfile.open(index / "adder-1.0.tar.gz", "w:gz") as file:
        for name, text in (files | {"backend.py": BACKEND, "adder.py": mended}).items():
            member = tarfile.TarInfo(f"adder-1.0/{name}")
            member.size = len(text)
            file.addfile(member, io.BytesIO(text.encode()))
    return index / "adder-1.0.tar.gz"


def instance(base_commit: str, version: str = "1.0") -> Instance:
    return Instance(
        instance_id="adder-1",
        repo="pypi/adder",
        version=version,
        base_commit=base_commit,
        problem_statement="",
        patch=GOLD,
    )


async def test_the_tree_is_the_source_without_the_gold_patch(tmp_path: Path, archive: Path) -> None:
    row = instance(hashlib.sha256(archive.read_bytes()).hexdigest())
    trees = Trees(tmp_path / "cache")
    await trees.lay_out(row, tmp_path / "first")
    archive.unlink()  # it is kept
    await trees.lay_out(row, tmp_path / "second")
    assert (tmp_path / "first" / "adder.py").read_text() == BUGGY
    assert await commit_all(tmp_path / "first") == await commit_all(tmp_path / "second")


async def test_another_file_than_the_row_was_made_from_is_refused(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"adder-1\.0\.tar\.gz is not the file that adder-1 was made from"):
        await Trees(tmp_path / "cache").lay_out(instance("0" * 64), tmp_path / "tree")


@pytest.mark.usefixtures("archive")
async def test_a_version_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"pip cannot fetch the source of adder 2\.0: No matching distribution"):
        await Trees(tmp_path / "cache").lay_out(instance("", "2.0"), tmp_path / "tree")


async def test_another_archive_of_a_version_that_is_known_is_refused(archive: Path, tmp_path: Path) -> None:
    trees = Trees(tmp_path / "cache", repos=None)
    known = await trees.sdist("adder", "1.0", archive)
    assert await trees.sdist("adder", "1.0", archive) == known
    assert [each.name for each in known.parent.iterdir()] == [archive.name]
    archive.write_bytes(archive.read_bytes() + b"rebuilt")
    with pytest.raises(BenchmarkError, match=r"is another adder 1\.0 than before") as refused:
        await trees.sdist("adder", "1.0", archive)
    assert str(known.parent) in str(refused.value.hint)


@pytest.mark.parametrize(
    ("name", "version"), [("../../evil", "1.0"), ("--index-url=x", "1.0"), ("adder", "1/../.."), ("", "")]
)
async def test_a_release_is_a_name_and_a_version(tmp_path: Path, name: str, version: str) -> None:
    row = instance("", version).model_copy(update={"repo": f"pypi/{name}"})
    with pytest.raises(BenchmarkError, match="is no name of a release"):
        await Trees(tmp_path / "cache").lay_out(row, tmp_path / "tree")
