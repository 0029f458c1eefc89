"""What a user may name as a model."""

from pathlib import Path

import pytest

from patchwright.errors import ModelError
from patchwright.models.catalogue import CatalogueEntry, HubFile, HubRepo, catalogue
from patchwright.models.reference import LocalModel, resolve


def test_every_name_of_the_catalogue_means_one_entry() -> None:
    for entry in catalogue():
        assert resolve(entry.name) == entry
        assert resolve(f"{entry.model}:{entry.quantisation}") == entry
    assert len({entry.name for entry in catalogue()}) == len(catalogue())


def test_an_alias_means_the_default_quantisation() -> None:
    assert resolve("Devstral") == resolve("devstral-small-2507:q4_k_m")
    assert resolve("devstral:q8_0").name == "devstral-small-2507:q8_0"


def test_what_the_catalogue_cannot_check_comes_from_a_server_that_says_what_it_is() -> None:
    unchecked = [entry for entry in catalogue() if entry.sha256 is None]
    assert unchecked
    assert all(entry.repository or isinstance(entry.sources[0], HubFile) for entry in unchecked)


def test_a_file_on_hugging_face_is_an_entry_on_the_spot() -> None:
    entry = resolve("hf:ada/tiny-GGUF/q4/tiny.gguf")
    assert isinstance(entry, CatalogueEntry)
    assert entry.sources == (HubFile(repo="ada/tiny-GGUF", path="q4/tiny.gguf"),)
    assert (entry.name, entry.file, entry.sha256) == ("hf:ada/tiny-GGUF/q4/tiny.gguf", "q4%2Ftiny.gguf", None)


def test_a_repository_on_hugging_face_is_a_directory_of_safetensors() -> None:
    entry = resolve("hf:ada/tiny")
    assert isinstance(entry, CatalogueEntry)
    assert entry.repository == HubRepo(repo="ada/tiny")


def test_a_path_means_that_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.touch()
    assert resolve(str(path)) == LocalModel(path=path)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("devstrall", "no model is called 'devstrall'", "did you mean devstral"),
        ("nothing like it", "no model is called 'nothing like it'", "see `patchwright model list`"),
        ("no/such.gguf", "no/such.gguf: there is no such file", "hf:owner/repo/file.gguf"),
        ("hf:tiny", "'hf:tiny' does not name a file on Hugging Face", "hf:owner/repo/file"),
        ("hf:ada/tiny/../../etc/passwd", "does not name a file on Hugging Face", "hf:owner/repo/file"),
    ],
)
def test_a_wrong_name_comes_with_a_way_out(text: str, message: str, hint: str) -> None:
    with pytest.raises(ModelError) as raised:
        resolve(text)
    assert message in str(raised.value)
    assert hint in (raised.value.hint or "")
