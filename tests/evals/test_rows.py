"""Rows as they are published: whatever their columns, one kind of instance comes of them."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from patchwright.errors import BenchmarkError, RecordError
from patchwright.evals.reversal import reversed_patch
from patchwright.evals.rows import read_rows
from patchwright.schema.instance import InstallConfig
from tests.evals.adder import GOLD, make_row, write_rows

COMMIT = "0123456789" * 4


def test_lists_come_as_json_or_as_lists_and_unknown_columns_go(tmp_path: Path) -> None:
    (instance,) = read_rows(str(write_rows(tmp_path / "rows.jsonl", make_row(COMMIT))))
    assert instance.fail_to_pass == ("check_adder.py::test_add",)
    assert instance.pass_to_pass == ("check_adder.py::test_sign",)
    assert instance.log_parser == "parse_log_pytest"


def test_the_same_rows_come_from_every_kind_of_file(tmp_path: Path) -> None:
    row = make_row(COMMIT)
    expected = read_rows(str(write_rows(tmp_path / "rows.jsonl", row)))
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    table = import_module("pyarrow").Table.from_pylist([row])
    import_module("pyarrow.parquet").write_table(table, tmp_path / "rows.parquet")
    assert read_rows(str(tmp_path / "rows.json")) == read_rows(str(tmp_path / "rows.parquet")) == expected


def test_a_row_without_a_script_gets_one_in_the_official_form(tmp_path: Path) -> None:
    (instance,) = read_rows(str(write_rows(tmp_path / "rows.jsonl", make_row(COMMIT))))
    lines = instance.eval_script.splitlines()
    assert lines[:4] == ["#!/bin/bash", "set -uxo pipefail", "cd /testbed", f"git checkout {COMMIT} check_adder.py"]
    assert lines[-4:] == [
        ": '>>>>> Start Test Output'",
        "python check_adder.py",
        ": '>>>>> End Test Output'",
        f"git checkout {COMMIT} check_adder.py",
    ]


def test_a_row_that_says_nothing_of_its_tests_gets_those_of_its_repository(tmp_path: Path) -> None:
    row = make_row(COMMIT, repo="pallets/flask", version="2.3", install_config=None)
    (instance,) = read_rows(str(write_rows(tmp_path / "rows.jsonl", row)))
    assert instance.eval_script.splitlines()[-3] == "pytest -rA check_adder.py"
    assert instance.log_parser == "parse_log_flask"
    for other in ({"repo": "ada/flask"}, {"version": "9.9"}, {"version": ""}):
        (instance,) = read_rows(str(write_rows(tmp_path / "rows.jsonl", row | other)))
        assert not instance.eval_script


def test_rebench_lists_that_are_strings_and_files_of_requirements_are_understood(tmp_path: Path) -> None:
    install = {
        "python": 3.9,
        "install": ["pip install -e .", "make"],
        "pip_packages": "pytest",
        "pre_install": None,
        "reqs_path": ["requirements.txt"],
        "test_cmd": "pytest -rA",
        "env_vars": {"A": "b"},
        "no_use_env": None,
    }
    row = make_row(COMMIT, install_config=json.dumps(install))
    (instance,) = read_rows(str(write_rows(tmp_path / "rows.jsonl", row)))
    assert instance.install_config == InstallConfig(
        python="3.9",
        install="pip install -e . && make",
        pip_packages=("-r requirements.txt", "pytest"),
        test_cmd="pytest -rA",
    )


def test_the_gold_patch_of_smith_is_the_reverse_of_what_brings_the_bug(tmp_path: Path) -> None:
    row = make_row("", repo="swesmith/ada__adder.01234567", patch=reversed_patch(GOLD), image_name="smith/adder")
    del row["base_commit"]
    (instance,) = read_rows(str(write_rows(tmp_path / "rows.jsonl", row)))
    assert instance.base_commit == "01234567"
    assert instance.image == ""
    assert [line for line in instance.patch.splitlines() if line[0] in "+-"] == [
        "--- a/adder.py",
        "+++ b/adder.py",
        "-    return a - b",
        "+    return a + b",
    ]


def test_a_bad_row_is_named_with_file_line_and_column(tmp_path: Path) -> None:
    row = make_row(COMMIT)
    del row["problem_statement"]
    file = write_rows(tmp_path / "rows.jsonl", make_row(COMMIT), row)
    with pytest.raises(RecordError, match=r"rows\.jsonl:2: problem_statement: column is missing"):
        read_rows(str(file))
    write_rows(file, make_row(COMMIT, FAIL_TO_PASS="test_a, test_b"))
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: FAIL_TO_PASS: not a JSON list of names"):
        read_rows(str(file))
    write_rows(file, make_row(COMMIT, FAIL_TO_PASS="[]"))
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: FAIL_TO_PASS: names no test"):
        read_rows(str(file))
    row = make_row(COMMIT)
    del row["FAIL_TO_PASS"]
    write_rows(file, row)
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: FAIL_TO_PASS: column is missing"):
        read_rows(str(file))
    for install, words in (
        (5, "install_config: not an object"),
        (["a"], "install_config: not an object"),
        ({"pip_packages": 5}, r"install_config\.pip_packages: neither a string nor a list of them"),
        ({"install": [1]}, r"install_config\.install: neither a string nor a list of them"),
    ):
        write_rows(file, make_row(COMMIT, install_config=install))
        with pytest.raises(RecordError, match=rf"rows\.jsonl:1: {words}"):
            read_rows(str(file))
    file.write_text('{"instance_id": \n')
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: invalid json"):
        read_rows(str(file))
    write_rows(file, make_row(COMMIT), make_row(COMMIT))
    with pytest.raises(RecordError, match="ada__adder-1 is there twice"):
        read_rows(str(file))


def test_what_is_no_file_and_no_dataset_is_refused(tmp_path: Path) -> None:
    for source, sentence in (
        (str(tmp_path / "none.jsonl"), "no such file"),
        (str(tmp_path), "not a file"),
        ("verified", "no such file, and no name of a dataset"),
        (str(write_rows(tmp_path / "empty.jsonl")), "has no rows"),
    ):
        with pytest.raises(RecordError, match=sentence):
            read_rows(source)
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(RecordError, match=r"rows\.parquet: "):
        read_rows(str(tmp_path / "rows.parquet"))


@pytest.mark.filterwarnings("ignore")
def test_a_dataset_that_cannot_be_fetched_says_what_works_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BenchmarkError, match="cannot be fetched from Hugging Face") as refused:
        read_rows("nobody/no-such-dataset")
    assert refused.value.hint is not None
    assert "local .jsonl" in refused.value.hint
