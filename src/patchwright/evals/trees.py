"""The trees of instances: repositories of one commit, so that nothing of an instance's future is in them.

Sources are git mirrors on this machine, clones, and for `repo` = `pypi/NAME` the source distribution of that version.
Where the source holds the solution (SWE-smith, `pypi/…`), the gold patch and the test patch are taken back.
"""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from patchwright.errors import BenchmarkError, RepositoryError
from patchwright.evals.smith import SMITH, is_smith
from patchwright.lock import locked_within
from patchwright.repo.git import Git, GitError
from patchwright.schema.instance import Instance

GITHUB = "https://github.com/{repo}.git"
"""Where repositories are cloned from that no mirror has."""

FETCH_S = 3600.0
"""So long others are waited for."""

_PYPI = "pypi/"
_REPO = re.compile(r"(?!\.{1,2}(/|$))[\w.+-]+(/(?!\.{1,2}$)[\w.+-]+)?", re.ASCII)
"""owner/name or name, and no way out of the directory that it is looked up in."""
_RELEASE = re.compile(r"[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.!+-]*", re.ASCII)
_FULL_HASH = re.compile(r"[0-9a-f]{40}")
_SHA_256 = re.compile(r"[0-9a-f]{64}")
QUICK = ("core.compression=0", "core.bigFileThreshold=1")
"""Configuration of `git add` for repositories that are thrown away soon. All files go to one pack as they are, where
each would be compressed into a file of its own: two seconds instead of ten for Django's 6000, and as much less to
remove."""
_DATE = {"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z"}
"""With the fixed author of Git: the same files have the same commit hash, today and on another machine."""
_WHOLE = (
    # Objects come as one pack or not at all; loose, a killed fetch could leave the commit without its files.
    "fetch.unpackLimit=1",
    # A git that waits for a server in vain goes, and the lock with it, also when nobody is left to kill it.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
# The one of this interpreter: it has the user's index settings.
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "download")


class Trees:
    """Lays out trees from mirrors in `repos`, or fetches what is not there and keeps it in `cache`."""

    def __init__(self, cache: Path, *, repos: Path | None = None, url: str | None = GITHUB) -> None:
        self._cache = cache.absolute()
        self._repos = repos
        self._url = url

    @property
    def sources(self) -> tuple[Path, ...]:
        """Where solutions are, and what became of the repositories later: nothing for those who work on instances."""
        own = (self._cache / "repositories", self._cache / "sdists", self._cache / "validated")
        return (*own, self._repos.resolve(), *_elsewhere(self._repos)) if self._repos else own

    async def lay_out(self, instance: Instance, tree: Path, *, without: Iterable[str] = ()) -> None:
        """The files of the instance at its base but for some, in the index of a repository that has no commit yet and
        no object of another file: none with the solution.

        Raises BenchmarkError when there is no source, or the patches to take back do not apply to it.
        """
        tree.mkdir(parents=True, exist_ok=True)
        smith = SMITH.fullmatch(instance.repo)
        if instance.repo.startswith(_PYPI):
            await asyncio.to_thread(_unpack, await self._sdist_of(instance), tree)
        elif smith:
            # The whole hash, where the row has it: GitHub hands out no commit alone by a part of its hash.
            whole = instance.base_commit.startswith(smith["commit"])
            commit = instance.base_commit if whole else smith["commit"]
            await self._check_out(f"{smith['owner']}/{smith['name']}", commit, tree)
        else:
            await self._check_out(instance.repo, instance.base_commit, tree)
        git = Git(tree, config=QUICK)
        await git.run("init", "--quiet", "--template=", "--initial-branch=main")
        if is_made(instance):
            await _take_back(instance, tree)
        _remove(tree, without)
        # What the project tracks although it ignores it is part of the tree.
        await git.run("add", "--all", "--force")

    async def _check_out(self, repo: str, commit: str, tree: Path) -> None:
        if not _REPO.fullmatch(repo):
            raise BenchmarkError(f"{repo!r} is no name of a repository", hint="a row's repo is owner/name")
        source = await self._mirror(repo, commit) or await self._clone(repo, commit)
        found = await _git_in(source).run(
            "rev-parse", "--path-format=absolute", "--git-path", "objects", f"{commit}^{{commit}}"
        )
        objects, whole = os.fsdecode(found).splitlines()
        with tempfile.TemporaryDirectory(prefix="patchwright-") as scratch:
            # A repository of our own with the source's objects: the source's configuration may name filters, which are
            # programs that a checkout runs.
            await Git(Path(scratch)).run("init", "--quiet", "--bare", "--template=", ".")
            Path(scratch, "objects", "info", "alternates").write_bytes(os.fsencode(f"{objects}\n"))
            variables = {"GIT_DIR": scratch, "GIT_WORK_TREE": str(tree)}
            git = Git(tree, variables=variables, config=("core.bare=false",))
            await git.run("read-tree", whole)
            await git.run("checkout-index", "--all", "--force")

    async def _mirror(self, repo: str, commit: str) -> Path | None:
        if self._repos is None:
            return None
        if not self._repos.is_dir():
            raise BenchmarkError(f"{self._repos}: no such directory", hint="--repos names the directory of the mirrors")
        for directory in _mirrors(self._repos, repo):
            if await _has_commit(directory, commit):
                return directory
        return None

    async def _clone(self, repo: str, commit: str) -> Path:
        directory = self._cache / "repositories" / repo.replace("/", "__")
        if directory.is_dir() and await _has_commit(directory, commit):
            return directory
        looked = f" in {self._repos}" if self._repos else ""
        hint = f"`--repos DIR`, with a clone of {repo} as DIR/{repo.replace('/', '__')}"
        if self._url is None:
            raise BenchmarkError(f"there is no repository {repo} with commit {commit[:12]}{looked}", hint=hint)
        try:
            await _fetch_once(self._url.format(repo=repo), commit, directory)
        except RepositoryError as error:
            raise BenchmarkError(
                f"there is no repository {repo} with commit {commit[:12]}{looked}, and it cannot be fetched: {error}",
                hint=hint,
            ) from None
        return directory

    async def sdist(self, name: str, version: str, archive: Path | None = None) -> Path:
        """The source distribution of a version; where it is not in the cache yet, a copy of `archive`, or fetched.

        Raises BenchmarkError, also where the cache has another one of that version than `archive`.
        """
        if not _RELEASE.fullmatch(f"{name}=={version}"):
            raise BenchmarkError(f"{f'{name}=={version}'!r} is no name of a release", hint="pypi/NAME, and its version")
        directory = self._cache / "sdists" / f"{name}-{version}"
        if archive and not _archives(directory):
            await asyncio.to_thread(_copy, archive, directory)
        if archive and all(sha256_of(archive) != sha256_of(known) for known in _archives(directory)):
            raise BenchmarkError(
                f"{archive} is another {name} {version} than before",
                hint=f"give it a version of its own, or remove {directory}, which rows made from the old one need",
            )
        if not (found := _archives(directory)):
            await asyncio.to_thread(_download, name, version, directory)
            found = _archives(directory)
        if len(found) != 1:
            raise BenchmarkError(f"{name} {version} has no source distribution that is a .tar.gz")
        return found[0]

    async def _sdist_of(self, instance: Instance) -> Path:
        archive = await self.sdist(instance.repo.removeprefix(_PYPI), instance.version)
        wanted = instance.base_commit
        if _SHA_256.fullmatch(wanted) and sha256_of(archive) != wanted:
            raise BenchmarkError(
                f"{archive} is not the file that {instance.instance_id} was made from",
                hint="remove it, so that it is fetched again",
            )
        return archive


def is_made(instance: Instance) -> bool:
    """Whether its bug was put into a source that has none: then its source holds the solution."""
    return instance.repo.startswith(_PYPI) or is_smith(instance)


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def commit_all(tree: Path) -> str:
    """One commit of what was laid out and of later changes to it. Its hash depends on the files alone."""
    git = Git(tree, variables=_DATE, config=QUICK)
    await git.run("add", "--update")
    await git.run("commit", "--quiet", "--allow-empty", "--message=Start")
    return (await git.run("rev-parse", "HEAD")).decode().strip()


def _mirrors(repos: Path, repo: str) -> Iterator[Path]:
    """Git directories that may be this repository's, its own first, then forks of the same name."""
    owner, _, name = repo.partition("/")
    own = [repos / place for place in (f"{owner}__{name}", repo, f"{owner}+{name}", name)]
    forks = (each for pattern in (f"*__{name}", f"*/{name}", f"*+{name}") for each in sorted(repos.glob(pattern)))
    for place in dict.fromkeys((*own, *forks)):
        yield from _git_directories((place, place / "repo", place.with_name(f"{place.name}.git")))


def _git_directories(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if (place / ".git" / "objects").is_dir():
            yield (place / ".git").absolute()
        elif (place / ".git").is_file() and ((directory := _led_to(place / ".git")) / "objects").is_dir():
            yield directory
        elif (place / "objects").is_dir() and (place / "HEAD").is_file():
            yield place.absolute()


def _led_to(link: Path) -> Path:
    """The git directory with the objects of a linked work tree or a submodule, whose `.git` is a file."""
    own = link.parent / link.read_text("utf-8", "surrogateescape").removeprefix("gitdir:").strip()
    common = own / "commondir"
    return (own / common.read_text("utf-8", "surrogateescape").strip() if common.is_file() else own).resolve()


def _elsewhere(repos: Path) -> Iterator[Path]:
    """Where the linked work trees among the mirrors lead to, with the work tree around it."""
    for link in (*repos.glob("*/.git"), *repos.glob("*/*/.git")):
        if link.is_file() and (directory := _led_to(link)).is_dir():
            yield directory.parent if directory.name == ".git" else directory


async def _has_commit(directory: Path, commit: str) -> bool:
    try:
        await _git_in(directory).run("cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def _git_in(directory: Path) -> Git:
    """Git that reads a repository of anybody's. It fetches nothing that is missing there: that can start programs."""
    return Git(directory.parent, variables={"GIT_DIR": str(directory), "GIT_ALLOW_PROTOCOL": "none"})


async def _fetch_once(url: str, commit: str, directory: Path) -> None:
    """One at a time: git lets no second fetch into a shallow repository, and fails it. Raises RepositoryError."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    busy = RepositoryError(f"another process has been fetching into {directory} for an hour")
    async with locked_within(directory.with_name(f"{directory.name}.lock"), FETCH_S, busy) as lock:
        if not (directory.is_dir() and await _has_commit(directory, commit)):
            # A git that outlives this process holds the lock, too: whoever has it is alone in the repository.
            await _fetch(url, commit, Git(directory, config=_WHOLE, inherited_fds=[lock]), directory)


async def _fetch(url: str, commit: str, git: Git, directory: Path) -> None:
    """The commit alone, or everything where its hash is shortened."""
    directory.mkdir(parents=True, exist_ok=True)
    for left_by_a_kill in (*directory.rglob("*.lock"), *directory.glob("objects/pack/tmp_*")):
        left_by_a_kill.unlink()
    await git.run("init", "--quiet", "--bare", "--template=", ".")
    what = ["--depth=1", url, commit] if _FULL_HASH.fullmatch(commit) else [url, "+refs/heads/*:refs/heads/*"]
    await git.run("fetch", "--quiet", *what)


def _archives(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.tar.gz")) if directory.is_dir() else []


def _copy(archive: Path, directory: Path) -> None:
    """It appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".partial-") as partial:
        shutil.copyfile(archive, Path(partial, archive.name)).replace(directory / archive.name)


def _download(name: str, version: str, directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".partial-") as partial:
        # pip builds its metadata: what that takes may come as wheels.
        command = [*_PIP, "--no-deps", "--no-binary", name, "--dest", partial, f"{name}=={version}"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
            reason = lines[-1].removeprefix("ERROR: ") if lines else result.stderr.strip()
            raise BenchmarkError(f"pip cannot fetch the source of {name} {version}: {reason}")
        directory.mkdir(exist_ok=True)
        for archive in Path(partial).iterdir():
            archive.replace(directory / archive.name)


def _unpack(archive: Path, tree: Path) -> None:
    """The contents of the archive's one directory."""
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=".unpacked-") as scratch:
        try:
            with tarfile.open(archive) as file:
                file.extractall(scratch, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise BenchmarkError(f"{archive} cannot be unpacked: {error}") from None
        tops = list(Path(scratch).iterdir())
        if len(tops) != 1:
            raise BenchmarkError(f"{archive} holds more than one directory")
        for each in tops[0].iterdir():
            shutil.move(each, tree / each.name)


async def _take_back(instance: Instance, tree: Path) -> None:
    """The gold patch, and the tests that came with it, where the source has them."""
    if not instance.patch.strip():
        return
    try:
        await _reverse(instance.patch, tree)
    except GitError as error:
        raise BenchmarkError(f"the patch of {instance.instance_id} does not fit its source: {error}") from None
    if not instance.test_patch.strip():
        return
    try:
        await _reverse(instance.test_patch, tree)
    except GitError:
        # Tests that were written for the instance are not in the source.
        return


async def _reverse(patch: str, tree: Path) -> None:
    await Git(tree).run("apply", "--reverse", "--whitespace=nowarn", "-", stdin=patch.encode())


def _remove(tree: Path, files: Iterable[str]) -> None:
    """Those that are in the tree, and nothing outside of it."""
    for file in files:
        place = (tree / file).parent.resolve() / Path(file).name
        if place.is_relative_to(tree.resolve()) and place.is_file():
            place.unlink()
