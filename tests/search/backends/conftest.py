"""Of all backends."""

import pytest
from small import Make

from autocompress.compute import precision
from autocompress.compute.precision import Precision


@pytest.fixture
def settings(small: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Of a search of seconds; any field can be given."""
    monkeypatch.setattr(precision, "choose", Precision)
    return small
