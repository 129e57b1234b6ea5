"""Students in forms that the teacher has not: other numbers of convolutions per block, and a folded tail.

Each is made of the plain student, an EDSR in the teacher's form that the engine or a choice of channels has made, and
computes nearly the same. Layers that the plain student has none of are fitted by least squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.networks.edsr.network import EDSR, FOLDED, IMG_RANGE
from autocompress.networks.folding import KERNEL, fold
from autocompress.networks.tails import tail_of
from autocompress.shrink.least_squares import Pixels, bias_of, refit, set_layer
from autocompress.shrink.observation import FITTED_ROWS

TAIL_LAYERS = ("upsample.", "conv_last.")
TAIL_PATCHES = 32  # on which a folded tail is fitted


def with_layers(plain: EDSR, num_layer: int) -> EDSR:
    """The plain student with another number of convolutions in each block, in eval mode.

    One of 3 computes what one of 2 does, with the identity in the middle; blocks of 1 add nothing.
    """
    student, last = EDSR(replace(plain.config, num_layer=num_layer)).eval(), f".conv{num_layer}."
    tensors = {name.replace(".conv2.", last): tensor for name, tensor in plain.state_dict().items()}
    student.load_state_dict(tensors, strict=num_layer < 3)  # of 3, the middle ones are not among the tensors
    for block in student.blocks:
        added = block.convs[0 if num_layer == 1 else 1]
        for parameter in added.parameters():
            nn.init.zeros_(parameter)
        if num_layer == 3:
            nn.init.dirac_(added.weight)  # its inputs are >= 0, so that the ReLU behind it lets them pass
    return student


def with_folded_tail(plain: EDSR) -> EDSR:
    """A network with a plain tail as one with a folded tail, in eval mode: equal but for the outermost pixels."""
    folded = EDSR(replace(plain.config, tail=FOLDED)).eval()
    kept = {name: tensor for name, tensor in plain.state_dict().items() if not name.startswith(TAIL_LAYERS)}
    weight, bias = fold(tail_of(plain), plain.config.num_feat, plain.scale)
    folded.load_state_dict(kept | {"upsample.0.weight": weight, "upsample.0.bias": bias})
    return folded


@torch.no_grad()
def tail_fitter(teacher: EDSR, lr: Tensor) -> Callable[[EDSR], None]:
    """What refits a student's folded tail to the teacher's output on LR patches (B, 3, h, w) in [0, 1].

    The outermost pixels count as the others: they are what folding alone gets wrong.
    """
    images = lr[:TAIL_PATCHES]
    at = _pixels(images)
    target = at.of(F.pixel_unshuffle((teacher(images) - teacher.mean) * IMG_RANGE, teacher.scale))

    @torch.no_grad()
    def fit(student: EDSR) -> None:
        conv = student.upsample[0]
        assert isinstance(conv, nn.Conv2d)
        taps = at.taps(student.features(images), KERNEL)
        set_layer(conv, *refit(conv.weight, bias_of(conv), taps, target))

    return fit


@torch.no_grad()
def fit_single_layers(student: EDSR, plain: EDSR, lr: Tensor) -> None:
    """Fit blocks of one convolution to what those of the plain student write, one after the other."""
    at = _pixels(lr)
    ours = theirs = plain.conv_first((lr - plain.mean) * IMG_RANGE)
    for block, like in zip(student.blocks, plain.blocks, strict=True):
        theirs = like(theirs)
        target = at.of(theirs) - at.of(ours)
        (conv,) = block.convs
        set_layer(conv, *refit(conv.weight, bias_of(conv), at.taps(F.relu(ours)), target))
        ours = block(ours)
    conv = student.conv_after_body
    target = at.of(plain.conv_after_body(theirs))
    set_layer(conv, *refit(conv.weight, bias_of(conv), at.taps(ours), target))


def _pixels(images: Tensor) -> Pixels:
    generator = torch.Generator().manual_seed(0)
    at = Pixels.choose(len(images), images.shape[2], images.shape[3], FITTED_ROWS, generator)
    return Pixels(at.image.to(images.device), at.row.to(images.device), at.column.to(images.device))
