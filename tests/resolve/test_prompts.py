"""What the model is asked: bounded, beginning alike, and with nothing of the issue taken for a template."""

import pytest

from patchwright.resolve.digest import digest
from patchwright.resolve.edits import replaced_line
from patchwright.resolve.prompts import CODE_CHARS, Fault, shown_code
from patchwright.resolve.propose import suspicious_lines
from patchwright.resolve.sources import unified_diff
from patchwright.schema.messages import Message
from patchwright.schema.resolution import Location

SOURCE = "import os\n\n\ndef first():\n    return 1\n\n\ndef second():\n    return first() - 1\n"
SECOND = Location(path="pkg/m.py", name="second", kind="function", start_line=8, end_line=9, score=1)


def text(messages: tuple[Message, ...]) -> str:
    return messages[-1].content


def test_requests_about_one_fault_begin_alike() -> None:
    fault = Fault("It is off by one.", SECOND, SOURCE, "AssertionError: 0 is not 2")
    rewrite, line, again = text(fault.rewrite()), text(fault.line(9)), text(fault.rewrite(("x = 1", "boom")))
    shared = rewrite.index("There is a bug")
    assert rewrite[:shared] == line[:shared] == again[:shared]
    assert "It is off by one." in rewrite
    assert "AssertionError: 0 is not 2" in rewrite
    assert "return first() - 1" in line[shared:]
    assert "boom" in again[shared:]


def test_an_answer_may_explain_itself_when_it_is_asked_to() -> None:
    fault = Fault("It is off by one.", SECOND, SOURCE, "")
    assert text(fault.rewrite()).endswith("and nothing else.\n")
    assert text(fault.rewrite(explained=True)).endswith(
        "write the corrected `second`, whole, in one ```python block.\n"
    )


def test_braces_in_the_issue_are_no_places_of_a_template() -> None:
    fault = Fault("{code} {failure} {name}", SECOND, SOURCE, "{language}")
    assert "{code} {failure} {name}" in text(fault.rewrite())
    assert "{language}" in text(fault.rewrite())


def test_a_huge_issue_and_a_huge_failure_are_cut() -> None:
    fault = Fault("i" * 1_000_000, SECOND, SOURCE, "f" * 1_000_000)
    assert len(text(fault.rewrite())) < 10_000


def test_of_a_long_file_the_head_and_the_location_are_shown() -> None:
    filler = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(600))
    source = f"import os\n\n\n{filler}def second():\n    return 2\n"
    lines = source.count("\n")
    location = SECOND.model_copy(update={"start_line": lines - 1, "end_line": lines})
    code = shown_code(source, location)
    assert len(code) < CODE_CHARS
    assert code.startswith("import os")
    assert code.endswith("def second():\n    return 2")


@pytest.mark.parametrize("end", ["\f", "\v", "\x1c", "\u2028"])
def test_what_ends_no_line_of_python_ends_none_in_a_request(end: str) -> None:
    source = SOURCE.replace("import os", f"import os  # one{end}two")
    fault = Fault("It is off by one.", SECOND, source, "")
    assert "return first() - 1" in text(fault.line(9)).rpartition("There is a bug")[2]
    assert suspicious_lines(fault, 5) == [9]
    long = source + "#\n" * CODE_CHARS
    assert shown_code(long, SECOND).endswith("# …\ndef second():\n    return first() - 1")
    assert "-    return first() - 1\n" in unified_diff("m.py", source, replaced_line(source, 9, "return first()"))


PYTEST = """\
==== FAILURES ====
______________ test_a ______________
>   assert f() == 2
E   assert 1 == 2
______________ test_b ______________
E   other
==== short test summary info ====
FAILED t.py::test_a
"""


def test_the_digest_of_pytests_output_is_its_first_failure() -> None:
    assert digest(PYTEST, 1000).splitlines()[1:] == [">   assert f() == 2", "E   assert 1 == 2"]


def test_the_digest_of_other_output_is_its_end() -> None:
    assert digest("x" * 50 + "the end", 7) == "…the end"
