import pytest

from patchwright.engines.log import failure_in

FOREIGN = """\
0.00.009.542 E gguf_init_from_reader: invalid magic characters: 'hell', expected 'GGUF'
0.00.009.702 E llama_model_load: error loading model: llama_model_loader: failed to load model from foreign.gguf
0.00.010.099 E srv          init: exiting due to model loading error
"""
INCOMPLETE = """\
0.00.010.194 I srv    load_model: loading model 'trunc.gguf'
0.00.051.874 E llama_model_load: error loading model: tensor 'blk.16.ffn_down.weight' data is not within the file bounds
0.00.051.958 E llama_model_load_from_file_impl: failed to load model
"""
VLLM = """\
(APIServer pid=12183) WARNING 11-23 19:24:37 [system_utils.py:255] errors like `OSError: [Errno 24] Too many
(EngineCore pid=12291) INFO 11-23 19:25:30 [core.py:133] Initializing a V1 LLM engine (v0.32.0)
(EngineCore pid=12291) ERROR 11-23 19:25:41 [core.py:1021] ValueError: No available memory for the cache blocks.
(APIServer pid=12183) RuntimeError: Engine core initialization failed. See root cause above.
"""
NOT_INSTALLED = """\
Traceback (most recent call last):
  File "child.py", line 1, in <module>
ModuleNotFoundError: No module named 'xllamacpp'
"""


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (FOREIGN, "invalid magic characters: 'hell', expected 'GGUF'"),
        (INCOMPLETE, "tensor 'blk.16.ffn_down.weight' data is not within the file bounds"),
        (VLLM, "ValueError: No available memory for the cache blocks."),
        (NOT_INSTALLED, "ModuleNotFoundError: No module named 'xllamacpp'"),
        ("0.00.006.187 I srv          init: loading model\n", None),
    ],
)
def test_the_reason_is_the_line_that_says_most(log: str, reason: str | None) -> None:
    assert failure_in(log) == reason
