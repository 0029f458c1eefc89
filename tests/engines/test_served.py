import pytest

from patchwright.engines.served import check_memory, window
from patchwright.errors import EngineError


def test_the_window_is_an_agents_and_never_longer_than_the_models() -> None:
    assert window(131072, None) == 32768
    assert window(4096, None) == 4096
    assert window(131072, 131072) == 131072
    with pytest.raises(EngineError, match="the model has a window of 131072 tokens, not 131073"):
        window(131072, 131073)


def test_what_does_not_fit_into_memory_is_refused_before_it_starts() -> None:
    check_memory("devstral", 21_000_000_000, 24_000_000_000)
    words = r"devstral needs 50\.0 GB of memory; of this machine's 24\.0 GB an engine may take 21\.6"
    with pytest.raises(EngineError, match=words) as caught:
        check_memory("devstral", 50_000_000_000, 24_000_000_000)
    assert "a quantised file" in (caught.value.hint or "")
