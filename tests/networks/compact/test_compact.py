"""The Compact family: counted, read, shrunk, and taught by networks of other families."""

import importlib
import importlib.machinery
import importlib.util
import json
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.network_files import fvcore_total
from helpers.swinir_networks import random_swinir
from helpers.torchvision_stub import stand_in_for_torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import autocompress
from autocompress import prune
from autocompress.compute import flops
from autocompress.errors import CheckpointError, ConfigError
from autocompress.networks.compact import Compact, CompactConfig, CompactFamily
from autocompress.networks.edsr.network import EDSR
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.teachers import load_teacher
from autocompress.search import RunFolder

FAMILY = CompactFamily()
configs = st.builds(
    CompactConfig, scale=st.sampled_from([2, 3, 4]), num_feat=st.integers(1, 9), num_conv=st.integers(0, 4)
)


def network(config: CompactConfig) -> Compact:
    """Random, with slopes that are all different."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Compact(config).eval()
        with torch.no_grad():
            for _, activation in made.hidden:
                activation.weight.uniform_(-0.2, 0.8)
    return made


def waves(count: int = 8, side: int = 32) -> Tensor:
    """Smooth LR images (count, 3, side, side) with edges in them."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(count, 3, side // 4, side // 4, generator=generator)
    return F.interpolate(small, size=(side, side), mode="bicubic").clamp(0.2, 0.8)


def test_it_is_what_its_paper_says() -> None:
    made = network(CompactConfig(3, 5, 2))
    tensors, lr = made.state_dict(), torch.rand(2, 3, 7, 6)
    x = lr
    for index in (0, 2, 4):
        x = F.conv2d(x, tensors[f"body.{index}.weight"], tensors[f"body.{index}.bias"], padding=1)
        x = F.prelu(x, tensors[f"body.{index + 1}.weight"])
    x = F.pixel_shuffle(F.conv2d(x, tensors["body.6.weight"], tensors["body.6.bias"], padding=1), 3)
    assert len(tensors) == 4 * 2 + 3
    torch.testing.assert_close(made(lr), x + F.interpolate(lr, scale_factor=3, mode="nearest"))
    assert made(torch.rand(1, 3, 1, 4)).shape == (1, 3, 3, 12)


@settings(max_examples=15)
@given(configs)
def test_closed_forms_and_reading(config: CompactConfig) -> None:
    made = FAMILY.build(config)
    per_pixel = round(fvcore_total(made, torch.zeros(1, 3, 6, 5))) // 30
    assert FAMILY.flops(config) == round(per_pixel * 1280 * 720 / config.scale**2)
    assert FAMILY.params(config) == flops.count_params(made)
    read = FAMILY.read(made.state_dict())
    assert read is not None
    assert read[0] == config
    assert CompactConfig.from_dict(config.to_dict()) == config


def test_configs_and_files_are_checked(tmp_path: Path) -> None:
    for fields, message in (({"scale": 5}, "upscales by 2, 3 or 4"), ({"scale": 2, "num_feat": 0}, "num_feat is 0")):
        with pytest.raises(ConfigError, match=message):
            CompactConfig(**fields)
    tensors = dict(network(CompactConfig(2, 4, 1)).state_dict())
    torch.save({"params": tensors | {"body.4.weight": torch.ones(10, 4, 3, 3)}}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"ends in a weight of shape \(10, 4, 3, 3\), which is no x2, x3 or x4"):
        autocompress.load(tmp_path / "odd.pth")
    del tensors["body.2.bias"]
    with pytest.raises(CheckpointError, match=r"of 4 features and 1 convolutions at x2, but body\.2\.bias is missing"):
        FAMILY.read(tensors)
    assert FAMILY.read({"body.0.weight": torch.ones(4, 3, 3, 3), "body.0.bias": torch.ones(4)}) is None


def test_a_tile_looks_as_in_the_whole_image() -> None:
    made = network(CompactConfig(2, 5, 3))
    lr, margin = torch.rand(1, 3, 20, 24), made.margin
    with torch.no_grad():
        whole, part = made(lr), made(lr[..., :, 8 - margin : 16 + margin])
    torch.testing.assert_close(part[..., 2 * margin : -2 * margin], whole[..., 16:32])


@pytest.mark.parametrize(
    ("init", "scale"),
    [
        ("projection", 2),
        ("copy", 4),
        pytest.param("projection", 4, marks=pytest.mark.slow),
        pytest.param("copy", 2, marks=pytest.mark.slow),
    ],
)
def test_students_of_a_compact(init: str, scale: int) -> None:
    """At full size they compute what it does, and smaller ones are near to it where they are refitted."""
    teacher, lr = network(CompactConfig(scale, 12, 3)), waves()
    shrink = prune.shrinker(teacher, lr, init)
    with torch.no_grad():
        assert (shrink(teacher.config)(lr) - teacher(lr)).abs().max() < 1e-4
        for counts in ({"num_feat": 8}, {"num_conv": 1}, {"num_feat": 5, "num_conv": 2}):
            config = FAMILY.student_config(teacher.config, counts)
            student, scratch = shrink(config), prune.from_scratch(FAMILY, config, 0)
            assert student.config == config
            near, far = (F.mse_loss(made(lr), teacher(lr)) for made in (student, scratch))
            assert init == "copy" or near < far / 10
    with pytest.raises(ConfigError, match="num_feat is 13, but a student of this teacher has 1 to 12 features"):
        FAMILY.student_config(teacher.config, {"num_feat": 13})


def test_students_of_a_teacher_of_another_family_start_near_to_it() -> None:
    """Nearer than the image with its pixels repeated, which the random ones are next to."""
    teacher, lr = load_teacher("edsr-baseline-x2"), waves()
    shrink = prune.shrinker(teacher, lr, family=FAMILY)
    again = prune.shrinker(teacher, lr, family=FAMILY, cached=True)
    with torch.no_grad():
        target = teacher(lr)
        nearest = F.mse_loss(F.interpolate(lr, scale_factor=2), target)
        errors = []
        for feat, conv in ((8, 1), (16, 4), (70, 2)):
            config = FAMILY.student_config(teacher.config, {"num_feat": feat, "num_conv": conv})
            student, same = shrink(config), again(config).state_dict()
            assert all(torch.equal(tensor, same[name]) for name, tensor in student.state_dict().items())
            errors.append(float(F.mse_loss(student(lr), target) / nearest))
    assert errors[0] < 0.5
    assert max(errors[1:]) < 0.15
    with pytest.raises(ConfigError, match="init copy takes channels of a Compact, but the teacher is edsr"):
        prune.shrinker(teacher, lr, "copy", family=FAMILY)


@pytest.mark.parametrize("config", [CompactConfig(2, 1, 1), CompactConfig(2, 2, 2), CompactConfig(2, 3, 1)])
def test_the_narrowest_have_a_start_too(config: CompactConfig, tiny_teacher: EDSR) -> None:
    student = prune.shrinker(tiny_teacher, waves(), family=FAMILY)(config)
    assert all(parameter.isfinite().all() for parameter in student.parameters())
    assert student.config == config


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_start_of_any_teacher(scale: int) -> None:
    teacher = random_swinir(SwinIRConfig(scale, 12, (1,), (2,), 4))
    config = FAMILY.student_config(teacher.config, {"num_feat": 8, "num_conv": 2})
    assert config == CompactConfig(scale, 8, 2)
    student, lr = prune.shrinker(teacher, waves(), family=FAMILY)(config), waves()
    assert student.config == config
    with torch.no_grad():
        nearest = F.interpolate(lr, scale_factor=scale)
        assert F.mse_loss(student(lr), teacher(lr)) < F.mse_loss(nearest, teacher(lr))


@pytest.mark.slow
def test_a_search_and_a_training_take_an_edsr_as_teacher(
    call: Call, here: Path, photos: Path, teacher_file: Path, tmp_path: Path
) -> None:
    images = ("--train", photos, "--val", photos)
    few = (*images, "--steps", "2", "--allow-weak-teacher")
    counts = "num_feat: {type: int, low: 4, high: 8, step: 2}, num_conv: {type: int, low: 1, high: 2}"
    (tmp_path / "mine.yaml").write_text(f"family: compact\nparameters: {{{counts}}}\n")
    words = ("search", "--budget-flops", "2G", "--teacher", teacher_file, "--trials", "3", *few)
    ended = call(*words, "--space", tmp_path / "mine.yaml", "--out", "run")
    assert ended.code == 0, ended.err
    run = RunFolder.existing(here / "run")
    assert {student.family for student in run.students()} == {"compact"}
    assert run.config.teacher.family == "edsr"
    # without a teacher of its own, the target is the teacher; copied channels it has none
    own = ("search", "--budget-flops", "2G", "--target", teacher_file, "--trials", "1", *few)
    own = (*own, "--space", tmp_path / "mine.yaml", "--out", "taught")
    assert call(*own).code == 0
    taught = RunFolder.existing(here / "taught").config.taught_spaces["mine"]
    assert taught.teacher.name == taught.target == str(teacher_file)
    assert_refused(call(*own[:-1], "copied", "--init", "copy"), "init copy takes channels of a Compact")
    # one front of both: the EDSR given is the teacher of each
    (tmp_path / "edsr.yaml").write_text(
        "family: edsr\nparameters: {num_feat: {type: int, low: 2, high: 4}, num_block: 1}\n"
    )
    spaces = ("--space", tmp_path / "mine.yaml", "--space", tmp_path / "edsr.yaml")
    ended = call(*words, *spaces, "--trials", "4", "--out", "joint")
    assert ended.code == 0, ended.err
    families = {student.family for student in RunFolder.existing(here / "joint").students()}
    assert families == {"compact", "edsr"}
    taught = ("--set", "num_feat=6", "--set", "num_conv=1", "--target", teacher_file, "--data", photos)
    ended = call("distill", "compact", *taught, *few, "--out", "one.safetensors")
    assert ended.code == 0, ended.err
    about = json.loads(Path("one.json").read_text())
    assert (about["family"], about["config"]["num_feat"]) == ("compact", 6)
    assert about["provenance"]["teacher"] == about["provenance"]["target"] == str(teacher_file)
    assert call("report", "joint").code == 0
    wrong = call("distill", "edsr", "--teacher", "one.safetensors", *few, "--out", "two.safetensors")
    assert_refused(wrong, "the teacher is compact, but the student edsr is edsr")


def test_a_teacher_of_its_own_is_trained(call: Call, here: Path, photos: Path) -> None:
    few = ("--train", photos, "--val", photos, "--steps", "2", "--batch-size", "2", "--patch-size", "16")
    ended = call(
        "teacher", "train", "compact", "--set", "num_feat=4", "--set", "num_conv=1", *few, "--out", "c.safetensors"
    )
    assert ended.code == 0, ended.err
    assert autocompress.load("c.safetensors").config == CompactConfig(2, 4, 1)


@pytest.mark.skipif(importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed; it is an extra")
def test_spandrel_recognises_a_student(call: Call, here: Path) -> None:
    stand_in_for_torchvision()
    made = network(CompactConfig(2, 6, 2))
    torch.save({"params": made.state_dict()}, "mine.pth")
    ended = call("export", "mine.pth", "--out", "models", "--format", "pth")
    assert (ended.code, ended.err) == (0, "")
    from spandrel import ModelLoader

    found = ModelLoader().load_from_file("models/mine.pth")
    assert (found.architecture.id, found.scale) == ("Compact", 2)
    lr = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(found.model(lr), made(lr))
