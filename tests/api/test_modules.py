"""Modules from Python as teachers, targets and models: how they go to other processes, and which cannot."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.edsr_networks import tiny_edsr
from helpers.own_network import OwnNetwork, write_own_network
from torch import nn

from autocompress import api
from autocompress.errors import AutocompressError, InvalidInput
from autocompress.networks import FAMILIES


@pytest.fixture
def own(here: Path) -> Iterator[type[nn.Module]]:
    """A class in a file of its own, as a user imports it."""
    write_own_network(here / "own_module.py")
    sys.path.insert(0, str(here))
    yield importlib.import_module("own_module").OwnNetwork
    sys.path.remove(str(here))
    del sys.modules["own_module"]


def images(photos: Path) -> dict[str, Any]:
    return {"train": photos, "val": photos, "steps": 2, "allow_weak_teacher": True, "progress": False}


@pytest.mark.slow
def test_a_search_makes_students_of_its_class(own: type[nn.Module], here: Path, photos: Path) -> None:
    torch.manual_seed(0)
    call = {"teacher": own(feat=12), "set": ["feat=12"], "input_range": 1, "budget_flops": "500M", "out": here / "run"}
    result = api.search(**call, **images(photos), trials=2, workers=2)
    assert len(result.students) == 2
    assert len(api.search(**call, **images(photos), trials=3).students) == 3  # goes on
    student = result.best()
    assert student.family == "OwnNetwork"
    weights = student.load().state_dict()
    arguments = student.config["arguments"]
    own(feat=arguments["feat"], blocks=arguments["blocks"]).load_state_dict(weights)


@pytest.mark.slow
def test_a_module_without_a_file_goes_as_a_program(here: Path, photos: Path) -> None:
    torch.manual_seed(0)
    teacher = OwnNetwork(feat=12)  # of no file: as in a notebook
    assert api.describe_teacher(teacher, input_range=1)["varies"].keys() == {"width_12", "num_body"}
    made = api.distill(teacher, "a.safetensors", config={"width_12": 6}, input_range=1, data=[photos], **images(photos))
    assert teacher.training  # is left as it was
    side = json.loads(Path("a.json").read_text())
    assert (side["family"], side["config"]["arguments"]["width_12"]) == ("OwnNetwork_pt2", 6)
    FAMILIES.pop("OwnNetwork_pt2")  # as in a new process
    assert api.evaluate(made.file, [photos], progress=False).scores == made.evaluation.scores


def test_attributes_are_arguments_where_they_build_the_same(here: Path) -> None:
    (here / "kept.py").write_text(
        "from torch import nn\n"
        "import torch.nn.functional as F\n"
        "class Kept(nn.Module):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "        self.width = width\n"
        "        self.head, self.tail = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 12, 3, padding=1)\n"
        "    def forward(self, x):\n"
        "        return F.pixel_shuffle(self.tail(F.relu(self.head(x))), 2)\n"
    )
    sys.path.insert(0, str(here))
    try:
        module = importlib.import_module("kept").Kept(10)
    finally:
        sys.path.remove(str(here))
    described = api.describe_teacher(module, input_range=1)
    assert described["config"]["arguments"] == {"width": 10}
    assert described["varies"]["width"] == [4, 5, 6, 7, 8, 9, 10]


def test_a_loaded_network_is_a_teacher_and_a_target(here: Path, photos: Path) -> None:
    teacher = tiny_edsr()
    given = {"config": {"num_feat": 4}, "data": [photos], **images(photos)}
    made = api.distill("edsr", "a.safetensors", teacher=teacher, target=OwnNetwork(), target_input_range=1, **given)
    assert made.evaluation.scale == 2
    assert api.evaluate(teacher, [photos], progress=False).scores.keys() == made.evaluation.scores.keys()


@pytest.mark.parametrize(
    "change",
    [
        lambda network: network.bfloat16(),
        *(pytest.param(getattr(nn.Module, name), marks=pytest.mark.slow, id=name) for name in ("half", "double")),
        lambda network: torch.compile(network, backend="eager"),
        nn.DataParallel,
    ],
)
def test_a_module_of_any_precision_and_wrapper_is_taken(photos: Path, change: Any) -> None:
    """In float32, and as what it wraps."""
    torch.manual_seed(0)
    for make, call in ((tiny_edsr, {}), (OwnNetwork, {"input_range": 1})):
        network = make()
        for parameter in network.parameters():
            parameter.data = parameter.data.bfloat16().float()
        expected = api.evaluate(network, [photos], progress=False, **call).scores[photos.name].mean["psnr_y"]
        given = change(network)
        scored = api.evaluate(given, [photos], progress=False, **call).scores[photos.name].mean["psnr_y"]
        assert abs(scored - expected) < (0.05 if change is not nn.DataParallel else 1e-6)


class InHalves(OwnNetwork):
    """Makes bfloat16 of an image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = super().forward(x).bfloat16()
        return made


def test_a_module_may_make_bfloat16(photos: Path) -> None:
    torch.manual_seed(0)
    assert api.evaluate(InHalves(), [photos], progress=False, input_range=1).scores


class Integers(OwnNetwork):
    """Makes 8-bit images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (255 * super().forward(x)).to(torch.uint8)


def not_finite() -> nn.Module:
    network = tiny_edsr()
    network.conv_first.weight.data[0] = torch.nan
    return network


def one_layer() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))


def test_a_network_without_widths_is_distilled_as_it_is(here: Path, photos: Path) -> None:
    made = api.distill(one_layer(), "a.safetensors", input_range=1, data=[photos], **images(photos))
    assert made.evaluation.scale == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tiny_edsr().to("meta"), r"EDSR: conv_first\.weight is a tensor without values \(of the device meta\)"),
        (not_finite, r"EDSR: conv_first\.weight has values that are not finite"),
        (
            lambda: nn.Sequential(nn.LazyConv2d(12, 3)),
            "Sequential has lazy layers without weights; call",
        ),
        (Integers, r"Integers makes torch\.uint8 of an image, but must make floats"),
        (lambda: OwnNetwork, "is <class .*, which is no network; give a file, a shipped network's name or a torch"),
        (lambda: OwnNetwork().state_dict(), "which is no network; give a file, a shipped network's name or a torch"),
        (lambda: 5, "is 5, which is no network; give a file, a shipped network's name or a torch"),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "describe", "distill", "search"])
def test_what_is_no_network_to_compute_with_is_one_line(here: Path, verb: str, make: Any, message: str) -> None:
    verbs: dict[str, Any] = {
        "evaluate": lambda given: api.evaluate(given, progress=False),
        "describe": api.describe_teacher,
        "distill": lambda given: api.distill(given, "a.safetensors", progress=False),
        "search": lambda given: api.search(teacher=given, budget_flops="1G", out="run", progress=False),
    }
    with pytest.raises(InvalidInput, match=message) as raised:
        verbs[verb](make())
    assert "\n" not in str(raised.value)
    assert not list(here.iterdir())


class Branching(nn.Module):
    """A network that looks at the values of an image, which no graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return torch.pixel_shuffle(y if x.sum() > 0 else -y, 2)


class OfTwo(nn.Module):
    """A network of two images."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


def nested() -> nn.Module:
    """Of a class that cannot be imported."""

    class Nested(Branching):
        pass

    return Nested()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nested, "Nested cannot go to other processes: its class is not in a file .* give the weights' file and code="),
        (OfTwo, r"OfTwo fails on an image of .*: .*missing 1 required positional argument"),
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 3)), r"makes \(1, 3, 30, 46\) of \(1, 3, 32, 48\)"),
    ],
)
def test_what_cannot_be_used_is_one_line(here: Path, make: Any, message: str) -> None:
    with pytest.raises(AutocompressError, match=message) as raised:
        api.search(teacher=make(), budget_flops="1G", out=here / "run", progress=False)
    assert isinstance(raised.value, InvalidInput)
    assert "\n" not in str(raised.value)
    assert not (here / "run").exists()


def test_arguments_that_build_another_network_are_refused(own: type[nn.Module]) -> None:
    with pytest.raises(InvalidInput, match="OwnNetwork is not what its class builds of"):
        api.describe_teacher(own(feat=12), set=["feat=10"])


class Pooled(nn.Module):
    """Takes the largest values over a grid, whose size capturing makes constant."""

    def __init__(self, feat: int = 3) -> None:
        super().__init__()
        self.tail = nn.Conv2d(feat, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = nn.functional.adaptive_max_pool2d(x, (x.shape[-2] // 8, x.shape[-1] // 8))
        y = x + nn.functional.interpolate(grid, size=x.shape[-2:])
        return nn.functional.pixel_shuffle(self.tail(y), 2)


def test_a_program_that_holds_for_one_size_alone_is_refused(here: Path, photos: Path) -> None:
    """Images of other sizes would be cut into tiles of this one, and the scores be those of something else."""

    class Local(Pooled):
        """Of no file that can be run again."""

    with pytest.raises(AutocompressError, match=r"torch\.export cannot capture it for images of any size"):
        api.evaluate(Local(), [photos], progress=False)


def test_a_loaded_network_goes_by_the_code_that_built_it(here: Path, photos: Path) -> None:
    (here / "pooled.py").write_text(f"import torch\nfrom torch import nn\n\n\n{inspect.getsource(Pooled)}")
    torch.manual_seed(0)
    torch.save(Pooled().state_dict(), here / "pooled.pth")
    call: dict[str, Any] = {"code": "pooled.py:Pooled", "set": ["feat=3"], "input_range": 1}
    expected = api.evaluate("pooled.pth", [photos], progress=False, **call).scores
    loaded = api.load("pooled.pth", **call)
    assert api.evaluate(loaded, [photos], progress=False).scores == expected
