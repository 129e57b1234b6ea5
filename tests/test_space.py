"""Search spaces: what a YAML file may say, and which key breaks which rule."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autocompress import package_files
from autocompress.distill.recipe import Recipe
from autocompress.errors import ConfigError, SpaceError
from autocompress.families import FAMILIES
from autocompress.families.edsr.network import EDSRConfig
from autocompress.families.swinir.network import SwinIRConfig
from autocompress.search.parameters import parse_parameter
from autocompress.search.space import Budget, Space, load_space, shipped_spaces

TEACHER = EDSRConfig(scale=2, num_feat=20, num_block=4, res_scale=0.1)

GOOD = """
family: edsr
parameters:
  num_feat: {type: int, low: 8, high: 64, step: 8}
  num_block: {type: int, low: 1, high: 16}
  teacher_loss: {type: categorical, choices: [l1, multilap]}
  teacher_share: {type: float, low: 0.0, high: 1.0, step: 0.25}
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true, num: 3}
defaults: {teacher_share: 0.5, learning_rate: 1.0e-3}
"""


def parse(tmp_path: Path, text: str) -> Space:
    (tmp_path / "mine.yaml").write_text(text)
    return load_space(str(tmp_path / "mine.yaml"))


# --- what is good ---


def test_a_good_file(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD)
    values = {parameter.name: parameter.values for parameter in space.parameters}
    assert space.name == "mine"
    assert space.family is FAMILIES["edsr"]
    assert values["num_feat"] == (8, 16, 24, 32, 40, 48, 56, 64)
    assert values["num_block"] == tuple(range(1, 17))
    assert values["teacher_loss"] == ("l1", "multilap")
    assert values["teacher_share"] == (0, 0.25, 0.5, 0.75, 1)
    assert values["learning_rate"] == (1e-4, 1e-3, 1e-2)
    assert space.size == 8 * 16 * 2 * 5 * 3
    assert space.defaults == {"teacher_share": 0.5, "learning_rate": 1e-3}


def test_a_bare_value_stays_fixed(tmp_path: Path) -> None:
    space = parse(tmp_path, "family: edsr\nparameters: {num_feat: 16, num_block: 8, clip: 0.5}\n")
    assert [parameter.values for parameter in space.parameters] == [(16,), (8,), (0.5,)]
    candidate = space.candidate({"num_feat": 16, "num_block": 4, "clip": 0.5}, TEACHER, Recipe(steps=7))
    assert candidate.config == EDSRConfig(2, 16, 4)
    assert candidate.recipe == Recipe(steps=7, clip=0.5)
    assert (candidate.flops, candidate.params) == (
        FAMILIES["edsr"].flops(candidate.config),
        FAMILIES["edsr"].params(candidate.config),
    )


def test_the_grid_of_logarithms_is_even_and_holds_its_ends() -> None:
    spec = {"type": "float", "low": 2.5e-4, "high": 2e-3, "log": True, "num": 4}
    assert parse_parameter("learning_rate", spec).values == (2.5e-4, 5e-4, 1e-3, 2e-3)


def test_a_sampled_value_goes_to_the_next_on_the_grid() -> None:
    log = parse_parameter("x", {"type": "float", "low": 0.01, "high": 1.0, "log": True, "num": 3})
    assert log.nearest(0.04) == 0.1  # in the logarithm; 0.01 is closer otherwise
    even = parse_parameter("x", {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25})
    assert even.nearest(0.4) == 0.5
    choice = parse_parameter("x", {"type": "categorical", "choices": ["a", 2]})
    assert choice.nearest("a") == "a"


@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_spaces_are_good(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    smallest = min(space.family.flops(config) for _, config in space.sizes(space.family.config_class(2)))
    assert smallest < (12e9 if name == "edsr-losses" else 3e9)
    for key in space.defaults:
        assert key in {parameter.name for parameter in space.parameters}


def test_spaces_are_found_in_a_wheel_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert package_files.spaces()["edsr"] == Path(package_files.__file__).parents[1] / "search_spaces" / "edsr.yaml"
    package = tmp_path / "autocompress"
    (package / "search_spaces").mkdir(parents=True)
    (package / "search_spaces" / "own.yaml").write_text(GOOD)
    monkeypatch.setattr(package_files, "_PACKAGE", package)
    assert list(shipped_spaces()) == ["own"]
    assert load_space("own").size == 8 * 16 * 2 * 5 * 3


def test_a_shipped_space_is_found_from_any_folder(tmp_path: Path) -> None:
    code = "from autocompress.search.space import load_space; print(load_space('edsr').family.name)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "edsr\n"


# --- what breaks a rule ---


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


BAD = {
    "no mapping": ("- edsr", "must be a mapping with `family` and `parameters`"),
    "empty": ("", "must be a mapping with `family` and `parameters`"),
    "no YAML": ("family: [edsr", "not readable as YAML"),
    "unknown key": (GOOD + "budget: 3\n", "budget is not known; known here: family, parameters, defaults"),
    "unknown family": (changed("family: edsr", "family: unet"), "no family is called 'unet'; known: edsr, swinir"),
    "no family": (changed("family: edsr", ""), "family is missing; known: edsr, swinir"),
    "no parameters": ("family: edsr", "parameters is missing or empty"),
    "typo": (
        changed("num_block", "num_blocks"),
        "parameters.num_blocks is nothing that edsr can vary; did you mean num_block?",
    ),
    "far from all": (
        changed("num_block", "depth"),
        "parameters.depth is nothing that edsr can vary (it can: num_feat, ",
    ),
    "typo in spec": (
        changed("step: 8", "stepp: 8"),
        "parameters.num_feat.stepp is not known; known here: type, low, high, step",
    ),
    "count left out": (changed("  num_block: {type: int, low: 1, high: 16}\n", ""), "parameters.num_block is missing"),
    "wrong type": (
        changed("type: int, low: 8", "type: integer, low: 8"),
        "parameters.num_feat.type is 'integer', but must be one of int, float, categorical",
    ),
    "list": (
        changed("{type: int, low: 1, high: 16}", "[1, 2]"),
        "parameters.num_block is [1, 2], but must be a mapping",
    ),
    "nothing": (changed("{type: int, low: 1, high: 16}", ""), "parameters.num_block is None, but must be a mapping"),
    "low above high": (
        changed("low: 1, high: 16", "low: 17, high: 16"),
        "parameters.num_block.low is 17, but must be <= high, which is 16",
    ),
    "low too low": (
        changed("low: 1, high: 16", "low: 0, high: 16"),
        "parameters.num_block has the value 0, but must be whole numbers >= 1",
    ),
    "step zero": (changed("step: 8", "step: 0"), "parameters.num_feat.step is 0, but must be >= 1"),
    "fraction": (
        changed("low: 1, high", "low: 1.5, high"),
        "parameters.num_block.low is 1.5, but must be a whole number",
    ),
    "float counts": (
        changed("{type: int, low: 1, high: 16}", "{type: float, low: 1, high: 4, step: 1.5}"),
        "parameters.num_block has the value",
    ),
    "bad choice of a count": (
        changed("{type: int, low: 1, high: 16}", "{type: categorical, choices: [2, 0]}"),
        "parameters.num_block has the value 0",
    ),
    "above an absolute limit": (
        changed("  num_block", "  num_layer: {type: int, low: 1, high: 4}\n  num_block"),
        "parameters.num_layer has the value 4, but must be whole numbers from 1 to 3",
    ),
    "below an absolute limit": (
        changed("  num_block", "  num_layer: 0\n  num_block"),
        "parameters.num_layer has the value 0, but must be whole numbers from 1 to 3",
    ),
    "true is no count": (changed("{type: int, low: 1, high: 16}", "true"), "parameters.num_block has the value True"),
    "true is no number": (
        changed("low: 1, high", "low: true, high"),
        "parameters.num_block.low is True, but must be a whole number",
    ),
    "high left out": (changed("low: 1, high: 16", "low: 1"), "parameters.num_block.high is missing"),
    "step left out": (changed(", step: 0.25", ""), "parameters.teacher_share.step is missing"),
    "float step zero": (changed("step: 0.25", "step: 0.0"), "parameters.teacher_share.step is 0, but must be > 0"),
    "YAML reads 1e-4 as text": (
        changed("low: 1.0e-4", "low: 1e-4"),
        "parameters.learning_rate.low is '1e-4', but must be a number (YAML needs the dot in 1.0e-3)",
    ),
    "num left out": (changed(", num: 3", ""), "parameters.learning_rate.num is missing"),
    "num of one": (changed("num: 3", "num: 1"), "parameters.learning_rate.num is 1, but must be >= 2"),
    "log of zero": (
        changed("low: 1.0e-4", "low: 0.0"),
        "parameters.learning_rate.low is 0, but must be > 0 where log is true",
    ),
    "log of text": (
        changed("log: true", "log: 'yes'"),
        "parameters.learning_rate.log is 'yes', but must be true or false",
    ),
    "infinite": (changed("high: 1.0e-2", "high: .inf"), "parameters.learning_rate.high is inf, but must be a number"),
    "infinite steps": (
        changed("high: 1.0, step", "high: .inf, step"),
        "parameters.teacher_share.high is inf, but must be a number",
    ),
    "not a number": (
        changed("high: 1.0, step", "high: .nan, step"),
        "parameters.teacher_share.high is nan, but must be a number",
    ),
    "endless": (
        changed("low: 1, high: 16", "low: 1, high: 900000000000"),
        "parameters.num_block has 900000000000 values, but may have at most 10000",
    ),
    "endless steps": (
        changed("step: 0.25", "step: 1.0e-12"),
        "parameters.teacher_share has 1000000000001 values, but may have at most 10000",
    ),
    "same choice twice": (
        changed("[l1, multilap]", "[l1, l1]"),
        "parameters.teacher_loss.choices is ['l1', 'l1'], but must be a list of different values",
    ),
    "no choice": (changed("[l1, multilap]", "[]"), "parameters.teacher_loss.choices is []"),
    "choice of lists": (
        changed("[l1, multilap]", "[[l1], [multilap]]"),
        "parameters.teacher_loss.choices is [['l1'], ['multilap']]",
    ),
    "unknown choice": (changed("[l1, multilap]", "[l1, l3]"), "teacher_loss is 'l3', but must be one of l1, charbonn"),
    "text for a number": (
        changed("{type: float, low: 0.0, high: 1.0, step: 0.25}", "much"),
        "parameters.teacher_share has the value 'much' of a wrong type",
    ),
    "share above one": (
        changed("high: 1.0, step", "high: 2.0, step"),
        "teacher_share is 1.25, but must be from 0 to 1",
    ),
    "clip of zero": (changed("defaults", "  clip: 0\ndefaults"), "clip is 0, but must be > 0"),
    "ema above one": (changed("defaults", "  ema: 1.5\ndefaults"), "ema is 1.5, but must be from 0 to 1"),
    "default off the grid": (
        changed("teacher_share: 0.5", "teacher_share: 0.3"),
        "defaults.teacher_share is 0.3, but its values are 0.0, 0.25",
    ),
    "default of nothing": (
        changed("teacher_share: 0.5", "teacher_shar: 0.5"),
        "defaults.teacher_shar is no parameter of this space",
    ),
    "defaults no mapping": (
        changed("defaults: {teacher_share: 0.5, learning_rate: 1.0e-3}", "defaults: [1]"),
        "defaults is [1], but must be a mapping",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(SpaceError, match=re.escape(message)) as caught:
        parse(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert "\n" not in str(caught.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(SpaceError, match="not readable as YAML"):
        load_space(str(tmp_path / "mine.yaml"))


def test_an_unknown_name_lists_the_shipped(tmp_path: Path) -> None:
    with pytest.raises(
        SpaceError, match=r"edsrr: no such file, and .*; shipped: edsr, edsr-layers, edsr-losses, swinir"
    ):
        load_space("edsrr")


# --- for a teacher ---


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


def test_without_a_share_the_loss_is_the_same_training(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD).for_teacher(TEACHER)
    values = {"num_feat": 8, "num_block": 1, "learning_rate": 1e-3}

    def key(share: float, loss: str) -> object:
        return space.candidate(values | {"teacher_share": share, "teacher_loss": loss}, TEACHER, Recipe()).key

    assert key(0.0, "l1") == key(0.0, "multilap")
    assert key(0.5, "l1") != key(0.5, "multilap")


def test_to_dict_tells_spaces_apart(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD)
    assert space.to_dict() == yaml.safe_load(yaml.safe_dump(space.to_dict()))
    assert space.to_dict() == parse(tmp_path, GOOD).to_dict()
    assert (
        space.to_dict() != parse(tmp_path, changed("num: 3", "num: 4").replace("learning_rate: 1.0e-3", "")).to_dict()
    )


# --- budget ---


def test_budget() -> None:
    assert Budget(100, 10).allows(100, 10)
    assert not Budget(100, 10).allows(101, 1)
    assert not Budget(100, 10).allows(1, 11)
    assert Budget(None, 10).allows(10**15, 10)
    assert Budget(100, None).allows(100, 10**15)
    assert str(Budget(20 * 10**9, 500_000)) == "20G FLOPs and 500K parameters"
    assert str(Budget(20 * 10**9)) == "20G FLOPs"


def swinir_space(tmp_path: Path, text: str) -> Space:
    path = tmp_path / "swinir.yaml"
    path.write_text(text)
    return load_space(str(path))


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
    space = swinir_space(tmp_path, SWINIR).for_teacher(teacher)
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
        swinir_space(tmp_path, re.sub("mlp_ratio: .*", f"mlp_ratio: {ratio}", SWINIR))
