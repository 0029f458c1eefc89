"""The same clients before a real engine with a small model, which may do the task or not: what they ask is answered."""

from pathlib import Path

import pytest

from tests.clients.agent import try_with_engine
from tests.clients.installation import programs
from tests.clients.page import section
from tests.clients.versions import CLIENTS

pytestmark = pytest.mark.clients

MODEL = "qwen2.5-coder-0.5b"
ANSWERS = 2
"""The second request has what came of the first answer."""
TIMEOUT_S = 240
"""Two cores read the longest of the system prompts, some ten thousand tokens, in a minute."""


@pytest.mark.timeout(TIMEOUT_S + 120)
@pytest.mark.parametrize("client", CLIENTS)
def test_its_requests_are_answered_by_a_real_engine(client: str, tmp_path: Path) -> None:
    installed = programs(client)
    if isinstance(installed, str):
        pytest.skip(installed)
    tried = try_with_engine(installed, section(client), tmp_path, MODEL, ANSWERS, TIMEOUT_S)
    assert tried.statuses.get(200), tried
    assert set(tried.statuses) <= {200, 499}, tried  # 499: it was ended in the middle of an answer
