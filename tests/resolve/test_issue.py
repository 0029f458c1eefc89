import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchwright.resolve.issue import CodeBlock, Frame, IssueFacts, Raised, read_issue, without_environment

ISSUE = """slugify() drops digits

<!-- Please describe `this_template` -->
`slugify.core.make` in src/slugify/core.py loses them, see https://example.org/a/b_c.py?x=1.
The UniqueSlugify class calls to_text() first.

```python
from slugify import slugify
slugify("a 1")
```

This prints:

```
$ python -m slugify \\
    "a 1"
Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/slugify/__main__.py", line 12, in main
    print(slugify(text))
  File "/usr/lib/python3.11/site-packages/slugify/core.py", line 3, in make
    raise ValueError("no digits: 1")
ValueError: no digits: 1
```
"""


def test_an_issue_is_read_whole():
    assert read_issue(ISSUE) == IssueFacts(
        paths=(
            "src/slugify/core.py",
            "/usr/lib/python3.11/site-packages/slugify/__main__.py",
            "/usr/lib/python3.11/site-packages/slugify/core.py",
        ),
        identifiers=("slugify", "slugify.core.make", "UniqueSlugify", "to_text", "ValueError"),
        frames=(
            Frame(path="/usr/lib/python3.11/site-packages/slugify/__main__.py", line=12, function="main"),
            Frame(path="/usr/lib/python3.11/site-packages/slugify/core.py", line=3, function="make"),
        ),
        error=Raised(type="ValueError", message="no digits: 1"),
        code_blocks=(
            CodeBlock(
                kind="python",
                text='from slugify import slugify\nslugify("a 1")',
                lead="\n".join(line for line in ISSUE.partition("```")[0].splitlines() if line and "<!--" not in line),
            ),
            CodeBlock(kind="shell", text=ISSUE.split("```")[3].strip("\n"), lead="This prints:"),
        ),
        commands=('python -m slugify "a 1"',),
    )


@pytest.mark.parametrize(
    ("text", "kind", "block"),
    [
        ("~~~py\nf(1)\n~~~", "python", "f(1)"),
        ("Try\n\n    import os\n    os.sep\n\nand", "python", "import os\nos.sep"),
        ("Try\n>>> f(1)\n2\n\nand", "doctest", ">>> f(1)\n2"),
        ("```python\n>>> f(1)\n2\n```", "doctest", ">>> f(1)\n2"),
        ("```sh\nmake\n```", "shell", "make"),
        ("```\n$ make\n```", "shell", "$ make"),
        ("```\nSome words that were quoted\n```", "other", "Some words that were quoted"),
        ("```yaml\na: 1\n```", "other", "a: 1"),
        ("```\nx = f(1)\nassert x", "python", "x = f(1)\nassert x"),
        ("```\nfor x in y:\n    if x:\n        go(x)\n```", "python", "for x in y:\n    if x:\n        go(x)"),
    ],
)
def test_a_code_block_is_found_and_told_apart(text: str, kind: str, block: str):
    assert [(each.kind, each.text) for each in read_issue(text).code_blocks] == [(kind, block)]


def test_prose_names_only_what_looks_like_code():
    text = "The old Parser is slow, e.g. with `fast`, parse_all, parseAll, HTTPServer, run(), a.b and pkg.mod in x.py"
    assert read_issue(text).identifiers == ("fast", "parse_all", "parseAll", "HTTPServer", "run", "pkg.mod")


def test_frames_of_ipython_and_pytest_are_read():
    ipython = "~/env/xarray/core/merge.py in merge_core(objects, compat)\n    99     x\n--> 100     y\n"
    newer = "File ~/env/xarray/core/merge.py:12, in collect(x)\n"
    pytest_ = "src/app/main.py:7: in run\n    go()\nsrc/app/go.py:9: ValueError\nE   ValueError: bad\n"
    assert read_issue(ipython + newer + pytest_).frames == (
        Frame(path="~/env/xarray/core/merge.py", line=100, function="merge_core"),
        Frame(path="~/env/xarray/core/merge.py", line=12, function="collect"),
        Frame(path="src/app/main.py", line=7, function="run"),
        Frame(path="src/app/go.py", line=9),
    )
    assert read_issue(pytest_).error == Raised(type="ValueError", message="bad")


def test_the_last_of_several_tracebacks_tells_the_error():
    traceback = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x\n{}\n'
    chained = traceback.format("KeyError: 'a'") + "\nDuring handling\n\n" + traceback.format("app.errors.Gone")
    assert read_issue(chained).error == Raised(type="app.errors.Gone")


def test_an_error_without_a_traceback_is_found_in_prose():
    assert read_issue("It ends with TypeError: bad operand here").error == Raised(
        type="TypeError", message="bad operand here"
    )
    assert read_issue("It ends. Error: none").error is None


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<!--",
            "`",
            "```\n",
            "a.",
            "A",
            "Error: ",
            "AError",
            'File "',
            "\n    x\n",
            ">>> f(\n",
            "$ x\\\n",
            "/a",
            " ",
        ),
        *("(", "-", "Traceback (most recent call last)\n", "https://", "x.py:1: ", "--> ", "[\"', =", "versions "),
    ],
)
def test_a_megabyte_is_read_in_seconds(piece: str):
    start = time.process_time()
    issue = piece * (1_000_000 // len(piece))
    facts = read_issue(issue)
    assert len(without_environment(issue)) <= len(issue)
    assert time.process_time() - start < 20
    assert len(facts.identifiers) <= 200


def test_sections_that_report_versions_can_be_left_out():
    issue = "It fails\n\n**Environment info**\n- OS: Linux\n\n**Additional context**\nNone\n### Versions\nPython 3"
    assert without_environment(issue) == "It fails\n\n**Additional context**\nNone"
    assert without_environment("Version 2 is wrong\nsee") == "Version 2 is wrong\nsee"


@given(st.text("ab.`>$ \n~(\"'_/:1FileTraceback<!->", max_size=200))
def test_any_text_can_be_read(text: str):
    assert read_issue(text).model_dump()
