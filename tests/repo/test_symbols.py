from hypothesis import given
from hypothesis import strategies as st

from patchwright.repo.index.symbols import LARGEST_BYTES, Symbol, symbols_of, text_symbols
from patchwright.repo.index.terms import terms_of

SOURCE = b'''import os

@register
@retry(3)
class Cache(Base,
            meta=Meta):
    """Keeps things."""
    size = limit()

    @property
    def entries(self, key: int) -> list:
        def by_age():
            return load(key).read()
        return sorted(by_age())

if os.name:
    async def main(): run()
main()
'''


def names(source: bytes) -> list[str]:
    return [symbol.name for symbol in symbols_of(source)]


def test_each_definition_is_a_symbol_and_says_of_its_text_what_is_not_in_another():
    assert symbols_of(SOURCE) == (
        Symbol(
            name="",
            kind="module",
            start_line=1,
            end_line=18,
            body_line=1,
            identifiers=("import", "os", "if", "name", "main"),
            calls=("main",),
        ),
        Symbol(
            name="Cache",
            kind="class",
            start_line=3,
            end_line=14,
            body_line=7,
            signature="class Cache(Base, meta=Meta)",
            identifiers=(
                *("register", "retry", "class", "Cache", "Base", "meta", "Meta", "Keeps", "things", "size", "limit"),
            ),
            calls=("retry", "limit"),
        ),
        Symbol(
            name="Cache.entries",
            kind="function",
            start_line=10,
            end_line=14,
            body_line=12,
            signature="def entries(self, key: int) -> list",
            identifiers=("property", "def", "entries", "self", "key", "int", "list", "return", "sorted", "by_age"),
            calls=("sorted", "by_age"),
        ),
        Symbol(
            name="Cache.entries.by_age",
            kind="function",
            start_line=12,
            end_line=13,
            body_line=13,
            signature="def by_age()",
            identifiers=("def", "by_age", "return", "load", "key", "read"),
            calls=("load", "read"),
        ),
        Symbol(
            name="main",
            kind="function",
            start_line=17,
            end_line=17,
            body_line=17,
            signature="async def main()",
            identifiers=("async", "def", "main", "run"),
            calls=("run",),
        ),
    )


def test_a_syntax_error_loses_what_is_around_it_alone():
    assert names(b"def f():\n    return 1\n\nx = = 3\n\ndef g():\n    pass\n") == ["", "f", "g"]


def test_a_file_in_another_language_is_one_module():
    (module,) = text_symbols(b"int main() {\n  parse_args();\n}\n")
    assert (module.kind, module.end_line, module.identifiers) == ("module", 3, ("int", "main", "parse_args"))


def test_binary_empty_and_huge_files_have_no_symbols():
    for source in (b"", b"def f():\0pass", b"x = 1\n" * (LARGEST_BYTES // 6 + 1)):
        assert symbols_of(source) == text_symbols(source) == ()


def test_a_file_in_another_encoding_keeps_its_names():
    assert names("# -*- coding: latin-1 -*-\ndef größe(): 'ü'\ndef f(): 'ä'\n".encode("latin-1"))[-1] == "f"
    assert names(b"\xef\xbb\xbfdef f(): pass\n") == ["", "f"]


def test_deep_nesting_ends_in_the_definition_that_is_deep_enough():
    source = b"".join(b" " * depth + b"def f():\n" for depth in range(1000)) + b" " * 1000 + b"pass\n"
    assert len(symbols_of(source)) == 21


def test_nesting_that_tree_sitter_searches_in_quadratic_time_is_given_up():
    for source in (b"(" * 500_000, b"f(" * 100_000 + b")" * 100_000, b"a" + b".b()" * 100_000):
        assert names(source) == [""]


@given(st.binary(max_size=300) | st.text("def clas:()\n @x='\"#[]{}", max_size=300).map(str.encode))
def test_whatever_the_source_symbols_lie_within_the_file(source: bytes):
    for symbol in symbols_of(source):
        assert 1 <= symbol.start_line <= symbol.body_line <= symbol.end_line <= source.count(b"\n") + 1


def test_terms_are_words_and_their_parts_in_lower_case():
    assert terms_of("parseHTTPDate max_retries utf8 x __init__ Größe") == [
        *("parsehttpdate", "parse", "http", "date"),
        *("max_retries", "max", "retries"),
        *("utf8", "utf"),
        "init",
        *("größe", "gr", "öß"),
    ]
