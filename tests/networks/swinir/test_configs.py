"""SwinIR's configurations: counted exactly, checked, and those of students."""

import json
import re
from typing import Any

import pytest
import torch
from helpers.swinir_networks import FAMILY, MINI, SMALL, TINY, configs
from hypothesis import given, settings
from hypothesis import strategies as st

from autocompress.compute import flops
from autocompress.errors import ConfigError
from autocompress.networks.swinir.network import SwinIRConfig


def test_costs_are_those_of_the_literature() -> None:
    assert FAMILY.flops(SMALL) / 1e9 == pytest.approx(244.4, abs=0.05)
    assert FAMILY.params(SMALL) == 910_152
    assert FAMILY.flops(MINI) / 1e9 == pytest.approx(27.5, abs=0.05)
    assert FAMILY.params(MINI) == 98_868


@pytest.mark.parametrize("config", [pytest.param(SMALL, marks=pytest.mark.slow), MINI])
def test_presets_are_counted_as_fvcore_does(config: SwinIRConfig) -> None:
    made = FAMILY.build(config)
    assert FAMILY.flops(config) == flops.count_flops(made, config.scale)
    assert FAMILY.params(config) == flops.count_params(made)


@settings(max_examples=8)
@given(configs(), st.booleans())
def test_closed_forms_equal_the_built_network(config: SwinIRConfig, grad: bool) -> None:
    made = FAMILY.build(config)
    with torch.set_grad_enabled(grad):
        assert FAMILY.flops(config) == flops.count_flops(made, config.scale, 2 * made.size_multiple)
    assert FAMILY.params(config) == flops.count_params(made)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 8}, "scale is 8, but SwinIR upscales by 2, 3 or 4"),
        ({"upsampler": "nearest+conv"}, "upsampler is 'nearest+conv', but must be one of pixelshuffledirect, pixel"),
        ({"embed_dim": 0}, "embed_dim is 0, but must be a whole number >= 1"),
        ({"embed_dim": 6.0}, "embed_dim is 6.0, but must be a whole number"),
        ({"embed_dim": 20}, "embed_dim is 20, but must be a multiple of num_heads, which is 6"),
        ({"window_size": 1}, "window_size is 1, but must be a whole number from 2 to 64"),
        ({"depths": ()}, "depths is (), but must be one whole number for each"),
        ({"depths": [2, 2]}, "depths is [2, 2], but must be"),
        ({"depths": (2, 0, 2, 2)}, "depths is 0, but must be a whole number >= 1"),
        ({"num_heads": (6, True, 6, 6)}, "num_heads is True, but must be a whole number"),
        ({"depths": (6, 6)}, "depths is (6, 6) and num_heads (6, 6, 6, 6), but both"),
        ({"mlp_ratio": 0.01}, "mlp_ratio is 0.01, but must be"),
        ({"mlp_ratio": "2"}, "mlp_ratio is '2', but must be"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio is nan, but must be"),
    ],
)
def test_configs_are_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        SwinIRConfig(**{"scale": 2, **fields})


@settings(max_examples=30)
@given(configs())
def test_configs_survive_json(config: SwinIRConfig) -> None:
    assert SwinIRConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_students_are_not_larger_than_their_teacher() -> None:
    mini = {"embed_dim": 24, "num_block": 3, "depth": 4, "num_heads": 6, "mlp_ratio": 2}
    assert FAMILY.student_config(SMALL, mini) == MINI
    assert FAMILY.student_config(SMALL, {}) == SMALL
    assert FAMILY.student_config(SMALL, {"depth": 2}) == SwinIRConfig(2, 60, (2,) * 4)
    uneven = SwinIRConfig(2, 12, (2, 3), (2, 3))
    assert FAMILY.student_config(uneven, {"embed_dim": 6}).to_dict()["depths"] == [2, 3]
    for field, value, limit in (("embed_dim", 66, 60), ("num_block", 5, 4), ("depth", 7, 6), ("mlp_ratio", 3, 2)):
        with pytest.raises(ConfigError, match=rf"{field} is {value}, but a student of this teacher has 1 to {limit}"):
            FAMILY.student_config(SMALL, {field: value})
    for field in ("num_block", "depth", "num_heads"):
        with pytest.raises(ConfigError):
            FAMILY.student_config(SMALL, {field: 0})


def test_counts_and_size() -> None:
    assert FAMILY.counts_of(MINI) == {"embed_dim": 24, "num_block": 3, "depth": 4, "num_heads": 6, "mlp_ratio": 2}
    assert FAMILY.counts_of(MINI).keys() == {count.field for count in FAMILY.counts}
    assert FAMILY.build(TINY).size_multiple == 4
