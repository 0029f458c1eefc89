import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.engines.tiny_gguf import write_tiny_gguf


def patchwright(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "patchwright.cli.main", "model", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == code, result.stderr
    return result


def test_a_tiny_checkpoint_is_devstral_but_for_its_size(tiny_devstral: Path) -> None:
    for name, form in (("mistral", "mistral"), ("hf", "hf"), ("tiny.gguf", "gguf")):
        shown = json.loads(patchwright("inspect", tiny_devstral / name, "--json").stdout)
        assert shown["format"] == form
        assert shown["tokenizer"] == "Tekken v13, 131072 tokens, Devstral Small 1.1's"
        assert (shown["context_tokens"], shown["problems"]) == (131_072, [])


def test_inspect_names_the_quantisation_and_the_tokenizer_of_a_gguf_file(tiny_devstral: Path, tmp_path: Path) -> None:
    older = shutil.copytree(tiny_devstral / "mistral", tmp_path / "older")
    tekken = (older / "tekken.json").read_text()
    (older / "tekken.json").write_text(tekken.replace('"version": "v13"', '"version": "v11"', 1))
    patchwright("convert", older, tmp_path / "older.gguf", "--type", "q4_0")
    shown = json.loads(patchwright("inspect", tmp_path / "older.gguf", "--json", code=1).stdout)
    assert (shown["quantisation"], shown["tokenizer"]) == ("Q4_0", "Tekken v11, 131072 tokens")
    assert shown["problems"] == ["it has no chat template: engines will make one up"]
    result = patchwright("convert", tmp_path / "older.gguf", tmp_path / "back", "--to", "mistral", code=3)
    assert "which tekken.json its tokens were made from is not known" in result.stderr


def test_a_chat_template_is_found_where_older_files_have_it(tiny_devstral: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_devstral / "hf", tmp_path / "copy")
    (copy / "chat_template.jinja").unlink(missing_ok=True)
    assert json.loads(patchwright("inspect", copy, "--json").stdout)["chat_template"] is False
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    (copy / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert json.loads(patchwright("inspect", copy, "--json").stdout)["chat_template"] is True
    (copy / "chat_template.jinja").unlink(missing_ok=True)
    patchwright("convert", copy, tmp_path / "small.gguf", "--type", "q8_0")
    assert b"plain" in (tmp_path / "small.gguf").read_bytes()


def test_inspect_says_what_is_wrong(tiny_devstral: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_devstral / "mistral", tmp_path / "copy")
    params = json.loads((copy / "params.json").read_text())
    (copy / "params.json").write_text(json.dumps(params | {"vocab_size": 32_768}))
    lines = patchwright("inspect", copy, code=1).stdout.splitlines()
    assert [line for line in lines if line.startswith("wrong: ")] == [
        "wrong: tok_embeddings.weight has the shape 131072 × 128, not 32768 × 128",
        "wrong: output.weight has the shape 131072 × 128, not 32768 × 128",
        "wrong: the tokenizer has 131072 tokens, the model 32768",
    ]


def test_convert_writes_what_it_prints(tiny_devstral: Path, tmp_path: Path) -> None:
    result = patchwright("convert", tiny_devstral / "hf", tmp_path / "new" / "small.gguf", "--type", "q4_0")
    assert Path(result.stdout.strip()) == tmp_path / "new" / "small.gguf"
    shown = json.loads(patchwright("inspect", tmp_path / "new" / "small.gguf", "--json").stdout)
    assert set(shown["tensor_bytes"]) == {"Q4_0", "Q8_0", "F32"}
    assert shown["chat_template"] is True


def test_a_model_of_text_has_no_vision_to_strip(tiny_devstral: Path, tmp_path: Path) -> None:
    result = patchwright("strip-vision", tiny_devstral / "hf", tmp_path / "text", code=3)
    assert "no vision tower is in it" in result.stderr
    assert "hint: it is a model of text already" in result.stderr


def test_an_adapter_of_another_kind_is_refused(tiny_devstral: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_dora": true}')
    for command in ("merge", "export-adapter"):
        result = patchwright(command, tiny_devstral / "hf", adapter, tmp_path / "result.gguf", code=3)
        assert "DoRA is not known here" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_gguf_file_of_another_model_is_shown_as_well(tmp_path: Path) -> None:
    shown = json.loads(patchwright("inspect", write_tiny_gguf(tmp_path / "tiny.gguf"), "--json").stdout)
    assert (shown["architecture"], shown["vocabulary"]) == ("llama", 259)


def test_make_tiny_writes_all_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    assert "is there already" in patchwright("make-tiny", tmp_path / "tiny", code=3).stderr
    assert list((tmp_path / "tiny").iterdir()) == []
