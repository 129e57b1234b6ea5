"""Search spaces that are none: which key breaks which rule."""

import re
from pathlib import Path

import pytest
from helpers.search_spaces import GOOD, changed, parse

from autocompress.errors import SpaceError
from autocompress.search.space.search_space import load_space

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
        "parameters.depth is nothing that edsr can vary; it can: num_feat, ",
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
    "no such word": (
        changed("  num_block", "  tail: direct\n  num_block"),
        "parameters.tail has the value 'direct', but must be plain or folded",
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
    shipped = "compact, edsr, edsr-folded, edsr-layers, edsr-losses, swinir"
    with pytest.raises(SpaceError, match=rf"edsrr: no such file, and .*; shipped: {shipped}"):
        load_space("edsrr")
