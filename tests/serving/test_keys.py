"""Keys: made once, known by their hash, revoked at once."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patchwright.errors import ConfigError
from patchwright.serving.keys import KeyStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.json"


def test_a_key_opens_until_it_is_revoked(path: Path) -> None:
    store, running = KeyStore(path), KeyStore(path)
    assert running.keys() == ()
    ada, bob = store.create("ada"), store.create("bob")
    assert (running.named(ada), running.named(bob), running.named("pw-guess")) == ("ada", "bob", None)
    store.revoke("ada")
    assert (running.named(ada), running.named(bob)) == (None, "bob")


def test_the_file_holds_no_key_and_is_for_its_owner(path: Path) -> None:
    secret = KeyStore(path).create("ada")
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(secret) > 40


def test_a_name_is_given_once(path: Path) -> None:
    store = KeyStore(path)
    store.create("ada")
    for name in ("ada", "", "  ", "a\nb", "anybody"):
        with pytest.raises(ConfigError):
            store.create(name)
    with pytest.raises(ConfigError, match="no key named bob"):
        store.revoke("bob")


def test_keys_made_at_the_same_time_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: KeyStore(path).create(f"key{number}"), range(24)))
    assert len(KeyStore(path).keys()) == 24


def test_a_damaged_file_lets_nobody_in(path: Path) -> None:
    secret = KeyStore(path).create("ada")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ConfigError, match="not a file of keys"):
        KeyStore(path).named(secret)
