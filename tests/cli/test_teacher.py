"""The commands teacher and spaces."""

import json
from pathlib import Path

import pytest
from helpers.command_line import Call

from autocompress.search.space.search_space import load_space


def test_teacher_list_and_show(call: Call) -> None:
    listed = call("teacher", "list")
    assert listed.code == 0
    assert "edsr-baseline-x2" in listed.out
    assert "316.2" in listed.out
    content = json.loads(call("teacher", "show", "edsr-baseline-x2").out)
    assert content["config"] == {"scale": 2, "num_feat": 64, "num_block": 16, "res_scale": 1.0}
    assert content["params"] == 1_369_859
    assert content["flops"] == pytest.approx(316.25e9, abs=0.005e9)
    assert content["metrics"]


def test_teacher_show_of_a_file(call: Call, teacher_file: Path) -> None:
    content = json.loads(call("teacher", "show", teacher_file, "--res-scale", "0.5").out)
    assert content["config"] == {"scale": 2, "num_feat": 8, "num_block": 2, "res_scale": 0.5}


def test_spaces_list_show_and_check(call: Call, here: Path) -> None:
    listed = call("spaces", "list")
    assert listed.code == 0
    assert "num_feat, num_block" in listed.out
    shown = call("spaces", "show", "edsr")
    (here / "mine.yaml").write_text(shown.out)
    checked = call("spaces", "check", "mine.yaml")
    assert checked.code == 0
    assert checked.out.startswith("mine.yaml: good, ")
    for parameter in load_space("edsr").parameters:
        assert f"  {parameter.name}: {', '.join(map(str, parameter.values))}\n" in checked.out
