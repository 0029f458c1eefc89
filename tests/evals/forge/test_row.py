"""Files of rows that more are added to: what a kill leaves is cut off, and nothing else is ever lost."""

import json
from pathlib import Path

import pytest

from patchwright.errors import RecordError
from patchwright.evals.forge.row import read_again, row_of
from patchwright.evals.rows import read_rows
from tests.evals.adder import make_row, write_rows


def rows_file(directory: Path) -> Path:
    """Two rows as the forge writes them."""
    source = write_rows(
        directory / "source.jsonl",
        make_row("0" * 40, problem_statement='a "café" \U0001f600\n'),
        make_row("0" * 40, instance_id="ada__adder-2"),
    )
    file = directory / "rows.jsonl"
    file.write_text("".join(row_of(each) + "\n" for each in read_rows(str(source))))
    return file


def test_wherever_a_kill_cuts_a_row_what_is_left_of_it_goes_and_the_others_stay(tmp_path: Path) -> None:
    file = rows_file(tmp_path)
    rows, (first, second) = read_rows(str(file)), file.read_bytes().splitlines(keepends=True)
    for end in range(1, len(second) - 1, 7):
        file.write_bytes(first + second[:end])
        assert (read_again(file), file.read_bytes()) == (rows[:1], first)
    for end in range(1, len(first) - 1):
        file.write_bytes(first[:end])
        assert (read_again(file), file.read_bytes()) == ((), b"")


def test_a_row_without_its_line_feed_is_kept_and_gets_it(tmp_path: Path) -> None:
    file = rows_file(tmp_path)
    rows, lines = read_rows(str(file)), file.read_bytes().splitlines(keepends=True)
    for count in (1, 2):
        text = b"".join(lines[:count])
        file.write_bytes(text.removesuffix(b"\n"))
        assert (read_again(file), file.read_bytes()) == (rows[:count], text)


def test_whole_files_and_empty_ones_stay_as_they_are(tmp_path: Path) -> None:
    file = rows_file(tmp_path)
    rows, text = read_rows(str(file)), file.read_bytes()
    assert (read_again(file), file.read_bytes()) == (rows, text)
    file.write_bytes(b"")
    assert (read_again(file), file.read_bytes()) == ((), b"")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("line1\nprecious last", ":1: invalid json"),
        ("precious", ":1: invalid json"),
        ('{"precious": [1, ', ":1: invalid json"),
        ('{"precious": 1}', ":1: FAIL_TO_PASS: column is missing"),
        ("{row}precious last", ":2: invalid json"),
        ('{row}{"precious": ', ":2: invalid json"),
        ('{row}{"instance_id": "by hand", precious', ":2: invalid json"),
        ('{row}{"instance_id": "one"}{"instance_id": "precious', ":2: invalid json"),
        ('precious\n{"instance_id": "ad', ":1: invalid json"),
        ('{row}{row}{"instance_id": "ad', ": ada__adder-1 is there twice"),
        ("\n", " has no rows"),
    ],
)
def test_what_is_no_row_is_refused_and_nothing_of_it_is_lost(tmp_path: Path, text: str, where: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text.replace("{row}", json.dumps(make_row("0" * 40)) + "\n"))
    before = file.read_bytes()
    with pytest.raises(RecordError) as refused:
        read_again(file)
    assert str(refused.value).startswith(f"{file}{where}")
    assert refused.value.hint == "rows can be added to rows alone: name another file with --out"
    assert file.read_bytes() == before
