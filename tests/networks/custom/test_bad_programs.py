"""Exported programs whose operations do not fit together: refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.exported import changed, write_pt2
from helpers.own_network import OwnNetwork

import autocompress
from autocompress.errors import CheckpointError


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("program") / "own.pt2"
    write_pt2(OwnNetwork(), file)
    return file


def node(model: Any, operation: str) -> Any:
    """The first that calls it."""
    nodes = model["graph_module"]["graph"]["nodes"]
    return next(one for one in nodes if one["target"].startswith(f"torch.ops.aten.{operation}."))


def enlarge_by_a_fraction(model: Any) -> None:
    node(model, "pixel_shuffle")["inputs"][1]["arg"]["as_int"] = 1.5


def pad_by_a_number_beyond_64_bits(model: Any) -> None:
    node(model, "conv2d")["inputs"][4]["arg"]["as_ints"][1] = 2**63


def call_without_an_argument(model: Any) -> None:
    node(model, "relu")["target"] = "torch.ops.aten._conj_copy.out"


def call_what_cannot_be_traced(model: Any) -> None:
    node(model, "relu")["target"] = "torch.ops.aten.nonzero_static.default"


@pytest.mark.parametrize(
    "change",
    [
        pad_by_a_number_beyond_64_bits,
        call_what_cannot_be_traced,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (enlarge_by_a_fraction, call_without_an_argument)),
    ],
)
def test_operations_that_do_not_fit_are_one_line(program: Path, tmp_path: Path, change: Any) -> None:
    changed(program, tmp_path / "bad.pt2", "models/model.json", change)
    with pytest.raises(CheckpointError, match=r"bad\.pt2: its operations cannot be run one after the other") as raised:
        autocompress.load(tmp_path / "bad.pt2", input_range=1)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000
