"""The editor on real files in a real sandbox: what an edit keeps, what it says when it fails, where it cannot reach."""

from pathlib import Path

import pytest

from .conftest import CallTool

EDITOR = "str_replace_editor"
SOURCE = "def double(x):\n    return x * 2\n\n\ndef triple(x):\n    return x * 3\n"


@pytest.fixture
def source(tree: Path) -> Path:
    path = tree / "maths.py"
    path.write_text(SOURCE)
    return path


async def test_an_edit_changes_the_one_place_and_shows_it(source: Path, call: CallTool) -> None:
    seen = await call(EDITOR, command="str_replace", path="maths.py", old_str="x * 2", new_str="x + x")
    assert source.read_text() == SOURCE.replace("x * 2", "x + x")
    assert "     2\t    return x + x" in seen.text
    assert seen.diff.splitlines()[:2] == ["--- a/maths.py", "+++ b/maths.py"]
    assert {"-    return x * 2", "+    return x + x"} <= set(seen.diff.splitlines())


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\n", "a\nb", "a\nc\nd", b"a\r\nc\r\nd\r\n"),
        (b"a\nb", "b", "c", b"a\nc"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1", "x = 2", b"\xef\xbb\xbfx = 2\n"),
        (b"# coding: latin-1\ns = '\xe9'\n", "s = ", "t = ", b"# coding: latin-1\nt = '\xe9'\n"),
        ("x = 'é'\n".encode("utf-16"), "é", "è", "x = 'è'\n".encode("utf-16")),
        (b"caf\xe9 one\n", "one", "two", b"caf\xe9 two\n"),
        (b"a\r\nb\nc\r\n", "b", "B", b"a\r\nB\nc\r\n"),
    ],
)
async def test_line_ends_encodings_and_marks_survive(
    tree: Path, call: CallTool, before: bytes, old: str, new: str, after: bytes
) -> None:
    (tree / "f.py").write_bytes(before)
    seen = await call(EDITOR, command="str_replace", path="f.py", old_str=old, new_str=new)
    assert not seen.failed, seen.text
    assert (tree / "f.py").read_bytes() == after


async def test_modes_survive(source: Path, call: CallTool) -> None:
    source.chmod(0o750)
    await call(EDITOR, command="str_replace", path="maths.py", old_str="x * 2", new_str="x + x")
    assert source.stat().st_mode & 0o7777 == 0o750


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("return y * 2", "     2\t    return x * 2"),
        ("def triple(x):\n  return x * 3", "Only the indentation differs from lines 5-6"),
        ("return x", "occurs 2 times, at lines 2, 6"),
        ("     2\t    return x * 2", "line numbers"),
        ("zebra crossing\nfor all", "Nothing in the file is like it"),
    ],
)
async def test_a_failed_replacement_says_what_nearly_matched_and_where(
    source: Path, call: CallTool, old: str, told: str
) -> None:
    seen = await call(EDITOR, command="str_replace", path="maths.py", old_str=old, new_str="nothing")
    assert seen.failed
    assert told in seen.text
    assert source.read_text() == SOURCE


async def test_an_edit_that_is_done_already_says_so(source: Path, call: CallTool) -> None:
    seen = await call(EDITOR, command="str_replace", path="maths.py", old_str="x ** 2", new_str="x * 2")
    assert "the edit seems to be done" in seen.text


@pytest.mark.parametrize(
    ("name", "text", "old", "new", "told"),
    [
        ("a.py", "x = 1\ny = 2\n", "y = 2", "y = (2", "does not parse any more: line 2"),
        ("a.json", '{"a": 1}\n', "1", "1,,", "does not parse any more: line 1"),
        ("a.toml", "a = 1\nb = 2\n", "b = 2", "b = ", "does not parse any more: line 2"),
        ("a.js", "let a = 1;\nlet b = 2;\n", "b = 2", "b = = 2", "does not parse any more: line 2"),
    ],
)
async def test_an_edit_that_breaks_the_syntax_says_so(
    tree: Path, call: CallTool, name: str, text: str, old: str, new: str, told: str
) -> None:
    (tree / name).write_text(text)
    seen = await call(EDITOR, command="str_replace", path=name, old_str=old, new_str=new)
    assert told in seen.text


async def test_a_file_that_was_broken_before_is_not_complained_about(tree: Path, call: CallTool) -> None:
    (tree / "a.py").write_text("def (:\nx = 1\n")
    seen = await call(EDITOR, command="str_replace", path="a.py", old_str="x = 1", new_str="x = 2")
    assert "parse" not in seen.text


async def test_code_too_deep_for_the_compiler_does_not_bring_us_down(tree: Path, call: CallTool) -> None:
    (tree / "deep.py").write_text("x = 1\n")
    deep = "x = " + "(" * 200_000 + ")" * 200_000
    seen = await call(EDITOR, command="str_replace", path="deep.py", old_str="x = 1", new_str=deep)
    assert len(seen.text) < 10_000


async def test_create_insert_view_and_undo(tree: Path, call: CallTool) -> None:
    await call(EDITOR, command="create", path="new/a.txt", file_text="one\nthree\n")
    await call(EDITOR, command="insert", path="new/a.txt", insert_line=1, new_str="two")
    assert (tree / "new/a.txt").read_text() == "one\ntwo\nthree\n"
    seen = await call(EDITOR, command="view", path="new/a.txt", view_range=[2, 3])
    assert seen.text.splitlines()[:2] == ["     2\ttwo", "     3\tthree"]
    await call(EDITOR, command="undo_edit", path="new/a.txt")
    assert (tree / "new/a.txt").read_text() == "one\nthree\n"
    await call(EDITOR, command="undo_edit", path="new/a.txt")
    assert not (tree / "new/a.txt").exists()
    assert (await call(EDITOR, command="undo_edit", path="new/a.txt")).failed


async def test_undo_leaves_what_something_else_has_changed(source: Path, call: CallTool) -> None:
    await call(EDITOR, command="str_replace", path="maths.py", old_str="x * 2", new_str="x + x")
    await call("execute_bash", command="echo '# more' >> maths.py")
    seen = await call(EDITOR, command="undo_edit", path="maths.py")
    assert seen.failed
    assert source.read_text().endswith("# more\n")


async def test_create_does_not_overwrite(source: Path, call: CallTool) -> None:
    seen = await call(EDITOR, command="create", path="maths.py", file_text="")
    assert seen.failed
    assert source.read_text() == SOURCE


async def test_a_missing_path_gets_a_suggestion(source: Path, call: CallTool) -> None:
    seen = await call(EDITOR, command="view", path="src/maths.py")
    assert "did you mean maths.py?" in seen.text


async def test_a_binary_file_is_refused(tree: Path, call: CallTool) -> None:
    (tree / "b.bin").write_bytes(b"\x00\x01" * 50)
    assert "binary file" in (await call(EDITOR, command="view", path="b.bin")).text


async def test_a_long_file_is_shown_in_part_and_the_rest_named(tree: Path, call: CallTool) -> None:
    (tree / "long.txt").write_text("".join(f"line {n}\n" for n in range(5000)))
    seen = await call(EDITOR, command="view", path="long.txt")
    assert len(seen.text) < 5000
    assert "of 5000; view_range [" in seen.text


@pytest.mark.parametrize(
    "path",
    ["/etc/patchwright", "../../../../../../../../etc/patchwright", "out/patchwright", ".git/config", "git/config"],
)
async def test_no_edit_reaches_outside_or_into_the_git_directory(tree: Path, call: CallTool, path: str) -> None:
    (tree / "out").symlink_to("/etc")
    (tree / "git").symlink_to(".git")
    config = (tree / ".git/config").read_bytes()
    for arguments in (
        {"command": "create", "file_text": "x"},
        {"command": "str_replace", "old_str": "[core]", "new_str": "[core]\n\tfsmonitor = x"},
    ):
        assert (await call(EDITOR, path=path, **arguments)).failed
    assert not Path("/etc/patchwright").exists()
    assert (tree / ".git/config").read_bytes() == config


async def test_an_edit_through_a_symlink_changes_its_target_inside(source: Path, tree: Path, call: CallTool) -> None:
    (tree / "link.py").symlink_to("maths.py")
    await call(EDITOR, command="str_replace", path="link.py", old_str="x * 2", new_str="x + x")
    assert (tree / "link.py").readlink() == Path("maths.py")
    assert "x + x" in source.read_text()


async def test_the_small_edit_tool_is_str_replace(source: Path, call: CallTool) -> None:
    assert not (await call("edit", path="maths.py", old_str="x * 2", new_str="x + x")).failed
    assert "x + x" in source.read_text()
