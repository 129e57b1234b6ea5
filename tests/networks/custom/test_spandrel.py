"""Networks that spandrel recognises: random weights of small sizes, from a file to students that spandrel loads."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import Call
from helpers.torchvision_stub import stand_in_for_torchvision
from torch import nn

from autocompress.api import export
from autocompress.compute.flops import count_flops
from autocompress.networks import FAMILIES, family_of, load
from autocompress.networks.custom import CustomFamily
from autocompress.search import RunFolder
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed; it is an extra"
)
SPLIT = (0.0625, 0.09375, 0.125, 0.15625, 0.1875, 0.21875, 0.25)
NETWORKS: dict[str, tuple[dict[str, Any], dict[str, tuple[float, ...]]]] = {  # arguments, and what varies
    "SAFMN": (
        {"dim": 16, "n_blocks": 2, "ffn_scale": 2.0, "upscaling_factor": 2},
        {"dim": (4, 8, 12, 16), "n_blocks": (1, 2), "ffn_scale": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)},
    ),
    "PLKSR": (
        {"dim": 16, "n_blocks": 2, "upscaling_factor": 2},
        {"dim": tuple(range(4, 17)), "n_blocks": (1, 2), "split_ratio": SPLIT},
    ),
    "MoSR": (
        {"dim": 16, "n_block": 2, "upscale": 2},
        {
            "dim": tuple(range(4, 17)),
            "n_block": (1, 2),
            "expansion_ratio": (1.25, 1.5),
            "conv_ratio": (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0),
        },
    ),
    "RealPLKSR": (
        {"dim": 16, "n_blocks": 2, "upscaling_factor": 2},
        {"dim": (4, 8, 12, 16), "n_blocks": (1, 2), "split_ratio": SPLIT},
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _torchvision() -> None:
    stand_in_for_torchvision()


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    package = importlib.import_module(f"spandrel.architectures.{name.removeprefix('Real')}")
    network: nn.Module = getattr(package, name)(**NETWORKS[name][0])
    return network.eval()


@pytest.mark.parametrize(
    "name", ["SAFMN", "PLKSR", *(pytest.param(name, marks=pytest.mark.slow) for name in ("MoSR", "RealPLKSR"))]
)
def test_it_is_read_shrunk_counted_and_read_again(here: Path, name: str) -> None:
    torch.save({"params_ema": made(name).state_dict()}, "teacher.pth")
    teacher = load("teacher.pth")
    family = family_of(teacher)
    assert isinstance(family, CustomFamily)
    assert {count.field: values for count, values in family.values.items()} == NETWORKS[name][1]
    assert family.flops(teacher.config) == count_flops(teacher, 2)
    lr = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    captured = Teacher(Graph.capture(teacher.network, lr[:1]))  # type: ignore[arg-type]
    project = Projection(captured, lr, observe(captured, lr, 0))
    for counts in ({}, *({count.field: values[-2]} for count, values in family.values.items())):
        student = family.build(family.student_config(teacher.config, counts)).eval()
        project(student.network)
        torch.save(student.state_dict(), "student.pth")
        again = load("student.pth")
        with torch.no_grad():
            torch.testing.assert_close(again(lr), student(lr))
            if not counts:
                assert (student(lr) - teacher(lr)).abs().max() < 1e-4
        assert family.flops(student.config) == count_flops(student, 2)


@pytest.mark.slow
def test_a_search_needs_no_code(call: Call, here: Path, photos: Path) -> None:
    torch.save(made("SAFMN").state_dict(), "2x_safmn.pth")
    images = ("--train", str(photos), "--val", str(photos))
    ended = call(
        *("search", "--teacher", "2x_safmn.pth", "--budget-flops", "500M", *images),
        *("--trials", "2", "--steps", "2", "--out", "run", "--allow-weak-teacher"),
    )
    assert ended.code == 0, ended.err
    FAMILIES.pop("SAFMN")  # as in a new process
    assert len(RunFolder.existing(here / "run").students()) == 2
    exported = call("export", "run", "--out", "models", "--format", "pth")
    assert exported.code == 0, exported.err
    for file in (here / "models").glob("*.pth"):
        side = json.loads(file.with_suffix(".json").read_text())
        from spandrel import ModelLoader

        found = ModelLoader().load_from_file(file)
        assert found.architecture.id == side["family"] == "SAFMN"


def test_distill_needs_no_code(call: Call, here: Path, photos: Path) -> None:
    torch.save(made("SAFMN").state_dict(), "2x_safmn.pth")
    images = (
        "--train",
        str(photos),
        "--val",
        str(photos),
        "--data",
        str(photos),
        "--steps",
        "2",
        "--allow-weak-teacher",
    )
    ended = call("distill", "2x_safmn.pth", "--set", "dim=8", *images, "--out", "student.safetensors")
    assert ended.code == 0, ended.err
    FAMILIES.pop("SAFMN")  # as in a new process
    assert call("evaluate", "student.safetensors", "--data", str(photos)).code == 0


@pytest.mark.filterwarnings("ignore:torch.meshgrid")  # of spandrel's SwinIR
def test_spandrel_loads_a_swinir_student(tmp_path: Path) -> None:
    [file] = export("swinirmini-x2", tmp_path, format="pth")
    known = importlib.import_module("spandrel").ModelLoader(device="cpu").load_from_file(file)
    assert (known.architecture.name, known.scale) == ("SwinIR", 2)
    lr = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load("swinirmini-x2")(lr).clamp(0, 1)
        torch.testing.assert_close(known(lr), expected, atol=1e-4, rtol=0)
