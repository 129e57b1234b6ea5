"""What densities suggest of counts that depend on each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.own_network import CODE

from autocompress.errors import ConfigError
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.shrink.density import Density

AT_LEAST = CODE.replace(
    "        super().__init__()\n",
    '        super().__init__()\n        if feat + blocks < 12:\n            raise ValueError("too small")\n',
)


@pytest.fixture
def family(tmp_path: Path) -> CustomFamily:
    (tmp_path / "own.py").write_text(AT_LEAST)
    made = CustomFamily(Code.of(tmp_path / "own.py", "OwnNetwork"), {"feat": 12})
    assert {count.field: values[0] for count, values in made.values.items()} == {"feat": 10, "blocks": 1}
    return made


def test_values_that_a_network_does_not_have_together_are_refused(family: CustomFamily) -> None:
    with pytest.raises(ConfigError, match=r"no student of feat 10, blocks 1: .* failed with .*too small"):
        family.student_config(family.config(), {"feat": 10, "blocks": 1})


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((100, 100, 100), {"feat": 12, "blocks": 2}),
        ((1, 1, 1), {"feat": 10, "blocks": 2}),
        ((100, 100, 0), {"feat": 12, "blocks": 1}),
        ((1, 1, 0), {"feat": 10, "blocks": 2}),  # with one block it would be too small
    ],
)
def test_the_next_larger_counts_are_suggested(
    family: CustomFamily, shares: tuple[int, int, int], expected: dict[str, int]
) -> None:
    """The first count goes down first."""
    layers = dict(zip(("head", "body.0", "body.1"), shares, strict=True))
    densities = {name: Density(100, share) for name, share in layers.items()}
    assert family.counts_of(family.suggest(family.config(), densities)) == expected
