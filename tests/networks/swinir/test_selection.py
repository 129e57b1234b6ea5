"""Students of a SwinIR by selection: the controls."""

import functools
from typing import Any

import pytest
import torch
from helpers.swinir_networks import FAMILY, images
from helpers.swinir_networks import random_swinir as network
from torch import Tensor

from autocompress import prune
from autocompress.networks.base import Shrinker
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig
from autocompress.networks.weights import digest

INITS = ("copy", "taylor")


@functools.cache
def small_teacher() -> SwinIR:
    return network(SwinIRConfig(2, 12, (2, 2), (2, 2), 4))


@functools.cache
def shrinker(init: str) -> Shrinker:
    """What makes students of that teacher, from an analysis of its own."""
    return prune.shrinker(small_teacher(), images(16, 16, count=2), init)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("upsampler", ["pixelshuffle", pytest.param("pixelshuffledirect", marks=pytest.mark.slow)])
def test_the_full_size_computes_what_the_teacher_does(init: str, upsampler: str) -> None:
    teacher = network(SwinIRConfig(3, 12, (1, 2), (2, 3), 4, upsampler=upsampler))
    student = prune.shrink(teacher, teacher.config, images(24, 24, count=2), init)
    lr = images(11, 9)
    torch.testing.assert_close(student(lr), teacher(lr), atol=1e-5, rtol=0)
    assert student is not teacher
    assert all(p.requires_grad and p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize(
    "fields",
    [
        {"embed_dim": 6, "num_block": 1, "depth": 1, "num_heads": 1, "mlp_ratio": 1},
        pytest.param({"embed_dim": 12, "num_heads": 1}, marks=pytest.mark.slow),  # heads wider than the teacher's
        pytest.param({"embed_dim": 6, "num_heads": 2, "depth": 2}, marks=pytest.mark.slow),
        pytest.param({"mlp_ratio": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_students_have_the_shapes_of_their_config(init: str, fields: dict[str, Any]) -> None:
    config = FAMILY.student_config(small_teacher().config, {**fields, "mlp_ratio": max(fields.get("mlp_ratio", 2), 1)})
    student = shrinker(init)(config)
    assert student.config == config
    assert not student.training
    assert student(images(9, 5)).isfinite().all()


@pytest.mark.parametrize("init", INITS)
def test_another_analysis_makes_the_same_student(init: str) -> None:
    config = SwinIRConfig(2, 6, (1,), (1,), 4, mlp_ratio=1)
    again = prune.shrinker(small_teacher(), images(16, 16, count=2), init)
    assert digest(shrinker(init)(config)) == digest(again(config))


@pytest.mark.parametrize("keep", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_dead_parts_are_the_ones_that_go(keep: int) -> None:
    """Whatever of a teacher does nothing can be left out without any change."""
    teacher = network(SwinIRConfig(2, 12, (2, 2, 2), (3, 3, 3), 4))
    with torch.no_grad():
        for name, parameter in teacher.named_parameters():
            if name.startswith("layers.1."):
                parameter.zero_()  # adds nothing to the stream
            if name.endswith("attn.qkv.weight"):
                parameter.view(3, 3, 4, 12)[:, keep] = 0
            if name.endswith("attn.qkv.bias"):
                parameter.view(3, 3, 4)[:, keep] = 0
            if name.endswith("attn.proj.weight"):
                parameter.view(12, 3, 4)[:, keep] = 0
            if name.endswith("table"):
                parameter[:, keep] = 0
            if name.endswith(("fc1.weight", "fc1.bias")):
                parameter[::2] = 0
            if name.endswith("fc2.weight"):
                parameter[:, ::2] = 0
    config = SwinIRConfig(2, 12, (2, 2), (2, 2), 4, mlp_ratio=1)
    student = prune.shrink(teacher, config, images(16, 16), "copy")
    lr = images(8, 13)
    torch.testing.assert_close(student(lr), teacher(lr), atol=1e-5, rtol=0)


def kept_channels(student: SwinIR, teacher: SwinIR) -> Tensor:
    """Of the stream: by what is written to it first, which differs for all."""
    ours, theirs = (net.conv_first.weight.flatten(1) for net in (student, teacher))
    return (ours[:, None] == theirs).all(2).nonzero()[:, 1]


def test_narrower_heads_keep_their_scores() -> None:
    """Channels of queries, keys and values that are 0 can go, though scores are divided by another root."""
    teacher = network(SwinIRConfig(2, 12, (2,), (2,), 4))
    dead = torch.tensor([0, 2, 5])
    with torch.no_grad():
        for layer in teacher.layers[0].residual_group.blocks:
            layer.attn.qkv.weight.view(3, 2, 6, 12)[:, :, dead] = 0
            layer.attn.qkv.bias.view(3, 2, 6)[:, :, dead] = 0
            layer.attn.proj.weight.view(12, 2, 6)[:, :, dead] = 0
    student = prune.shrink(teacher, SwinIRConfig(2, 6, (2,), (2,), 4), images(16, 16), "copy")
    stream = kept_channels(student, teacher)
    ours, theirs = (net.layers[0].residual_group.blocks[1].attn for net in (student, teacher))
    with torch.no_grad():
        x = torch.zeros(1, 4, 4, 12)
        x[..., stream] = torch.randn(1, 4, 4, 6)
        torch.testing.assert_close(ours(x[..., stream], None), theirs(x, None)[..., stream], atol=1e-5, rtol=0)


def test_what_wider_heads_get_can_learn() -> None:
    teacher = network(SwinIRConfig(2, 12, (2,), (2,), 4))
    student = prune.shrink(teacher, SwinIRConfig(2, 12, (2,), (1,), 4), images(16, 16), "copy")
    torch.autograd.backward(student(images(8, 8)).square().mean())
    attention = student.layers[0].residual_group.blocks[0].attn
    assert (attention.qkv.weight.grad.view(3, 12, 12)[0].abs().sum(1) > 0).all()
    assert (attention.proj.weight.grad.abs().sum(0) > 0).all()
