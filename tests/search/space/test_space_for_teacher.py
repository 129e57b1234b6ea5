"""What is left of a search space for the students of a teacher."""

import dataclasses
import re
from pathlib import Path

import pytest
from helpers.search_spaces import GOOD, TEACHER, changed, parse

from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError, SpaceError
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.search.space.search_space import load_space


def test_counts_are_capped_to_the_teacher(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD).for_teacher(TEACHER)
    values = {parameter.name: parameter.values for parameter in space.parameters}
    assert values["num_feat"] == (8, 16)
    assert values["num_block"] == (1, 2, 3, 4)
    assert values["teacher_share"] == (0, 0.25, 0.5, 0.75, 1)
    for parameter in space.parameters[:2]:
        bounds = (parameter.distribution.low, parameter.distribution.high)  # type: ignore[attr-defined]
        assert bounds == (parameter.values[0], parameter.values[-1])


def test_an_optional_count_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """Not the teacher's, which has 2; and where the space does not name it, students have the teacher's."""
    varied = changed("  num_block", "  num_layer: {type: int, low: 1, high: 3}\n  num_block")
    space = parse(tmp_path, varied).for_teacher(TEACHER)
    assert {p.name: p.values for p in space.parameters}["num_layer"] == (1, 2, 3)
    found = {config.to_dict().get("num_layer", 2) for _, config in space.sizes(TEACHER)}
    assert found == {1, 2, 3}
    plain = parse(tmp_path, GOOD).for_teacher(TEACHER)
    for num_layer in (1, 2):
        teacher = dataclasses.replace(TEACHER, num_layer=num_layer)
        assert {config.to_dict().get("num_layer", 2) for _, config in plain.sizes(teacher)} == {num_layer}


def test_the_space_of_layers_is_the_default_one_with_layers() -> None:
    default, layers = load_space("edsr").to_dict(), load_space("edsr-layers").to_dict()
    assert layers["parameters"].pop("num_layer") == [1, 2, 3]
    assert layers == default


def test_a_choice_of_words_varies_the_network(tmp_path: Path) -> None:
    """Where the space does not name it, students have the teacher's."""
    both = "  tail: {type: categorical, choices: [plain, folded]}\n  num_block"
    space = parse(tmp_path, changed("  num_block", both)).for_teacher(TEACHER)
    configs = [config for _, config in space.sizes(TEACHER)]
    assert {config.to_dict().get("tail", "plain") for config in configs} == {"plain", "folded"}
    assert len(configs) == 2 * 2 * 4
    assert space.nearest(EDSRConfig(2, 9, 2, tail="folded"))["tail"] == "folded"
    fixed = parse(tmp_path, changed("  num_block", "  tail: folded\n  num_block")).for_teacher(TEACHER)
    assert {config.to_dict()["tail"] for _, config in fixed.sizes(TEACHER)} == {"folded"}


def test_the_space_of_folded_tails_is_the_default_one_with_them() -> None:
    default, folded = load_space("edsr").to_dict(), load_space("edsr-folded").to_dict()
    assert folded["parameters"].pop("tail") == ["folded"]
    assert folded == default


def test_categorical_counts_are_capped_too(tmp_path: Path) -> None:
    text = changed("{type: int, low: 1, high: 16}", "{type: categorical, choices: [3, 16, 1]}")
    space = parse(tmp_path, text).for_teacher(TEACHER)
    assert space.parameters[1].values == (3, 1)
    assert space.parameters[1].distribution.choices == (3, 1)  # type: ignore[attr-defined]


def test_a_space_above_the_teacher_is_refused(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD)
    with pytest.raises(SpaceError, match="num_feat is at least 8 in this space, but the teacher has 4"):
        space.for_teacher(EDSRConfig(2, 4, 4))


def test_sizes_are_all_networks_once_with_the_defaults(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD).for_teacher(TEACHER)
    found = list(space.sizes(TEACHER))
    assert {(config.num_feat, config.num_block) for _, config in found if isinstance(config, EDSRConfig)} == {
        (feat, block) for feat in (8, 16) for block in (1, 2, 3, 4)
    }
    assert len(found) == 8
    for values, config in found:
        assert config.to_dict()["res_scale"] == 1  # a student's
        assert (values["teacher_share"], values["learning_rate"], values["teacher_loss"]) == (0.5, 1e-3, "l1")


SWINIR = """
family: swinir
parameters:
  embed_dim: {type: int, low: 12, high: 60, step: 4}
  num_block: {type: int, low: 1, high: 6}
  depth: {type: int, low: 1, high: 6}
  num_heads: {type: categorical, choices: [2, 3, 6]}
  mlp_ratio: {type: float, low: 1.0, high: 4.0, step: 0.5}
  learning_rate: 1.0e-3
"""


def test_counts_that_depend_on_each_other(tmp_path: Path) -> None:
    """The bounds are the teacher's, ratios may be fractions, and what is no network is left out."""
    teacher = SwinIRConfig(2, 24, (2, 4, 4), (6, 6, 3))
    space = parse(tmp_path, SWINIR).for_teacher(teacher)
    values = {parameter.name: parameter.values for parameter in space.parameters}
    assert values["embed_dim"] == (12, 16, 20, 24)
    assert (values["num_block"], values["depth"]) == ((1, 2, 3), (1, 2))
    assert (values["num_heads"], values["mlp_ratio"]) == ((2, 3), (1.0, 1.5, 2.0))
    configs = [config for _, config in space.sizes(teacher)]
    assert {(config.embed_dim, config.num_heads[0]) for config in configs if isinstance(config, SwinIRConfig)} == {
        (12, 2), (12, 3), (16, 2), (20, 2), (24, 2), (24, 3),
    }  # fmt: skip
    assert len(configs) == 6 * 3 * 2 * 3
    counts = {"embed_dim": 16, "num_block": 1, "depth": 1, "num_heads": 3, "mlp_ratio": 1.0}
    with pytest.raises(ConfigError, match="embed_dim is 16, but must be a multiple of num_heads"):
        space.candidate({**counts, "learning_rate": 1e-3}, teacher, Recipe())


def test_the_shipped_swinir_space_has_the_papers_student() -> None:
    teacher = SwinIRConfig(2)
    configs = [config for _, config in load_space("swinir").for_teacher(teacher).sizes(teacher)]
    assert SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6)) in configs
    assert teacher in configs
    assert len(configs) == len(set(configs)) == 9 * 4 * 6 * 3 * 3


@pytest.mark.parametrize("ratio", ["0.5", "true", "[1, 2]"])
def test_a_ratio_must_be_a_number_from_one_up(tmp_path: Path, ratio: str) -> None:
    with pytest.raises(SpaceError, match="mlp_ratio"):
        parse(tmp_path, re.sub("mlp_ratio: .*", f"mlp_ratio: {ratio}", SWINIR))
