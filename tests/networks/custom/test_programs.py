"""Students of exported programs: they train as those of the same network's code do, in float32 and in bf16."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.exported import write_pt2
from helpers.own_network import write_own_network
from torch import Tensor, nn

from autocompress.compute.precision import Precision
from autocompress.data.patches import Batch
from autocompress.distill.recipe import Recipe
from autocompress.distill.soap import LAYERS
from autocompress.distill.training import Training
from autocompress.networks.base import SRNetwork
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.custom.programs import Program, ProgramFamily

STEPS = 12  # SOAP's bases are renewed once


@dataclass
class OneBatch:
    """The same patches again and again."""

    batch: Batch

    def sample(self) -> Batch:
        return self.batch


def trained(student: SRNetwork, precision: Precision) -> dict[str, Tensor]:
    hr = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    batch = Batch(F.avg_pool2d(hr, 2), {"hr": hr, "teacher": hr})
    training = Training(student, OneBatch(batch), Recipe(steps=STEPS), precision)  # type: ignore[arg-type]
    training.run_to(STEPS)
    return dict(training.student.state_dict())


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> tuple[SRNetwork, SRNetwork]:
    """A student of code and one of the same code's program, of the same weights, half as wide as their teachers."""
    folder = tmp_path_factory.mktemp("program")
    write_own_network(folder / "own.py")
    torch.manual_seed(0)
    code = CustomFamily(Code.of(folder / "own.py", "OwnNetwork"), {"feat": 12, "blocks": 2})
    teacher = code.build(code.config())
    write_pt2(teacher.network, folder / "net.pt2")
    program = ProgramFamily(Program.of(folder / "net.pt2"))
    of_code = code.build(code.student_config(code.config(), {"feat": 6})).eval()
    of_program = program.build(program.student_config(program.config(), {"width_12": 6})).eval()
    of_program.load_state_dict(of_code.state_dict())
    return of_code, of_program


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_student_of_a_program_trains_as_that_of_its_code(students: tuple[SRNetwork, SRNetwork], dtype: str) -> None:
    of_code, of_program = (trained(student, Precision(dtype=dtype)) for student in students)
    assert of_code.keys() == of_program.keys()
    for name, weights in of_code.items():
        torch.testing.assert_close(of_program[name], weights, atol=1e-5, rtol=1e-4)


def test_layers_that_carry_colours_are_known(students: tuple[SRNetwork, SRNetwork]) -> None:
    for student in students:
        named = {module: name for name, module in student.network.named_modules()}
        assert [named[layer] for layer in student.exact()] == ["head", "tail"]


class Shared(nn.Module):
    """One convolution in two places, a transposed one, one weight in two operations, and a weight that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 3, padding="same", dilation=2, groups=3, bias=False)
        self.once, self.last = nn.Linear(3, 3), nn.Conv2d(3, 12, 1)
        self.tied = nn.Conv2d(3, 3, 1)
        self.up = nn.ConvTranspose2d(12, 3, 3, 2, padding=2, output_padding=1, groups=3, dilation=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(x))
        x = self.once(x.movedim(1, -1)).movedim(-1, 1)
        x = self.tied(x) + F.conv2d(x, self.tied.weight, stride=1)
        return self.up(F.conv2d(x, 2 * self.last.weight, self.last.bias))


def test_only_what_is_a_layer_becomes_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Shared().eval()
    write_pt2(network, tmp_path / "net.pt2")
    program = Program.of(tmp_path / "net.pt2")
    made = program.build({})
    layers = {name: module for name, module in made.named_modules() if isinstance(module, LAYERS)}
    assert {name: type(layer) for name, layer in layers.items()} == {
        "twice": nn.Conv2d,
        "once": nn.Linear,
        "up": nn.ConvTranspose2d,
    }
    assert made.state_dict().keys() == network.state_dict().keys()
    x = torch.rand(1, 3, 20, 30)
    torch.testing.assert_close(made(x), network(x))
