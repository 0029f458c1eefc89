"""The store: what is installed, removed, and a repository of safetensors."""

from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.catalogue import CatalogueEntry, HubFile
from patchwright.models.hub import Hub
from patchwright.models.reference import LocalModel, resolve
from patchwright.models.store import Installed, ModelStore
from tests.models.conftest import CONTENT, FILE, HUB_FILE, REPO, entry
from tests.models.hub_server import HubServer

SHARDS = {"model-00001-of-00002.safetensors": b"one" * 1000, "model-00002-of-00002.safetensors": b"two" * 1000}
REPOSITORY = {**SHARDS, "config.json": b"{}", "onnx/tokenizer.json": b"{}"}
BESIDE = {"README.md": b"read me", "consolidated.safetensors": b"onetwo" * 1000, "model.gguf": b"?"}


@pytest.fixture
def repository(hub_server: HubServer) -> CatalogueEntry:
    hub_server.files = {f"ada/whole/{path}": content for path, content in (REPOSITORY | BESIDE).items()}
    reference = resolve("hf:ada/whole")
    assert isinstance(reference, CatalogueEntry)
    return reference


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in files
        if path.suffix != ".lock" and not path.name.endswith(".receipt.json")
    }


def test_a_pulled_file_is_found_listed_and_removed(store: ModelStore, tmp_path: Path, hub_server: HubServer) -> None:
    reference = resolve(f"hf:{REPO}/{FILE}")
    assert store.find(reference) is None
    path = store.pull(reference)
    assert store.find(reference) == path
    assert store.installed() == (Installed(name=f"hf:{REPO}/{FILE}", path=path, size_bytes=len(CONTENT)),)
    assert store.remove(reference) == len(CONTENT)
    assert store.installed() == ()
    assert store.find(reference) is None


PROMPT = HubFile(repo="ada/whole", path="SYSTEM_PROMPT.txt")


def test_the_publishers_system_prompt_comes_with_a_file_and_goes_with_the_last(
    store: ModelStore, hub_server: HubServer
) -> None:
    hub_server.files["ada/whole/SYSTEM_PROMPT.txt"] = b"You are Devstral."
    hub_server.files["ada/whole/other.gguf"] = b"GGUF" * 100
    one = entry(HUB_FILE).model_copy(update={"system_prompt": PROMPT})
    other = one.model_copy(
        update={
            "file": "other.gguf",
            "size_bytes": None,
            "sha256": None,
            "sources": (HubFile(repo="ada/whole", path="other.gguf"),),
        }
    )
    beside = store.pull(one).with_name("SYSTEM_PROMPT.txt")
    store.pull(other)
    assert beside.read_bytes() == b"You are Devstral."
    store.remove(one)
    assert beside.exists()
    store.remove(other)
    assert not beside.exists()


def test_a_model_without_its_system_prompt_is_whole_and_gets_it_later(
    store: ModelStore, hub_server: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    reference = entry(HUB_FILE).model_copy(update={"system_prompt": PROMPT})
    path = store.pull(reference)
    assert "the publisher's system prompt is not there, ours takes its place: cannot fetch" in caplog.text
    assert not path.with_name("SYSTEM_PROMPT.txt").exists()
    hub_server.files["ada/whole/SYSTEM_PROMPT.txt"] = b"<html>Devstral is blocked"
    assert not store.pull(reference).with_name("SYSTEM_PROMPT.txt").exists()
    hub_server.files["ada/whole/SYSTEM_PROMPT.txt"] = b"You are Devstral."
    assert store.pull(reference).with_name("SYSTEM_PROMPT.txt").exists()


def test_a_file_put_there_by_hand_counts_under_the_catalogue_s_name(store: ModelStore, tmp_path: Path) -> None:
    path = tmp_path / "models" / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF")
    assert store.find(resolve("smollm2")) == path
    assert store.installed() == (Installed(name="smollm2-135m", path=path, size_bytes=4),)


def test_removing_also_deletes_what_an_interrupted_pull_left(store: ModelStore, hub_server: HubServer) -> None:
    hub_server.cuts = [1_000_000]
    hub_server.refused = [200, 404]
    with pytest.raises(ModelError):
        store.pull(entry(HUB_FILE))
    assert store.remove(entry(HUB_FILE)) == 1_000_000
    with pytest.raises(ModelError, match="tiny is not on this machine"):
        store.remove(entry(HUB_FILE))


def test_a_file_of_the_user_s_own_is_found_and_never_removed(store: ModelStore, tmp_path: Path) -> None:
    own = LocalModel(path=tmp_path / "own.gguf")
    own.path.touch()
    assert store.pull(own) == own.path
    with pytest.raises(ModelError, match="a file of your own"):
        store.remove(own)
    assert own.path.exists()


def test_a_repository_is_pulled_without_what_is_there_twice(store: ModelStore, repository: CatalogueEntry) -> None:
    directory = store.pull(repository)
    assert contents(directory) == REPOSITORY
    size_bytes = store.installed()[0].size_bytes
    assert store.installed() == (Installed(name="hf:ada/whole", path=directory, size_bytes=size_bytes),)


def test_a_repository_appears_only_as_a_whole_and_goes_on_with_what_came(
    store: ModelStore, repository: CatalogueEntry, hub_server: HubServer
) -> None:
    hub_server.stored["ada/whole/model-00002-of-00002.safetensors"] = b"bad" * 1000
    with pytest.raises(ModelError, match=r"cannot fetch model-00002-of-00002\.safetensors"):
        store.pull(repository)
    assert store.find(repository) is None
    hub_server.stored.clear()
    hub_server.fetches.clear()
    assert contents(store.pull(repository)) == REPOSITORY
    assert "ada/whole/model-00001-of-00002.safetensors" not in [fetch.path for fetch in hub_server.fetches]


def test_a_repository_without_safetensors_is_refused(store: ModelStore, hub_server: HubServer) -> None:
    with pytest.raises(ModelError, match="has no safetensors"):
        store.pull(resolve(f"hf:{REPO}"))


@pytest.mark.parametrize("path", ["../../outside.json", "/outside.json"])
def test_a_listed_path_that_leaves_the_directory_is_refused(
    path: str, store: ModelStore, repository: CatalogueEntry, hub_server: HubServer, tmp_path: Path
) -> None:
    hub_server.listed["config.json"] = path
    with pytest.raises(ModelError, match="lists a file outside the repository"):
        store.pull(repository)
    assert not list(tmp_path.rglob("outside.json"))


def test_a_store_that_cannot_be_written_is_an_error_of_the_model(hub_server: HubServer, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the directory should be")
    with pytest.raises(ModelError, match="cannot write"):
        ModelStore(tmp_path / "models", Hub(base_url=hub_server.url)).pull(entry(HUB_FILE))
