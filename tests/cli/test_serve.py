"""`patchwright serve` and `patchwright keys` as processes of their own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from patchwright.engines.machine import usable_cores
from patchwright.engines.running import running_engines, stop_engine
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.models.checkpoint.random_adapter import write_adapter

PATCHWRIGHT = [sys.executable, "-m", "patchwright.cli.main"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    state = tmp_path / "state"
    yield os.environ | {"PATCHWRIGHT_STATE_DIR": str(state), "PATCHWRIGHT_CONFIG": str(tmp_path / "none.toml")}
    for engine in running_engines(state):
        stop_engine(engine, state)


def patchwright(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PATCHWRIGHT, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(
    environment: dict[str, str], model: Path | str | None, *options: str
) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """The server's root, and its process."""
    command = [*PATCHWRIGHT, "serve", *(["--model", str(model)] if model else []), "--port", "0", *options]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = ""
        while not (found := re.search(r"serving \S+ at (http://\S+)/v1", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        try:
            yield found[1].replace("0.0.0.0", "127.0.0.1"), process
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(
    environment: dict[str, str], tiny_devstral: Path, told: signal.Signals
) -> None:
    environment |= {"PATCHWRIGHT_LLAMA_CPP__CONTEXT_TOKENS": "1024"}
    with serving(environment, tiny_devstral / "tiny.gguf", "--max-tokens", "3") as (url, process):
        assert httpx.get(f"{url}/ready").json() == {"status": "ready"}
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 30}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
        assert answer["usage"]["completion_tokens"] == 3
        assert 'patchwright_tokens_total{kind="completion"} 3.0' in httpx.get(f"{url}/metrics").text
        process.send_signal(told)
        assert process.wait(20) == 0


@pytest.mark.parametrize(("tokens", "end"), [(150, "data: [DONE]"), (100_000, "the server is ending")])
def test_a_stream_that_is_open_when_it_ends_comes_to_its_end_or_to_an_error(
    environment: dict[str, str], tiny_devstral: Path, tokens: int, end: str
) -> None:
    environment |= {"PATCHWRIGHT_LLAMA_CPP__CONTEXT_TOKENS": "8192", "PATCHWRIGHT_LLAMA_CPP__THREADS": "1"}
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": tokens, "seed": 1}
    body |= {"logit_bias": {"2": -100}, "temperature": 1.0}
    with (
        serving(environment, tiny_devstral / "tiny.gguf") as (url, process),
        httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as response,
    ):
        lines = response.iter_lines()
        next(lines)
        process.send_signal(signal.SIGTERM)
        said = [line for line in lines if line]
        assert process.wait(20) == 0
    assert any(end in line for line in said[-2:]), said[-3:]


def test_a_network_is_served_with_keys_only(environment: dict[str, str], tiny_devstral: Path) -> None:
    model = tiny_devstral / "tiny.gguf"
    refused = patchwright(environment, "serve", "--model", str(model), "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "there is no key" in refused.stderr
    assert "hint: `patchwright keys create NAME`" in refused.stderr
    key = patchwright(environment, "keys", "create", "ada").stdout.strip()
    with serving(environment, model, "--host", "0.0.0.0") as (url, _):
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/v1/models").status_code == 401
        named = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{url}/v1/models", headers=named).status_code == 200
        assert patchwright(environment, "keys", "list").stdout.startswith("ada  ")
        assert patchwright(environment, "keys", "revoke", "ada").returncode == 0
        assert httpx.get(f"{url}/v1/models", headers=named).status_code == 401


def post(url: str, text: str) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 3}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def requests_by_upstream(url: str) -> dict[str, int]:
    found = re.findall(
        r'patchwright_upstream_requests_total\{upstream="(\S+)"\} (\d+)', httpx.get(f"{url}/metrics").text
    )
    return {name: int(number) for name, number in found}


def test_requests_are_balanced_over_endpoints_also_when_one_is_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The third is down from the start."""
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        down = f"127.0.0.1:{taken.getsockname()[1]}"
    with (
        serving(environment, model) as (one, process),
        serving(environment, model) as (other, _),
        serving(environment, None, *(f"--upstream={url}/v1" for url in (one, other, f"http://{down}"))) as (url, _),
    ):
        one_name, other_name = one.removeprefix("http://"), other.removeprefix("http://")
        (model_entry,) = httpx.get(f"{url}/v1/models").json()["data"]
        assert (model_entry["id"], model_entry["max_model_len"]) == ("tiny", 16384)
        assert [post(url, text).status_code for text in ("a", "b", "a")] == [200] * 3
        assert requests_by_upstream(url) == {one_name: 2, other_name: 1, down: 0}
        process.kill()
        process.wait()
        assert [post(url, text).status_code for text in ("a", "b", "c")] == [200] * 3
        assert requests_by_upstream(url) == {one_name: 3, other_name: 4, down: 0}
        assert httpx.get(f"{url}/ready").status_code == 200
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        assert f'patchwright_upstream_available{{upstream="{one_name}"}} 0.0' in lines
        assert f'patchwright_upstream_affinity_hits_total{{upstream="{one_name}"}} 2.0' in lines


def test_replicas_are_engines_of_their_own_with_a_share_of_the_machine(
    environment: dict[str, str], tmp_path: Path
) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    with serving(environment, model, "--replicas", "2") as (url, _):
        assert [post(url, text).status_code for text in ("a", "b", "a")] == [200] * 3
        assert requests_by_upstream(url) == {"replica-1": 2, "replica-2": 1}
        engines = running_engines(Path(environment["PATCHWRIGHT_STATE_DIR"]))
        assert [engine.threads for engine in engines] == [max(1, usable_cores() // 2)] * 2
        assert len({engine.pid for engine in engines}) == 2


def greedy(url: str, model: str) -> tuple[str, str]:
    body = {"model": model, "prompt": "The sky is", "max_tokens": 8, "temperature": 0}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=60).json()
    return answer["model"], answer["choices"][0]["text"]


def test_adapters_are_models_of_every_replica_and_stay(
    environment: dict[str, str], tiny_devstral: Path, tmp_path: Path
) -> None:
    environment |= {"PATCHWRIGHT_LLAMA_CPP__CONTEXT_TOKENS": "1024"}
    write_adapter(tmp_path / "one", seed=1)
    options = ("--replicas", "2", "--adapter", f"one={tmp_path / 'one'}")
    with serving(environment, tiny_devstral / "tiny.gguf", *options) as (url, _):
        assert [each["id"] for each in httpx.get(f"{url}/v1/models").json()["data"]] == ["tiny", "one"]
        base, one = greedy(url, "tiny"), greedy(url, "one")
        assert (base[0], one[0], base[1] != one[1]) == ("tiny", "one", True)
        assert requests_by_upstream(url) == {"replica-1": 1, "replica-2": 1}
        assert [greedy(url, name) for name in ("one", "tiny", "one")] == [one, base, one]
        assert requests_by_upstream(url) == {"replica-1": 2, "replica-2": 3}
        refused = httpx.post(f"{url}/v1/adapters", json={"name": "two", "path": "two"})
        assert (refused.status_code, "serve without --replicas" in refused.text) == (400, True)
        listed = httpx.get(f"{url}/v1/adapters").json()["data"]
        assert [(each["name"], each["loaded"]) for each in listed] == [("one", True)]


def test_adapters_that_cannot_be_served_are_refused_at_the_start(
    environment: dict[str, str], tiny_devstral: Path, tmp_path: Path
) -> None:
    def told(*options: str) -> tuple[int, str]:
        ended = patchwright(environment, "serve", "--port", "0", *options)
        return ended.returncode, ended.stderr

    for elsewhere in (("--base-url", "http://gpu-box:8000/v1"), ("--upstream", "http://gpu-box:8000/v1")):
        code, said = told("--adapter", "one=one", *elsewhere)
        assert (code, "hint: `patchwright model merge`" in said) == (2, True)
    code, said = told("--adapter", "one=one", "--engine", "vllm")
    assert (code, "--adapter is for the embedded engine" in said) == (2, True)
    code, said = told("--adapter", "no name=one")
    assert (code, "hint: write NAME=PATH" in said) == (2, True)
    code, said = told("--model", str(tiny_devstral / "tiny.gguf"), "--adapter", f"one={tmp_path / 'none'}")
    assert (code, "the adapter one: " in said, "no such file or directory" in said) == (3, True, True)


@contextmanager
def listing(model: str) -> Generator[str]:
    """The address of a server that lists one model, and has no other route."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": [{"id": model}]}).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()


def test_what_cannot_be_balanced_is_said_at_the_start(environment: dict[str, str]) -> None:
    def told(*options: str) -> tuple[int, str]:
        ended = patchwright(environment, "serve", "--port", "0", *options)
        return ended.returncode, ended.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        down = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with listing("devstral") as one, listing("qwen") as other:
        code, said = told("--upstream", one, "--upstream", other)
        assert (code, "the upstreams have different models: 127.0.0.1:" in said) == (2, True)
        assert "serves devstral, 127.0.0.1:" in said
        code, said = told("--model", "devstral", "--upstream", one, "--upstream", other)
        assert (code, "does not serve devstral; it serves qwen" in said) == (3, True)
        code, said = told("--upstream", one, "--upstream", f"{one}/")
        assert (code, "is named twice" in said) == (2, True)
        code, said = told("--upstream", one, "--base-url", other)
        assert (code, "hint: name each with --upstream" in said) == (2, True)
    code, said = told("--upstream", down, "--upstream", down.replace("127.0.0.1", "localhost"))
    assert (code, said.count("nothing answers at http://")) == (3, 2)
    code, said = told("--upstream", "gpu-box:8000")
    assert (code, "hint: such as http://gpu-box:8000/v1" in said) == (2, True)
    for address in ("me:secret@gpu-box:8000", "ftp://me:secret@gpu-box/v1", "http://me:secret@gpu-box:no-port/v1"):
        code, said = told("--upstream", address)
        assert (code, "gpu-box" in said, "secret" in said) == (2, True, False)
    code, said = told("--replicas", "2", "--engine", "vllm")
    assert (code, "CUDA_VISIBLE_DEVICES" in said) == (2, True)
    code, said = told("--replicas", "2", "--upstream", down)
    assert (code, "hint: leave one out" in said) == (2, True)


def test_what_cannot_be_served_is_said_before_a_model_is_loaded(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = patchwright(environment, "serve", "--port", port)
    assert (told.returncode, "address already in use" in told.stderr) == (2, True)
    assert patchwright(environment, "serve", "--port", "99999").returncode == 2
    nothing = patchwright(environment, "serve", "--port", "0", "--system-prompt", str(tmp_path / "none"))
    assert (nothing.returncode, "no such file" in nothing.stderr) == (2, True)
    missing = patchwright(environment, "serve", "--port", "0", "--model", str(tmp_path / "none.gguf"))
    assert missing.returncode == 3


def test_without_its_libraries_it_says_what_to_install(environment: dict[str, str]) -> None:
    program = "import sys; sys.modules['uvicorn'] = None; from patchwright.cli.main import main; main(['serve'])"
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (told.returncode, "hint: `pip install 'patchwright[serve]'`" in told.stderr) == (2, True)


@pytest.mark.timeout(660)
@pytest.mark.parametrize(("devstral", "examples", "cases"), [(False, 340, 2000), (True, 40, 60)])
def test_no_request_that_its_description_allows_or_forbids_ends_in_a_5xx(
    environment: dict[str, str], tiny_devstral: Path, tmp_path: Path, devstral: bool, examples: int, cases: int
) -> None:
    """By schemathesis, from the server's own OpenAPI page. The smaller model answers faster."""
    environment |= {"PATCHWRIGHT_LLAMA_CPP__CONTEXT_TOKENS": "256"}
    model = tiny_devstral / "tiny.gguf" if devstral else write_tiny_gguf(tmp_path / "tiny.gguf")
    with serving(environment, model, "--max-tokens", "32") as (url, _):
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json"),
            *("--phases", "fuzzing", "--checks", "not_a_server_error", "--exclude-path", "/ready"),
            *("--max-examples", str(examples), "--seed", "1", "--no-color", "--request-timeout", "60"),
            "--suppress-health-check=all",
        ]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
    generated = re.search(r"(\d+) generated", run.stdout)
    assert generated, run.stdout[-1000:]
    assert int(generated[1]) >= cases
