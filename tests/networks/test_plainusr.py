"""PlainUSR, which needs no code of a user's: read, counted, shrunk and written like any other network."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import plain_networks
from helpers.network_files import golden
from torch import nn

import autocompress
from autocompress import prune
from autocompress.compute.flops import count_flops, count_params
from autocompress.errors import CheckpointError
from autocompress.io import atomic, checkpoints, package_files
from autocompress.networks import describe, family_of, find_family
from autocompress.networks.plainusr import PlainUSR, PlainUSRFamily

SIZES = {"feat": 10, "mid": 8, "few": 6, "attention": 4, "scale": 2}


def random_plainusr(**sizes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PlainUSR(**{**SIZES, **sizes}).eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save({"params": random_plainusr().state_dict()}, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_the_published_network_is_known_without_code(shared: Path) -> None:
    known = golden(shared, "plainusr_m_x2")
    network = autocompress.load(shared / "weights" / "plainusrM.pth")
    with torch.no_grad():
        assert (network(known["x"]) - known["y"]).abs().max() < 1e-4
    family = family_of(network)
    assert family.name == "plainusr"
    assert family.flops(network.config) / 1e9 == pytest.approx(30.81, abs=0.005)


def test_it_computes_what_other_code_for_the_same_files_does() -> None:
    ours, x = random_plainusr(), torch.rand(2, 3, 24, 31)
    other = plain_networks.PlainUSR(**SIZES).eval()
    other.load_state_dict(ours.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x), other(x))


def test_values_whose_exponential_is_infinite_are_none() -> None:
    network, x = random_plainusr(), torch.rand(1, 3, 24, 31)
    with torch.no_grad():
        for block in (network.block1, network.block3):
            block.body[3].body[0].weight.mul_(1e4)  # type: ignore[union-attr, index]
        assert network(x).isfinite().all()


def test_shipped_networks_make_no_nan_of_noise() -> None:
    noise = torch.rand(2, 3, 64, 41, generator=torch.Generator().manual_seed(0))
    for name in package_files.networks():
        if name.startswith("plainusr"):
            with torch.no_grad():
                assert autocompress.load(name)(noise).isfinite().all()


def test_its_sizes_are_read_off_its_tensors() -> None:
    family = PlainUSRFamily.of(random_plainusr(scale=3, mid=7).state_dict())
    assert family is not None
    assert family.arguments == {**SIZES, "scale": 3, "mid": 7}
    again = pickle.loads(pickle.dumps(family))
    assert (type(again), again.arguments) == (PlainUSRFamily, family.arguments)
    assert PlainUSRFamily.of({"head.weight": torch.zeros(3, 3, 3, 3)}) is None
    odd = random_plainusr().state_dict()
    assert PlainUSRFamily.of(odd | {"block3.body.3.body.0.weight": torch.zeros(4)}) is None


def test_blocks_get_narrower() -> None:
    with pytest.raises(ValueError, match="blocks of 8, 8 and 4 channels do not get narrower"):
        PlainUSR(8, 8, 4)


def test_a_file_that_only_seems_to_be_one(tmp_path: Path) -> None:
    torch.save(random_plainusr().state_dict() | {"head.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"head\.weight is \(4, 3, 3, 3\) in the file, but \(13, 3, 3, 3\)"):
        autocompress.load(tmp_path / "odd.pth")


@pytest.mark.slow
def test_students_and_their_files(file: Path, tmp_path: Path) -> None:
    teacher, lr = autocompress.load(file), torch.rand(4, 3, 32, 32)
    family = family_of(teacher)
    assert {count.field: values[0] for count, values in family.values.items()} == {"feat": 9, "mid": 7, "few": 4}  # type: ignore[attr-defined]
    config = family.student_config(teacher.config, {"feat": 9, "mid": 7, "few": 5})
    student = prune.shrinker(teacher, lr)(config)
    assert family.flops(config) == count_flops(student, 2)
    assert family.params(config) == count_params(student)
    out = tmp_path / "student.safetensors"
    checkpoints.save_tensors(out, student.state_dict())
    atomic.write_json(out.with_suffix(".json"), describe(student))
    with torch.no_grad():
        torch.testing.assert_close(autocompress.load(out)(lr), student(lr))
    importing, build = find_family("plainusr").official_code(config) or ("", "")
    assert importing == "from archs.PlainUSR_inference_arch import PlainUSR_general_inference"
    assert build.endswith("(n_feat=9, im_feat=[9, 7, 5], attn_feat=4, scale=2)")


def test_what_perhaps_varies_is_known_before_it_is_tried() -> None:
    family = PlainUSRFamily(SIZES)
    assert set(family.perhaps_varied) > {"feat", "attention"}
    assert "values" not in vars(family)  # which tries all of them


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (5, 7), (9, 1)])
def test_an_image_smaller_than_its_windows_is_upscaled(file: Path, height: int, width: int) -> None:
    """As if its outermost pixels went on; its authors' code raises an error of PyTorch."""
    network = autocompress.load(file)
    lr = torch.rand(1, 3, height, width)
    with torch.no_grad():
        sr = network(lr)
        repeated = torch.nn.functional.pad(lr, (0, max(0, 32 - width), 0, max(0, 32 - height)), mode="replicate")
        assert torch.equal(sr, network(repeated)[..., : 2 * height, : 2 * width])
    assert network.upscale(np.zeros((height, width, 3), np.uint8)).shape == (2 * height, 2 * width, 3)


def test_an_error_on_a_larger_image_is_that_of_the_code(file: Path) -> None:
    with pytest.raises(RuntimeError, match="channels"), torch.no_grad():
        autocompress.load(file)(torch.rand(1, 4, 40, 40))
