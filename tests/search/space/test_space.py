"""Search spaces: what a YAML file may say, and what it stands for."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.search_spaces import GOOD, TEACHER, changed, parse

from autocompress.distill.recipe import Recipe
from autocompress.io import package_files
from autocompress.networks import FAMILIES
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search.space.budget import Budget
from autocompress.search.space.declared import shipped_spaces
from autocompress.search.space.parameter import parse_parameter
from autocompress.search.space.search_space import load_space


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
    assert candidate.recipe == Recipe(steps=7, clip=0.5).of_student(candidate.params)
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
    assert {path.parent for path in package_files.spaces().values()} == {Path(__file__).parents[3] / "search_spaces"}
    package = tmp_path / "autocompress"
    (package / "search_spaces").mkdir(parents=True)
    (package / "search_spaces" / "own.yaml").write_text(GOOD)
    monkeypatch.setattr(package_files, "_PACKAGE", package)
    assert list(shipped_spaces()) == ["own"]
    assert load_space("own").size == 8 * 16 * 2 * 5 * 3


def test_a_shipped_space_is_found_from_any_folder(tmp_path: Path) -> None:
    code = "from autocompress.search.space.search_space import load_space; print(load_space('edsr').family.name)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "edsr\n"


def test_to_dict_tells_spaces_apart(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD)
    assert space.to_dict() == yaml.safe_load(yaml.safe_dump(space.to_dict()))
    assert space.to_dict() == parse(tmp_path, GOOD).to_dict()
    assert (
        space.to_dict() != parse(tmp_path, changed("num: 3", "num: 4").replace("learning_rate: 1.0e-3", "")).to_dict()
    )


def test_without_a_share_the_loss_is_the_same_training(tmp_path: Path) -> None:
    space = parse(tmp_path, GOOD).for_teacher(TEACHER)
    values = {"num_feat": 8, "num_block": 1, "learning_rate": 1e-3}

    def key(share: float, loss: str) -> object:
        return space.candidate(values | {"teacher_share": share, "teacher_loss": loss}, TEACHER, Recipe()).key

    assert key(0.0, "l1") == key(0.0, "multilap")
    assert key(0.5, "l1") != key(0.5, "multilap")


def test_budget() -> None:
    assert Budget(100, 10).allows(100, 10)
    assert not Budget(100, 10).allows(101, 1)
    assert not Budget(100, 10).allows(1, 11)
    assert Budget(None, 10).allows(10**15, 10)
    assert Budget(100, None).allows(100, 10**15)
    assert Budget(latency=5.0).allows(10**15, 10**15, 5.0)
    assert not Budget(latency=5.0).allows(1, 1, 5.1)
    assert not Budget(latency=5.0).allows(1, 1)  # nobody knows how long it takes
    assert Budget(100, latency=5.0).without_latency() == Budget(100)
    assert str(Budget(20 * 10**9, 500_000)) == "20G FLOPs and 500K parameters"
    assert str(Budget(20 * 10**9)) == "20G FLOPs"
