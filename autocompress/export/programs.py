"""Networks as programs of torch.export, which need no code but PyTorch; checked before they are written."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

import autocompress
from autocompress.errors import ExportFailed
from autocompress.export.onnx_files import CHECKED, FREE, TOLERANCE, captured, example
from autocompress.io import atomic
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork

ABOUT = "autocompress.json"  # in the file: family, scale, config and the version of autocompress
LARGE = (1, 3, 128, 160)  # another input of the check: nothing that is traced may hold for small images alone
LONG = 160  # characters of what PyTorch says of a failure


def write_program(network: SRNetwork, path: Path, shape: tuple[int, int] | None = None) -> None:
    """Write a network as an exported program, after checking that it computes the same when it is read again.

    `torch.export.load(path).module()` maps `lr` (N, 3, H, W) float32 RGB in [0, 1] to (N, 3, scale*H, scale*W), not
    clipped; N, H and W are free or, with a `shape`, 1 and that. It computes as `Family.for_programs` says. Raises
    ExportFailed, leaving no file, where PyTorch cannot capture the network for any size (its sizes go into reshapes, as
    those of windows do), or where the results differ.
    """
    sizes = (*CHECKED, LARGE) if shape is None else ((1, 3, *shape),)
    capture, check = partial(_exported, shape=shape), partial(_check, network, sizes)
    content = captured(family_of(network).for_programs(network), capture, check)
    atomic.write_bytes(path, content)


def _exported(network: SRNetwork, shape: tuple[int, int] | None = None) -> bytes:
    free = None if shape is not None else (dict.fromkeys(FREE, torch.export.Dim.AUTO),)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, about its own deprecations
            program = torch.export.export(network, (example(shape),), dynamic_shapes=free, strict=False)
    except Exception as error:  # torch.export passes on whatever capturing raises
        raise _failed(error) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # source lines, with paths of this machine
    about = {
        "autocompress": autocompress.__version__,
        "family": network.family,
        "scale": network.scale,
        "config": network.config.to_dict(),
    }
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={ABOUT: json.dumps(about)})
    return file.getvalue()


def _check(network: SRNetwork, sizes: Sequence[tuple[int, ...]], content: bytes) -> None:
    """Raise ExportFailed if the program does not run on images of some size, or computes something else there."""
    program = torch.export.load(io.BytesIO(content)).module()
    generator = torch.Generator().manual_seed(0)
    for shape in sizes:
        lr = torch.rand(shape, generator=generator)
        with torch.inference_mode():
            expected = network(lr)
            try:
                computed = program(lr)
            except Exception as error:  # a guard, of whatever kind
                raise _failed(error) from error
        apart = float((computed - expected).abs().max()) if computed.shape == expected.shape else float("inf")
        if not apart <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise ExportFailed(
                f"the exported program and the network differ by up to {apart:.1e} on images of {shape[2]}x{shape[3]} "
                f"pixels, but must agree to {TOLERANCE:.0e}; nothing was written"
            )


def _failed(error: Exception) -> ExportFailed:
    reason = " ".join(str(error).split())[:LONG]
    return ExportFailed(
        f"PyTorch {torch.__version__} cannot export this network for images of any size ({reason}); "
        "take --format onnx, which needs no code either, or images of one size, by --shape 360x640"
    )
