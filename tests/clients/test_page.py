"""docs/clients.md: every client that is tested has a section, and is installed as it says."""

import pytest

from tests.clients.page import section
from tests.clients.versions import CLIENTS, requirements


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_tested_in_the_version_that_the_page_names(client: str) -> None:
    told = section(client)
    assert told.installed == requirements(client)
    assert told.commands
