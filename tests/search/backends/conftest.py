"""Of all backends."""

import pytest
from helpers.small_search import MakeSettings


@pytest.fixture
def settings(small: MakeSettings) -> MakeSettings:
    """Of a search of seconds; any field can be given."""
    return small
