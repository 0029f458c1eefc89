import subprocess
import sys
from pathlib import Path

from patchwright.chat.mistral.template import ollama_template
from tests.engines.tiny_gguf import write_tiny_gguf


def patchwright(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "patchwright.cli.main", "model", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_devstral_gets_its_template_and_its_temperature(
    tiny_devstral: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    model, target = tiny_devstral / "tiny.gguf", tmp_path / "Modelfile"
    said = patchwright(environment, "export-ollama", str(model), str(target), "--context", "65536")
    assert (said.stdout, said.stderr) == (f"{target}\n", "")
    assert target.read_text() == (
        f'FROM {model}\nPARAMETER num_ctx 65536\nPARAMETER temperature 0.15\nTEMPLATE """{ollama_template()}"""\n'
    )
    again = patchwright(environment, "export-ollama", str(model), str(target))
    assert (again.returncode, "is there already" in again.stderr) == (3, True)


def test_another_model_keeps_its_own_template(environment: dict[str, str], tmp_path: Path) -> None:
    model, target = write_tiny_gguf(tmp_path / "other.gguf"), tmp_path / "Modelfile"
    said = patchwright(environment, "export-ollama", str(model), str(target))
    assert "no template is written" in said.stderr
    assert target.read_text() == f"FROM {model}\nPARAMETER num_ctx 16384\nPARAMETER temperature 0.2\n"


def test_lm_studio_gets_a_link_where_it_looks(environment: dict[str, str], tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    said = patchwright(environment, "export-lmstudio", str(model), "--models", str(tmp_path / "models"))
    placed = tmp_path / "models" / "patchwright" / "tiny" / "tiny.gguf"
    assert said.stdout == f"{placed}\n"
    assert placed.samefile(model)
