"""Who may ask: pages may not, unless they are named; keys are asked for where there are any."""

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from patchwright.serving.guard import LOOPBACK, Guard
from patchwright.serving.keys import NOBODY, KeyStore
from patchwright.serving.problems import Problem


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.json")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "LOCALHOST:1"])
def test_programs_on_this_machine_may_ask(keys: KeyStore, host: str) -> None:
    guard = Guard(keys, LOOPBACK)
    guard.check_place(Headers({"host": host}))
    assert guard.owner(Headers({"host": host})) == NOBODY


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "[", ""])
def test_a_name_that_was_made_to_point_here_is_refused(keys: KeyStore, host: str) -> None:
    with pytest.raises(Problem, match="not known as"):
        Guard(keys, LOOPBACK).check_place(Headers({"host": host}))


@pytest.mark.parametrize(
    ("named", "host"),
    [("GPU-Box", "gpu-box:8000"), ("gpu-box:8000", "GPU-BOX"), ("[::2]", "[::2]:8000"), ("::2", "[::2]")],
)
def test_a_name_is_known_however_it_is_written(keys: KeyStore, named: str, host: str) -> None:
    Guard(keys, [named]).check_place(Headers({"host": host}))


def test_pages_are_refused_unless_they_are_named(keys: KeyStore) -> None:
    guard = Guard(keys, LOOPBACK, ["http://localhost:3000/"])
    guard.check_place(Headers({"host": "localhost", "origin": "http://localhost:3000"}))
    for origin in ("http://evil.example", "null", "http://localhost:3001"):
        with pytest.raises(Problem, match="may not use"):
            guard.check_place(Headers({"host": "localhost", "origin": origin}))


def test_the_servers_own_page_may_ask_it_where_its_names_are_known(keys: KeyStore) -> None:
    own = Headers({"host": "localhost:8000", "origin": "http://localhost:8000"})
    Guard(keys, LOOPBACK).check_place(own)
    with pytest.raises(Problem, match="may not use"):
        Guard(keys, LOOPBACK).check_place(Headers({"host": "localhost:8000", "origin": "http://127.0.0.1:8000"}))
    with pytest.raises(Problem, match="may not use"):
        Guard(keys, ()).check_place(own)


def test_with_a_key_in_the_store_one_is_asked_for(keys: KeyStore) -> None:
    secret = keys.create("ada")
    guard = Guard(keys, LOOPBACK)
    for header in ({"authorization": f"Bearer {secret}"}, {"authorization": f"bearer {secret}"}, {"x-api-key": secret}):
        assert guard.owner(Headers(header)) == "ada"
    for header in ({}, {"authorization": "Bearer "}, {"authorization": f"Basic {secret}"}, {"x-api-key": "pw-no"}):
        with pytest.raises(Problem):
            guard.owner(Headers(header))


def test_when_the_last_key_is_revoked_nobody_is_let_in(keys: KeyStore) -> None:
    secret = keys.create("ada")
    keys.revoke("ada")
    for header in ({}, {"authorization": f"Bearer {secret}"}):
        with pytest.raises(Problem):
            Guard(keys, LOOPBACK).owner(Headers(header))


def test_a_server_for_a_network_asks_for_a_key_also_when_the_last_one_was_revoked(keys: KeyStore) -> None:
    with pytest.raises(Problem, match="asks for a key"):
        Guard(keys, (), required=True).owner(Headers({}))


def test_with_keys_that_cannot_be_read_nobody_is_let_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{")
    with pytest.raises(Problem, match="cannot be read"):
        Guard(KeyStore(path), LOOPBACK).owner(Headers({"x-api-key": "pw-any"}))
