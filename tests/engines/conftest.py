"""A tiny model, and a state directory whose engines are stopped after the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from patchwright.engines.llama_cpp import LlamaCpp
from patchwright.engines.llama_cpp_settings import LlamaCppSettings
from patchwright.engines.running import running_engines, stop_engine
from tests.engines.tiny_gguf import write_tiny_gguf


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for engine in running_engines(tmp_path):
        stop_engine(engine, tmp_path)


@pytest.fixture
def tiny_engine(tiny_gguf: Path, state_dir: Path) -> LlamaCpp:
    return LlamaCpp(tiny_gguf, LlamaCppSettings(threads=1, context_tokens=8192), state_dir)
