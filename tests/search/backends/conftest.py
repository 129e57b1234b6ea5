"""Of all backends."""

import pytest
from helpers.small_search import MakeSettings

from autocompress.compute import precision
from autocompress.compute.precision import Precision


@pytest.fixture
def settings(small: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Of a search of seconds; any field can be given."""
    monkeypatch.setattr(precision, "choose", Precision)
    return small
