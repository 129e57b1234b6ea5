"""What a network costs: fvcore's FLOPs for a 1280x720 output, and parameters."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from autocompress.errors import ConfigError

OUTPUT_PIXELS = 1280 * 720


def at_720p(flops_per_lr_pixel: int | Fraction, scale: int) -> int:
    """FLOPs for an output of 1280x720 pixels, without padding, from those for one input pixel."""
    return round(Fraction(flops_per_lr_pixel) * OUTPUT_PIXELS / scale**2)


def count_flops(network: nn.Module, scale: int, side: int = 48) -> int:
    """fvcore's FLOPs (a fused multiply-add is one) of the built network, for a 1280x720 output.

    Counted on one input of `side` x `side` pixels, which must be a multiple of what the network needs.
    """
    return at_720p(Fraction(counted(network, side), side**2), scale)


def counted(network: nn.Module, side: int) -> int:
    """fvcore's FLOPs of the built network for one input of `side` x `side` pixels.

    They are those with weights of zero. That matters only where a network chooses by the image which of its parts it
    runs, as a mixture of experts does: no choice is above another then, so the first parts are counted, whatever the
    weights are.
    """
    lr = torch.zeros(1, 3, side, side, device=next(network.parameters()).device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fvcore uses torch.jit
        from fvcore.nn import FlopCountAnalysis

        logging.getLogger("fvcore").setLevel(logging.ERROR)
        analysis = FlopCountAnalysis(network, lr).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analysis.set_op_handle("aten::layer_norm", _layer_norm)
        try:
            with torch.no_grad(), _weights_of_zero(network):
                return int(analysis.total())
        except AssertionError as error:  # of a formula of fvcore's
            raise ConfigError(f"fvcore cannot count the FLOPs of {type(network).__name__}: {error}") from error


@contextmanager
def _weights_of_zero(network: nn.Module) -> Iterator[None]:
    weights = {parameter: parameter.data for parameter in network.parameters()}
    try:
        for parameter, own in weights.items():
            parameter.data = torch.zeros_like(own)
        yield
    finally:
        for parameter, own in weights.items():
            parameter.data = own


def _layer_norm(inputs: list[Any], _: list[Any]) -> int:
    """As fvcore counts it, also of more than five dimensions, as windows have that lie in rows and columns."""
    from fvcore.nn.jit_handles import get_shape

    size: list[int] = get_shape(inputs[0])
    return math.prod(size) * (4 if get_shape(inputs[2]) is None else 5)


def count_params(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
