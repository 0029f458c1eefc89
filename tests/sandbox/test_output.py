"""Output keeps the head and the tail, whatever pieces it comes in."""

from hypothesis import given
from hypothesis import strategies as st

from patchwright.sandbox.inside.output import Output


@given(st.lists(st.binary(max_size=40)), st.integers(min_value=0, max_value=50))
def test_head_and_tail_are_those_of_the_whole(pieces: list[bytes], limit_bytes: int) -> None:
    output = Output(limit_bytes)
    for piece in pieces:
        output.add(piece)
    whole = b"".join(pieces)
    head, tail = output.parts()
    assert len(head) + len(tail) + output.omitted_bytes == len(whole)
    assert len(head) + len(tail) == min(len(whole), limit_bytes)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) >= len(tail)


def test_the_sandboxs_own_word_comes_last_and_on_top_of_the_limit() -> None:
    output = Output(4)
    output.note("killed")
    output.add(b"abcdefgh")
    assert output.parts() == (b"ab", b"gh\n[sandbox: killed]\n")
