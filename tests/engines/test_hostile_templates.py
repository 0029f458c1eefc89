"""Chat templates that mean harm: llama.cpp renders them, in the engine's own process, which is killed for it."""

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import find_engine, running_engines, stop_engine
from patchwright.errors import EngineError
from tests.engines.asking import ask
from tests.engines.tiny_gguf import CHAT_TEMPLATE, write_tiny_gguf
from tests.engines.waiting import has_ended, wait_until

FOR_EVER = "{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}"
PYTHONS_OBJECTS = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
ITSELF = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"
QUESTION = [{"role": "user", "content": "hello"}]
TRIGGER = [{"role": "user", "content": "now"}]
START_S = 6.0


def engine(template: str, state_dir: Path) -> LlamaCpp:
    model = write_tiny_gguf(state_dir / "tiny.gguf", chat_template=template)
    settings = LlamaCppSettings(threads=1, context_tokens=4096, start_timeout_s=START_S)
    return LlamaCpp(model, settings, state_dir)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (PYTHONS_OBJECTS, "Unable to generate parser for this template"),
        (ITSELF, "it died without a word"),
        (FOR_EVER, f"it was not ready within {START_S:g} s"),
    ],
)
async def test_one_that_fails_or_never_ends_keeps_the_engine_from_starting(
    template: str, reason: str, state_dir: Path
) -> None:
    others = psutil.Process().children(recursive=True)
    with pytest.raises(EngineError, match=reason):
        await engine(template, state_dir).connect()
    assert running_engines(state_dir) == []
    own = [each for each in psutil.Process().children(recursive=True) if each not in others]
    wait_until(lambda: all(map(has_ended, own)))


async def test_one_that_never_ends_later_on_is_stopped_with_its_engine(state_dir: Path) -> None:
    later = f"{{% if messages[0].content == 'now' %}}{FOR_EVER}{{% endif %}}{CHAT_TEMPLATE}"
    endpoint = await engine(later, state_dir).connect()
    assert (await ask(endpoint, QUESTION, 3))["choices"]
    hanging = asyncio.create_task(ask(endpoint, TRIGGER, 3))
    done, _ = await asyncio.wait({hanging}, timeout=2)
    assert not done
    process = psutil.Process(find_engine(state_dir, None).pid)
    stop_engine(find_engine(state_dir, None), state_dir)
    wait_until(lambda: has_ended(process))
    with pytest.raises(httpx.TransportError):
        await hanging
