"""The embedded engine with LoRA adapters: each request gets the weights that it asks for, whatever others ask for."""

import asyncio
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from patchwright.engines.adapted import AdaptedLlamaCpp
from patchwright.engines.adapters import NamedAdapter
from patchwright.engines.base import ALONE, Replica
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines
from patchwright.errors import EngineError
from patchwright.models.checkpoint.adapter import merged, open_adapter
from patchwright.models.checkpoint.convert import convert, opened
from patchwright.models.checkpoint.tiny import tiny_decoder
from patchwright.policy.connection import Connection
from patchwright.policy.pieces import read_piece, read_whole
from tests.engines.asking import client
from tests.models.checkpoint.random_adapter import broken_adapter, export_adapter, write_adapter

PROMPT = list(range(1000, 1060))
OTHER = list(range(5000, 5060))
TOKENS = 12


@pytest.fixture(scope="module")
def places(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base.gguf in f32, since other types round what goes into a matrix: the sum of two is then not the sum's; one/ and
    two/ as PEFT saves them, and two.gguf."""
    directory = tmp_path_factory.mktemp("adapters")
    with opened(tiny_devstral / "hf") as checkpoint:
        convert(checkpoint, directory / "base.gguf", "gguf", "f32", chat_template="")
    write_adapter(directory / "one", seed=1)
    write_adapter(directory / "two", seed=2)
    export_adapter(directory / "two", directory / "two.gguf", directory / "base.gguf")
    return directory


def engine(model: Path, state_dir: Path, *adapters: Path | str, replica: Replica = ALONE, **settings: Any) -> LlamaCpp:
    fields = {"threads": 1, "context_tokens": 1024, "adapters": [str(each) for each in adapters]} | settings
    return LlamaCpp(model, LlamaCppSettings.model_validate(fields), state_dir, replica=replica)


async def said(connection: Connection, prompt: list[int], **fields: Any) -> list[int]:
    """The next tokens, greedily."""
    options = {"temperature": 0, "n_predict": TOKENS, "return_tokens": True, "ignore_eos": True}
    (answer,) = read_whole(await connection.post("/completion", {"prompt": prompt, **options, **fields}))
    return answer.tokens


def of(connection: Connection, adapter: str | None) -> dict[str, Any]:
    return connection.endpoint.choosing(adapter)


@pytest.mark.parametrize("name", ["one", "two"])
async def test_an_adapter_answers_as_the_model_that_it_is_merged_into(
    places: Path, state_dir: Path, tmp_path: Path, name: str
) -> None:
    with opened(places / "base.gguf") as checkpoint, ExitStack() as files:
        adapter = open_adapter(places / name, checkpoint.decoder, files)
        convert(merged(checkpoint, adapter), tmp_path / "merged.gguf", "gguf", "f32", chat_template="")
    async with (
        Connection.opened(engine(places / "base.gguf", state_dir, places / "one", places / "two.gguf").connect) as both,
        Connection.opened(engine(tmp_path / "merged.gguf", state_dir).connect) as alone,
    ):
        answer = await said(both, PROMPT, **of(both, name))
        assert len(answer) == TOKENS
        assert answer == await said(alone, PROMPT)
        assert answer != await said(both, PROMPT)


async def test_none_applies_unless_it_is_asked_for(places: Path, state_dir: Path) -> None:
    async with (
        Connection.opened(engine(places / "base.gguf", state_dir).connect) as bare,
        Connection.opened(engine(places / "base.gguf", state_dir, places / "one").connect) as adapted,
    ):
        assert (bare.endpoint.adapters, adapted.endpoint.adapters) == ((), ("one",))
        expected = await said(bare, PROMPT)
        async with client(adapted.endpoint) as stranger:  # who knows nothing of adapters
            body = {"prompt": PROMPT, "temperature": 0, "n_predict": TOKENS, "return_tokens": True}
            root = adapted.endpoint.base_url.removesuffix("/v1")
            assert (await stranger.post(f"{root}/completion", json=body)).json()["tokens"] == expected
            listed = (await stranger.get(f"{root}/lora-adapters")).json()
            assert [(each["id"], each["scale"]) for each in listed] == [(0, 0.0)]
            await stranger.post(f"{root}/lora-adapters", json=[{"id": 0, "scale": 1.0}])
        assert await said(adapted, OTHER) == await said(bare, OTHER)


async def test_what_one_adapter_has_read_is_not_taken_for_what_another_would_have(
    places: Path, state_dir: Path
) -> None:
    """With one slot: the way back to a conversation is through the engine's caches."""
    loaded = engine(places / "base.gguf", state_dir, places / "one", places / "two", slots=1)
    async with Connection.opened(loaded.connect) as connection:

        async def afresh(adapter: str | None) -> list[int]:
            return await said(connection, PROMPT, cache_prompt=False, **of(connection, adapter))

        expected = {adapter: await afresh(adapter) for adapter in (None, "one", "two")}
        assert len(set(map(tuple, expected.values()))) == 3
        for before, adapter in [("one", None), (None, "one"), ("one", "two"), ("two", None)]:
            await said(connection, PROMPT, **of(connection, before))
            assert await said(connection, PROMPT, **of(connection, adapter)) == expected[adapter]
            await said(connection, PROMPT, **of(connection, before))
            await said(connection, OTHER, **of(connection, adapter))
            assert await said(connection, PROMPT, **of(connection, adapter)) == expected[adapter]
        again = await said(connection, PROMPT)
        assert again == expected[None]


async def test_requests_at_once_do_not_mix(places: Path, state_dir: Path) -> None:
    loaded = engine(places / "base.gguf", state_dir, places / "one", places / "two", slots=4)
    async with Connection.opened(loaded.connect) as connection:
        names = [None, "one", "two"]
        alone = [await said(connection, PROMPT, cache_prompt=False, **of(connection, name)) for name in names]
        answers = await asyncio.gather(*(said(connection, PROMPT, **of(connection, name)) for name in names * 6))
        assert answers == alone * 6


async def test_a_directory_is_converted_once(places: Path, state_dir: Path) -> None:
    adapted = engine(places / "base.gguf", state_dir, places / "one")
    (first,) = await adapted.gguf_adapters()
    written = first.path.stat().st_mtime_ns
    assert [each.path for each in await adapted.gguf_adapters()] == [first.path]
    assert first.path.stat().st_mtime_ns == written
    assert [each.name for each in (state_dir / "adapters").iterdir()] == [first.path.name]


async def test_other_adapters_are_another_engine(places: Path, state_dir: Path) -> None:
    one = await engine(places / "base.gguf", state_dir, places / "one").connect()
    renamed = await engine(places / "base.gguf", state_dir, f"uno={places / 'one'}").connect()
    assert renamed.adapters == ("uno",)
    assert one.base_url != renamed.base_url
    assert await engine(places / "base.gguf", state_dir, places / "one").connect() == one


async def test_replicas_that_start_at_once_with_a_directory_are_engines_of_their_own(
    places: Path, state_dir: Path
) -> None:
    """Both find it unconverted; given the adapters later, they are the same two."""
    replicas = [Replica(number=number, of=2) for number in range(2)]
    named = [engine(places / "base.gguf", state_dir, places / "one", replica=each) for each in replicas]
    endpoints = await asyncio.gather(*(each.connect() for each in named))
    assert [each.adapters for each in endpoints] == [("one",)] * 2
    assert len({each.base_url for each in endpoints}) == 2
    bare = [engine(places / "base.gguf", state_dir, replica=each) for each in replicas]
    again = [await each.with_adapters(named[0].adapters).connect() for each in bare]
    assert again == endpoints


async def test_what_is_no_adapter_is_refused_with_a_way_out(places: Path, state_dir: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "adapter_config.json").write_text("{}")
    (pickled / "adapter_model.bin").write_bytes(b"\x80\x04.")
    other = write_adapter(tmp_path / "other", seed=1, decoder=tiny_decoder(width=256, layers=2))
    problems = {
        other: "for another model or of another rank",
        tmp_path / "none": "no such file or directory",
        pickled: "does not hold",
        pickled / "adapter_model.bin": "neither a .gguf file nor",
        tmp_path / "none.gguf": "no such file",
        places / "base.gguf": "not a LoRA adapter",
    }
    for path, problem in problems.items():
        with pytest.raises(EngineError, match=problem):
            await engine(places / "base.gguf", state_dir, f"x={path}").connect()
    for twice in (f"one={places / 'two'}", f"base={places / 'two'}"):
        with pytest.raises(EngineError, match="two models are called"):
            await engine(places / "base.gguf", state_dir, places / "one", twice).connect()
    with pytest.raises(ValidationError):
        NamedAdapter.model_validate("not a name=x.gguf")
    assert running_engines(state_dir) == []


async def test_a_change_starts_the_engine_again_and_a_failed_one_leaves_it_as_it_was(
    places: Path, state_dir: Path
) -> None:
    adapted = AdaptedLlamaCpp(engine(places / "base.gguf", state_dir, places / "one"), state_dir)

    def pids() -> list[int]:
        return [running.pid for running in running_engines(state_dir)]

    first = await adapted.connect()
    before = pids()
    missing = (*adapted.adapters, NamedAdapter(name="x", path=places / "none.gguf"))
    with pytest.raises(EngineError, match="no such file"):
        await adapted.change(missing)
    assert (await adapted.connect(), pids()) == (first, before)
    await adapted.change((*adapted.adapters, NamedAdapter(name="two", path=places / "two.gguf")))
    second = await adapted.connect()
    assert second.adapters == ("one", "two")
    assert len(pids()) == 1
    assert pids() != before


async def test_a_change_that_llama_cpp_fails_with_brings_the_old_engine_back(
    places: Path, state_dir: Path, tmp_path: Path
) -> None:
    """By a file that fits as far as one can see; llama.cpp aborts when it reads a text where a number should be."""
    broken = broken_adapter(tmp_path / "broken.gguf")
    adapted = AdaptedLlamaCpp(engine(places / "base.gguf", state_dir, places / "one"), state_dir)
    await adapted.connect()
    (before,) = running_engines(state_dir)
    with pytest.raises(EngineError, match=r"llama.cpp cannot run"):
        await adapted.change((*adapted.adapters, NamedAdapter(name="broken", path=broken)))
    (after,) = running_engines(state_dir)
    assert ((await adapted.connect()).adapters, after.id) == (("one",), before.id)
    assert after.pid != before.pid


async def test_an_engine_that_answers_somebody_else_is_not_stopped(places: Path, state_dir: Path) -> None:
    shared = engine(places / "base.gguf", state_dir, places / "one")
    adapted = AdaptedLlamaCpp(shared, state_dir)
    await adapted.connect()
    async with Connection.opened(shared.connect) as other, AsyncExitStack() as stack:
        body = {"prompt": PROMPT, "n_predict": 900, "temperature": 0, "ignore_eos": True, "stream": True}
        events = await other.events(stack, "/completion", body)
        await anext(events)
        await adapted.change(())
        assert (await adapted.connect()).adapters == ()
        *_, last = [event async for event in events]
    assert read_piece(last).tokens_predicted == 900
