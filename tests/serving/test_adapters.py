"""The gateway before an engine with adapters: each is a model, loaded and unloaded while others are served."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseIncompleteEvent

from patchwright.chat.mistral.template import chat_template
from patchwright.chat.mistral.tokens import MistralTokens
from patchwright.engines.adapted import AdaptedLlamaCpp
from patchwright.engines.adapters import NamedAdapter
from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from patchwright.models.checkpoint.convert import convert, opened
from patchwright.models.checkpoint.tiny import tiny_decoder
from patchwright.policy.connection import Connection
from patchwright.serving.adapters import FixedAdapters
from patchwright.serving.guard import LOOPBACK, Guard
from patchwright.serving.keys import KeyStore
from patchwright.serving.loadable_adapters import NOT_THERE, LoadableAdapters
from patchwright.serving.mistral_upstream import MistralUpstream
from patchwright.serving.openai_upstream import OpenAIUpstream
from patchwright.serving.slots import Slotted
from tests.models.checkpoint.random_adapter import broken_adapter, export_adapter, write_adapter
from tests.serving.endpoint import openai_server
from tests.serving.served import gateway_for, served

CHAT = "/v1/chat/completions"
ADAPTERS = "/v1/adapters"
QUESTION = "Why is the sky blue, and why are the clouds white? " * 4


@pytest.fixture(scope="module")
def model(tiny_devstral: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In f32: with bf16, what is computed at once with it changes a number's last digit, and an answer with it."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    with opened(tiny_devstral / "hf") as checkpoint:
        convert(checkpoint, path, "gguf", "f32", chat_template=chat_template())
    return path


@pytest.fixture(scope="module")
def directory(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the operator has named: one/ and two/ as PEFT saves them, three.gguf, broken.gguf, and no adapters."""
    parent = tmp_path_factory.mktemp("adapters")
    inside = parent / "inside"
    for seed, name in enumerate(("one", "two"), start=1):
        write_adapter(inside / name, seed=seed)
    write_adapter(inside / "other", seed=1, decoder=tiny_decoder(width=256, layers=2))
    write_adapter(parent / "outside", seed=3)
    export_adapter(parent / "outside", inside / "three.gguf", model)
    export_adapter(parent / "outside", parent / "outside.gguf", model)
    broken_adapter(inside / "broken.gguf")
    (inside / "linked").symlink_to(parent / "outside")
    (inside / "linked.gguf").symlink_to(parent / "outside.gguf")
    (inside / "alias.gguf").symlink_to("three.gguf")
    (inside / "halfway").mkdir()
    (inside / "halfway" / "adapter_config.json").symlink_to(inside / "one" / "adapter_config.json")
    (inside / "halfway" / "adapter_model.safetensors").symlink_to(parent / "outside" / "adapter_model.safetensors")
    (inside / "pickled").mkdir()
    (inside / "pickled" / "adapter_config.json").write_text("{}")
    (inside / "pickled" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    (inside / "pickle.bin").write_bytes(b"\x80\x04.")
    (inside / "model.gguf").symlink_to(model)
    return inside


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for engine in running_engines(tmp_path):
        stop_engine(engine, tmp_path)


class Serving:
    """A gateway with a key, its client, and what can be asked of it."""

    def __init__(self, client: httpx.AsyncClient, sdk: AsyncOpenAI, state_dir: Path) -> None:
        self.client = client
        self.sdk = sdk
        self.state_dir = state_dir

    async def said(self, model: str, question: str = QUESTION, tokens: int = 10) -> str:
        """By OpenAI's own client."""
        messages: Any = [{"role": "user", "content": question}]
        answer = await self.sdk.chat.completions.create(
            model=model, messages=messages, max_tokens=tokens, temperature=0.0
        )
        assert answer.model == model
        return answer.choices[0].message.content or ""

    async def streamed(self, model: str, tokens: int) -> int:
        """How many tokens came, of a stream that ended in order."""
        messages: Any = [{"role": "user", "content": QUESTION}]
        stream = await self.sdk.chat.completions.create(
            model=model,
            messages=messages,
            max_tokens=tokens,
            temperature=0.0,
            stream=True,
            stream_options={"include_usage": True},
        )
        *_, before, last = [chunk async for chunk in stream]
        assert before.choices[0].finish_reason == "length"
        assert last.usage
        return last.usage.completion_tokens

    async def until(self, metric: str) -> None:
        """The gateway's count says so."""
        while f"patchwright_{metric}\n" not in (await self.client.get("/metrics")).text:
            await asyncio.sleep(0.01)

    async def names(self) -> list[str]:
        return [model.id async for model in self.sdk.models.list()]

    async def load(self, name: str, path: str) -> httpx.Response:
        return await self.client.post(ADAPTERS, json={"name": name, "path": path}, timeout=120)

    def pids(self) -> list[int]:
        return [engine.pid for engine in running_engines(self.state_dir)]


@asynccontextmanager
async def serving(
    model: Path,
    state_dir: Path,
    *loaded: str,
    directory: Path | None = None,
    tokens: MistralTokens | None = None,
    slots: int = 4,
) -> AsyncGenerator[Serving]:
    settings = {"threads": 1, "context_tokens": 2048, "slots": slots, "adapters": loaded}
    engine = AdaptedLlamaCpp(LlamaCpp(model, LlamaCppSettings.model_validate(settings), state_dir), state_dir)
    keys = KeyStore(state_dir / "keys.json")
    async with Connection.opened(engine.connect) as connection:
        upstream = Slotted(MistralUpstream(connection, tokens) if tokens else OpenAIUpstream(connection), slots)
        gateway = gateway_for(upstream, slots=slots, waiting=64)
        adapters = LoadableAdapters(engine, connection, gateway.queue, directory)
        async with served(gateway, Guard(keys, LOOPBACK), adapters) as client:
            key = keys.create("ada")
            client.headers["Authorization"] = f"Bearer {key}"
            async with AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key=key, max_retries=0) as sdk:
                yield Serving(client, sdk, state_dir)


@pytest.mark.parametrize("in_tokens", [True, False], ids=["mistral", "openai"])
async def test_each_adapter_is_a_model_and_requests_at_once_do_not_mix(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path, in_tokens: bool
) -> None:
    """All ask the same, so that what one has read would serve the others."""
    loaded = (f"one={directory / 'one'}", f"drei={directory / 'three.gguf'}")
    by = tokens if in_tokens else None
    async with serving(model, state_dir, *loaded, tokens=by) as here:
        names = ["tiny", "one", "drei"]
        assert await here.names() == names
        listed = (await here.client.get("/v1/models")).json()["data"]
        assert [model.get("parent") for model in listed] == [None, "tiny", "tiny"]
        assert (await here.client.get("/v1/models/one")).json() == listed[1]
        alone = [await here.said(name) for name in names]
        assert len(set(alone)) == 3
        assert await asyncio.gather(*(here.said(name) for name in names * 5)) == alone * 5
        for name in (*names, *reversed(names)):  # others have taken the slots meanwhile
            await asyncio.gather(*(here.said("tiny", f"{number} {QUESTION}") for number in range(4)))
            assert await here.said(name) == alone[names.index(name)]
        unknown = await here.client.post(CHAT, json={"model": "two", "messages": [{"role": "user", "content": "x"}]})
        assert unknown.status_code == 404
        assert "only tiny, one, drei" in unknown.json()["error"]["message"]


async def test_a_response_is_the_named_adapters_too(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    async with serving(model, state_dir, f"one={directory / 'one'}", tokens=tokens) as here:
        for name in ("tiny", "one"):
            response = await here.sdk.responses.create(
                model=name, input=QUESTION, max_output_tokens=10, temperature=0.0
            )
            assert (response.model, response.output_text) == (name, await here.said(name))
        streamed = await here.sdk.responses.create(
            model="one", input=QUESTION, max_output_tokens=10, temperature=0.0, stream=True
        )
        *_, last = [event async for event in streamed]
        assert isinstance(last, ResponseIncompleteEvent)
        assert (last.response.model, last.response.output_text) == ("one", await here.said("one"))


async def test_a_text_goes_on_by_the_adapter_that_is_named(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    """Whatever number of an adapter or a slot the client sends along: the name counts."""
    async with serving(model, state_dir, f"one={directory / 'one'}", tokens=tokens) as here:
        texts = []
        for fields in ({}, {"model": "tiny"}, {"model": "one"}, {"lora": [{"id": 0, "scale": 1.0}]}, {"id_slot": 99}):
            body = {"prompt": "The sky is", "max_tokens": 8, "temperature": 0} | fields
            answer = (await here.client.post("/v1/completions", json=body)).json()
            texts.append((answer["model"], answer["choices"][0]["text"]))
    base, named, adapted, numbered, placed = texts
    assert base == named == numbered == placed
    assert (base[0], adapted[0]) == ("tiny", "one")
    assert base[1] != adapted[1]


@pytest.mark.parametrize("in_tokens", [True, False], ids=["mistral", "openai"])
async def test_conversations_that_differ_by_their_adapter_alone_each_find_what_was_computed_for_them(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path, in_tokens: bool
) -> None:
    by = tokens if in_tokens else None
    async with serving(model, state_dir, f"one={directory / 'one'}", tokens=by) as here:
        messages: list[Any] = [{"role": "system", "content": QUESTION}, {"role": "user", "content": QUESTION}]
        before = 0
        for turn in range(3):
            for name in ("tiny", "one"):
                answer = await here.sdk.chat.completions.create(model=name, messages=messages, max_tokens=2)
                assert answer.usage
                assert answer.usage.prompt_tokens_details
                assert (answer.usage.prompt_tokens_details.cached_tokens or 0) >= before - 1
            before = answer.usage.prompt_tokens
            messages += [{"role": "assistant", "content": f"{turn}"}, {"role": "user", "content": "And?"}]


async def test_adapters_come_and_go_while_others_are_served(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    loaded = f"one={directory / 'one'}"
    async with serving(model, state_dir, loaded, directory=directory, tokens=tokens) as here:
        base, one = await here.said("tiny"), await here.said("one")
        streams = [asyncio.create_task(here.streamed(name, tokens=300)) for name in ("tiny", "one")]
        await here.until("answers_running 2.0")
        loading = asyncio.create_task(here.load("drei", "three.gguf"))
        await here.until("requests_waiting 1.0")
        waiting = asyncio.create_task(here.said("one"))
        assert not any(each.done() for each in streams)
        assert (await loading).json() == {"name": "drei", "path": "three.gguf", "loaded": True, "base": "tiny"}
        assert [each.done() and each.result() for each in streams] == [300, 300]
        assert await waiting == one
        assert await here.names() == ["tiny", "one", "drei"]
        assert len({base, one, await here.said("drei")}) == 3
        stream = asyncio.create_task(here.streamed("one", tokens=300))
        await here.until("answers_running 1.0")
        gone = await here.client.delete(f"{ADAPTERS}/one", timeout=120)
        assert (gone.status_code, gone.json()) == (200, {"name": "one", "deleted": True})
        assert await stream == 300
        assert await here.names() == ["tiny", "drei"]
        assert await here.said("tiny") == base
        assert (await here.client.delete(f"{ADAPTERS}/one")).status_code == 404
        taken = await here.load("drei", "one")
        assert (taken.status_code, taken.json()["error"]["param"]) == (400, "name")
        assert (await here.load("eins", "one")).status_code == 201
        assert await here.said("eins") == one
        listed = (await here.client.get(ADAPTERS)).json()["data"]
    assert [(entry["name"], entry["path"]) for entry in listed if entry["loaded"]] == [
        ("drei", "three.gguf"),
        ("eins", "one"),
    ]
    assert [entry["path"] for entry in listed if not entry["loaded"]] == ["broken.gguf", "other", "two"]


async def test_a_request_for_what_was_unloaded_while_it_waited_is_told_so(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    loaded = f"one={directory / 'one'}"
    async with serving(model, state_dir, loaded, tokens=tokens) as here:
        running = asyncio.create_task(here.streamed("tiny", tokens=400))
        await here.until("answers_running 1.0")
        unloading = asyncio.create_task(here.client.delete(f"{ADAPTERS}/one", timeout=120))
        await here.until("requests_waiting 1.0")
        body = {"model": "one", "messages": [{"role": "user", "content": "x"}], "max_tokens": 3}
        late = await here.client.post(CHAT, json=body, timeout=120)
        assert (await unloading).status_code == 200
        assert await running == 400
    assert (late.status_code, late.json()["error"]["code"]) == (404, "model_not_found")


async def test_an_adapter_that_cannot_be_loaded_leaves_the_others(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    loaded = f"one={directory / 'one'}"
    async with serving(model, state_dir, loaded, directory=directory, tokens=tokens) as here:
        one, pids = await here.said("one"), here.pids()
        problems = {
            "pickled": NOT_THERE,
            "pickle.bin": "pickles are programs",
            "other": "for another model or of another",
        }
        for path, problem in problems.items():
            refused = await here.load("x", path)
            assert (refused.status_code, problem in refused.json()["error"]["message"]) == (400, True)
        assert here.pids() == pids
        refused = await here.load("x", "broken.gguf")
        assert refused.status_code == 400
        assert "nothing has changed: llama.cpp cannot run" in refused.json()["error"]["message"]
        assert here.pids() != pids
        assert await here.names() == ["tiny", "one"]
        assert await here.said("one") == one


async def test_only_what_lies_in_the_directory_can_be_loaded(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    """And what lies outside is not told from what is not there."""
    outside = directory.parent / "outside"
    paths = ["..", ".", "../outside", "one/../../outside", str(outside), "linked", "linked.gguf", "halfway", "none"]
    paths += ["../outside.gguf", "/etc/passwd", "x" * 4000, "a\0b", "model.gguf"]
    async with serving(model, state_dir, directory=directory, tokens=tokens) as here:
        pids = here.pids()
        answers = [await here.load("x", path) for path in paths]
        nameless = await here.load("no name", "one")
        assert (here.pids(), await here.names()) == (pids, ["tiny"])
    assert [(each.status_code, each.json()["error"]["message"]) for each in answers] == [(400, NOT_THERE)] * len(paths)
    assert (nameless.status_code, nameless.json()["error"]["param"]) == (400, "name")


async def test_who_has_no_key_loads_nothing(
    model: Path, tokens: MistralTokens, directory: Path, state_dir: Path
) -> None:
    """Also where none is asked for to use the model."""
    async with serving(model, state_dir, tokens=tokens) as here:
        unnamed = await here.load("x", "one")
        del here.client.headers["Authorization"]
        assert (await here.load("x", "one")).status_code == 401
    assert (unnamed.status_code, "`adapters_dir` under [serve]" in unnamed.text) == (403, True)
    engine = LlamaCpp(model, LlamaCppSettings(threads=1, context_tokens=2048), state_dir)
    async with Connection.opened(engine.connect) as connection:
        upstream = MistralUpstream(connection, tokens)
        gateway = gateway_for(upstream)
        adapters = LoadableAdapters(AdaptedLlamaCpp(engine, state_dir), connection, gateway.queue, directory)
        async with served(gateway, adapters=adapters) as client:
            told = await client.post(ADAPTERS, json={"name": "x", "path": "one"})
            assert (await client.delete(f"{ADAPTERS}/x")).status_code == 403
            assert (await client.get(ADAPTERS)).status_code == 200
    assert told.status_code == 403
    assert "`patchwright keys create NAME`" in json.loads(told.text)["error"]["message"]


async def test_engines_that_keep_their_adapters_say_what_to_do_instead(directory: Path) -> None:
    fixed = FixedAdapters("tiny", (NamedAdapter(name="one", path=directory / "one"),), "serve without --replicas")
    async with (
        openai_server() as server,
        Connection.opened(server.connect) as connection,
        served(gateway_for(OpenAIUpstream(connection)), adapters=fixed) as client,
    ):
        listed = (await client.get(ADAPTERS)).json()["data"]
        loaded = await client.post(ADAPTERS, json={"name": "two", "path": "two"})
        unloaded = await client.delete(f"{ADAPTERS}/one")
    assert listed == [{"name": "one", "path": "one", "loaded": True, "base": "tiny"}]
    for answer in (loaded, unloaded):
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "serve without --replicas")
