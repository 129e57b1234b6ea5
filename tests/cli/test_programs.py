"""An exported program as teacher, target and model, from the command line: no code is needed."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call
from helpers.exported import write_pt2
from helpers.own_network import CODE, OwnNetwork

from autocompress.networks import FAMILIES, load
from autocompress.search import RunFolder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program of random weights, one for images of one size, and one of two images."""
    folder = tmp_path_factory.mktemp("programs")
    torch.manual_seed(0)
    write_pt2(OwnNetwork(feat=12, blocks=3), folder / "own.pt2")
    write_pt2(PaddedToItsSize(), folder / "of-one-size.pt2", free=False)
    torch.export.save(torch.export.export(OfTwo(), (torch.zeros(1, 3, 40, 48),) * 2), folder / "of-two.pt2")
    (folder / "own.py").write_text(CODE)
    return folder


@pytest.fixture
def there(programs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, as the working folder; nothing is written to it."""
    monkeypatch.chdir(programs)
    return programs


@pytest.fixture
def own(here: Path, programs: Path) -> Path:
    """A working folder with the same, to be written to."""
    shutil.copytree(programs, here, dirs_exist_ok=True)
    return here


def images(photos: Path) -> tuple[str, ...]:
    return ("--train", str(photos), "--val", str(photos), "--steps", "2", "--allow-weak-teacher")


@pytest.mark.usefixtures("there")
def test_what_varies(call: Call) -> None:
    shown = json.loads(call("teacher", "show", "own.pt2", "--input-range", "1").out)
    assert shown["varies"] == {"width_12": [4, 5, 6, 7, 8, 9, 10, 11, 12], "num_body": [1, 2, 3]}
    network = load("own.pt2", input_range=1)
    x = torch.rand(2, 3, 21, 30)
    torch.manual_seed(0)
    with torch.no_grad():
        torch.testing.assert_close(network(x), OwnNetwork(feat=12, blocks=3)(x))


@pytest.mark.slow
def test_a_search_and_students_as_programs(call: Call, own: Path, photos: Path) -> None:
    network = ("--teacher", "own.pt2", "--input-range", "1", "--budget-flops", "500M", "--out", "run")
    ended = call("search", *network, *images(photos), "--trials", "2", "--workers", "2")
    assert ended.code == 0, ended.err
    assert call("search", *network, *images(photos), "--trials", "3").code == 0  # goes on
    made = RunFolder.existing(own / "run").students()
    assert {student.family for student in made} == {"own_pt2"}
    FAMILIES.pop("own_pt2")  # as in a new process
    exported = call(
        "export", "run", "--out", "models", "--format", "pt2", "--format", "onnx", "--format", "safetensors"
    )
    assert exported.code == 0, exported.err
    for file in (own / "models").glob("*.pt2"):
        student = load(file.with_suffix(".safetensors"))
        lr = torch.rand(1, 3, 30, 40)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.testing.assert_close(torch.export.load(file).module()(lr), student(lr))
        scored = call("evaluate", file, "--data", str(photos), "--input-range", "1", "--json", "--quiet")
        assert scored.code == 0, scored.err


@pytest.mark.slow
def test_a_student_by_distill_moves_and_is_read_with_its_program(call: Call, own: Path, photos: Path) -> None:
    student = ("distill", "own.pt2", "--set", "width_12=6", "--set", "num_body=2", "--input-range", "1")
    ended = call(*student, *images(photos), "--data", str(photos), "--out", "student.safetensors")
    assert ended.code == 0, ended.err
    FAMILIES.pop("own_pt2")  # as in a new process
    assert call("evaluate", "student.safetensors", "--data", str(photos)).code == 0
    FAMILIES.pop("own_pt2")
    (own / "elsewhere").mkdir()
    (own / "own.pt2").rename(own / "elsewhere" / "own.pt2")
    refused = call("evaluate", "student.safetensors", "--data", str(photos))
    assert refused.code == 2
    assert "no family is called 'own_pt2'" in refused.err
    assert call("evaluate", "student.safetensors", "--code", "elsewhere/own.pt2", "--data", str(photos)).code == 0


@pytest.mark.slow
def test_an_edsr_student_learns_from_a_program(call: Call, own: Path, photos: Path, search_words: list[object]) -> None:
    target = ("--target", "own.pt2", "--target-input-range", "1", "--allow-weak-teacher")
    ended = call(*search_words, *target, "--trials", "1", "--out", "run")
    assert ended.code == 0, ended.err
    assert "students learn from own.pt2" in ended.err


@pytest.mark.usefixtures("there")
def test_it_upscales(call: Call, photos: Path, tmp_path: Path) -> None:
    ended = call("upscale", "own.pt2", next(photos.glob("*.png")), tmp_path / "large.png", "--input-range", "1")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("teacher", "show", "own.pt2"), "worse than bicubic"),
        (("teacher", "show", "own.pt2", "--code", "own.py:OwnNetwork"), "needs neither code nor numbers"),
        (("evaluate", "nothing.pt2"), "nothing.pt2: no such file"),
        (("teacher", "show", "of-one-size.pt2", "--input-range", "1"), "export it for images of any size"),
        (
            ("teacher", "show", "of-two.pt2"),
            "of-two.pt2: the program has 2 inputs and 1 outputs, but a network to shrink",
        ),
        (("distill", "of-two.pt2"), "of-two.pt2: the program has 2 inputs and 1 outputs, but a network to shrink"),
        (("distill", "own.pt2", "--input-range", "1", "--set", "width_12=13"), "width_12 is 13, but own_pt2 takes (4"),
        (("distill", "own.pt2", "--input-range", "1", "--set", "feat=3"), "feat is nothing that can be set here"),
    ],
)
def test_what_is_wrong_is_one_line(
    call: Call, there: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = sorted(there.iterdir())
    more = ("--out", tmp_path / "a.safetensors") if arguments[0] == "distill" else ()
    ended = call(*arguments, *more)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("error:") == 1
    assert not (tmp_path / "a.safetensors").exists()
    assert sorted(there.iterdir()) == before


class PaddedToItsSize(OwnNetwork):  # type: ignore[misc,valid-type]
    """Whose program has a size of images in it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sr: torch.Tensor = super().forward(x)
        return sr.view(-1, 3, 2 * x.shape[2], 2 * x.shape[3])


class OfTwo(torch.nn.Module):
    """A network of two images."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(x + y, scale_factor=2.0)
