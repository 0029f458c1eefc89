"""What is taken for a test: by its name, in any language, and by the directory that it lies in."""

import pytest

from patchwright.repo.testing.files import is_test, subject_of


@pytest.mark.parametrize(
    "path",
    [
        *("test_adder.py", "pkg/adder_test.py", "sums_tests.py", "polls/tests.py", "test.py", "test_data.json"),
        *("conftest.py", "tests/helpers.py", "src/testing/helpers.py", "testdata/in.txt", "pkg/test/__init__.py"),
        *("src/sums.test.js", "src/__tests__/sums.js", "sums-test.ts", "spec/sums_spec.rb", "spec/helper.rb"),
        *("adder_test.go", "AdderTest.java", "TestAdder.java", "adder_test"),
    ],
)
def test_a_test_is_known_by_its_name_or_its_directory(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize(
    "path",
    [
        *("adder.py", "contest.py", "src/contest/entry.py", "src/attestation.js", "latest/adder.py", "src/testify.py"),
        *("checks/check_x.py", "Testing.md", "inspect.py", "spec.py", "pyproject.toml"),
    ],
)
def test_a_name_that_only_sounds_like_a_test_is_none(path: str) -> None:
    assert not is_test(path)


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("tests/test_parser.py", "parser"),
        ("parser_test.py", "parser"),
        ("parser_tests.py", "parser"),
        ("polls/tests.py", ""),
        ("tests/helpers.py", None),
        ("tests/conftest.py", None),
        ("src/parser.test.js", None),
    ],
)
def test_a_test_module_is_named_after_what_it_tests(path: str, subject: str | None) -> None:
    assert subject_of(path) == subject
