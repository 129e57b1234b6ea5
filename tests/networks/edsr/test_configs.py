"""EDSR's configurations: counted exactly, checked, and those of students."""

import pytest
import torch
from helpers.edsr_networks import FAMILY, configs
from helpers.network_files import fvcore_total
from hypothesis import given, settings

from autocompress.compute import flops
from autocompress.errors import ConfigError
from autocompress.networks import FAMILIES, find_family, shape
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.teachers import load_teacher
from autocompress.networks.weights import digest


def test_baseline_costs_what_the_literature_says() -> None:
    assert FAMILY.flops(EDSRConfig(2)) / 1e9 == pytest.approx(316.25, abs=0.005)
    assert FAMILY.params(EDSRConfig(2)) == 1_369_859
    assert FAMILY.flops(EDSRConfig(2, 16, 8)) / 1e9 == pytest.approx(11.65, abs=0.005)
    assert FAMILY.params(EDSRConfig(2, 16, 8)) == 49_603
    assert FAMILY.flops(EDSRConfig(2, 16, 8, tail="folded")) / 1e9 == pytest.approx(10.23, abs=0.005)
    for num_layer in (1, 3):  # the same convolutions in blocks of other sizes
        assert FAMILY.flops(EDSRConfig(2, 16, 6 // num_layer, num_layer)) == FAMILY.flops(EDSRConfig(2, 16, 3))
        assert FAMILY.params(EDSRConfig(2, 16, 6 // num_layer, num_layer)) == FAMILY.params(EDSRConfig(2, 16, 3))


@settings(max_examples=15)
@given(configs)
def test_closed_forms_equal_the_built_network(config: EDSRConfig) -> None:
    network = FAMILY.build(config)
    per_pixel = round(fvcore_total(network, torch.zeros(1, 3, 6, 5))) // 30
    assert FAMILY.flops(config) == round(per_pixel * 1280 * 720 / config.scale**2)
    assert FAMILY.flops(config) == flops.count_flops(network, config.scale, side=12)
    assert FAMILY.params(config) == sum(parameter.numel() for parameter in network.parameters())


def test_configs_are_checked() -> None:
    for fields, message in (
        ({"scale": 8}, "scale is 8, but EDSR upscales by 2, 3 or 4"),
        ({"scale": 2, "num_feat": 0}, "num_feat is 0, but must be a whole number >= 1"),
        ({"scale": 2, "num_feat": True}, "num_feat is True, but must be a whole number >= 1"),
        ({"scale": 2, "num_block": -1}, "num_block is -1, but must be a whole number >= 1"),
        ({"scale": 2, "num_layer": 0}, "num_layer is 0, but must be a whole number from 1 to 3"),
        ({"scale": 2, "num_layer": 4}, "num_layer is 4, but must be a whole number from 1 to 3"),
        ({"scale": 2, "tail": "direct"}, "tail is 'direct', but must be one of plain, folded"),
        ({"scale": 2, "num_layer": 2.0}, "num_layer is 2.0, but must be a whole number from 1 to 3"),
    ):
        with pytest.raises(ConfigError, match=message):
            EDSRConfig(**fields)
    with pytest.raises(ConfigError, match="has no field 'depth'; its fields are scale, num_feat"):
        EDSRConfig.from_dict({"scale": 2, "depth": 3})
    for num_layer, tail in ((1, "plain"), (2, "folded"), (3, "plain")):
        config = EDSRConfig(4, 5, 6, num_layer, 0.5, tail)
        assert EDSRConfig.from_dict(config.to_dict()) == config


def test_an_ordinary_network_is_described_as_ever() -> None:
    """What was written, hashed and told before there were other numbers of convolutions or tails stays the same."""
    assert EDSRConfig(2).to_dict() == {"scale": 2, "num_feat": 64, "num_block": 16, "res_scale": 1.0}
    assert EDSRConfig(2, num_layer=3).to_dict()["num_layer"] == 3
    assert digest(load_teacher("edsr-baseline-x2")) == "0b00c668d3667e4d85dd5b7eea82f770"
    assert shape("edsr", EDSRConfig(2, 16, 8).to_dict()) == "edsr num_feat=16 num_block=8"
    assert shape("edsr", EDSRConfig(2, 16, 8, 3).to_dict()) == "edsr num_feat=16 num_block=8 num_layer=3"
    assert EDSRConfig(2, tail="folded").to_dict()["tail"] == "folded"
    assert shape("edsr", EDSRConfig(2, 16, 8, tail="folded").to_dict()) == "edsr num_feat=16 num_block=8 tail=folded"


def test_students_are_not_larger_than_their_teacher() -> None:
    teacher = EDSRConfig(2, 16, 4, res_scale=0.1)
    assert FAMILY.student_config(teacher, {"num_feat": 8}) == EDSRConfig(2, 8, 4)
    with pytest.raises(ConfigError, match="num_feat is 17, but a student of this teacher has 1 to 16 features"):
        FAMILY.student_config(teacher, {"num_feat": 17})
    with pytest.raises(ConfigError, match="num_layer is 4"):
        FAMILY.student_config(teacher, {"num_layer": 4})


def test_students_may_have_more_convolutions_in_a_block_than_their_teacher() -> None:
    one, two = EDSRConfig(2, 16, 4, 1), EDSRConfig(2, 16, 4)
    assert FAMILY.student_config(two, {"num_layer": 3}) == EDSRConfig(2, 16, 4, 3)
    assert FAMILY.student_config(one, {"num_feat": 8}) == EDSRConfig(2, 8, 4, 1)
    assert FAMILY.student_config(two, {"tail": "folded"}) == EDSRConfig(2, 16, 4, tail="folded")
    assert FAMILY.limits(one) == {"num_feat": 16, "num_block": 4, "num_layer": 3}


def test_families_are_found_by_name() -> None:
    assert find_family("edsr") is FAMILIES["edsr"]
    with pytest.raises(ConfigError, match="no family is called 'unet'; known: edsr, swinir"):
        find_family("unet")
