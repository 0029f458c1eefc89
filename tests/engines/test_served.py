import pytest

from patchwright.engines.served import window
from patchwright.errors import EngineError


def test_the_window_is_an_agents_and_never_longer_than_the_models() -> None:
    assert window(131072, None) == 32768
    assert window(4096, None) == 4096
    assert window(131072, 131072) == 131072
    with pytest.raises(EngineError, match="the model has a window of 131072 tokens, not 131073"):
        window(131072, 131073)
