"""Networks as ONNX files, checked against PyTorch before they are written."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch

import autocompress
from autocompress.errors import ExportFailed, InvalidInput
from autocompress.io import checkpoints
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.shrink.graph import computes_the_same_in_training

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 18  # the lowest that PyTorch's exporter writes; ONNX Runtime has it since 1.14, TensorRT since 8.6
EXAMPLE = (2, 3, 37, 53)  # the exporter's example input: sizes of 0 and 1 would be taken for constants
CHECKED = ((1, 3, 37, 53), (2, 3, 64, 41))  # inputs of the check: 64 is a multiple of usual windows, the others not
TOLERANCE = 1e-4  # largest allowed difference, for images in [0, 1]; another order of sums makes about 1e-6


def write_onnx(network: SRNetwork, path: Path) -> None:
    """Write a network as an ONNX file of opset 18, after checking with ONNX Runtime that it computes what PyTorch does.

    Its input `lr` is (N, 3, H, W) float32 RGB in [0, 1], its output `sr` (N, 3, scale*H, scale*W), not clipped; N, H
    and W are free. The file's metadata has `family`, `scale`, `config` (JSON) and the version of autocompress. It
    computes as `Family.for_programs` says. Raises InvalidInput where ONNX is not installed, ExportFailed, leaving no
    file, where the results differ.
    """
    require_onnx()
    model = captured(family_of(network).for_programs(network), _converted, partial(_check, network))
    checkpoints.write_bytes(path, model)


def require_onnx() -> None:
    """Raise InvalidInput, with the remedy, if a package is missing that writing and checking ONNX files needs."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise InvalidInput(
            f"ONNX is not installed (no {', '.join(missing)} here); pip install 'autocompress[onnx]' does it"
        )


def onnx_is_here() -> bool:
    """Whether all packages that writing, checking and running ONNX files needs are installed."""
    return all(find_spec(name) is not None for name in PACKAGES)


def captured(network: SRNetwork, capture: Callable[[SRNetwork], bytes], check: Callable[[bytes], None]) -> bytes:
    """What `capture` makes of a network in eval mode, or else in the training mode that computes the same.

    Some networks compute their weights anew in eval mode, which cannot be captured. `capture` and `check` raise
    ExportFailed.
    """
    try:
        content = capture(network)
        check(content)
    except ExportFailed:
        if not computes_the_same_in_training(network, torch.zeros(EXAMPLE)):
            raise
    else:
        return content
    try:
        content = capture(network.train())
    finally:
        network.eval()
    check(content)
    return content


def _converted(network: SRNetwork) -> bytes:
    """The ONNX file of a network on the CPU."""
    from onnx_ir import to_proto
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    batch, height, width = (torch.export.Dim(name) for name in ("batch", "height", "width"))
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                network,
                (torch.zeros(EXAMPLE),),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["lr"],
                output_names=["sr"],
                dynamic_shapes=({0: batch, 2: height, 3: width},),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise ExportFailed(f"PyTorch {torch.__version__} cannot export this network to ONNX: {reason}") from error
    assert program is not None
    ClearMetadataAndDocStringPass()(program.model)  # each node's stack of source lines, with paths of this machine
    program.model.metadata_props.update(
        {
            "autocompress": autocompress.__version__,
            "family": network.family,
            "scale": str(network.scale),
            "config": json.dumps(network.config.to_dict()),
        }
    )
    model: bytes = to_proto(program.model).SerializeToString()
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """A context without the exporter's warnings about its own deprecations and packages that no network here needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(network: SRNetwork, model: bytes) -> None:
    """Raise ExportFailed if ONNX Runtime computes something else than PyTorch, for random inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for shape in CHECKED:
        lr = torch.rand(shape, generator=generator)
        with torch.inference_mode():
            expected = network(lr)
        computed = torch.from_numpy(session.run(["sr"], {"lr": lr.numpy()})[0])
        apart = float((computed - expected).abs().max()) if computed.shape == expected.shape else float("inf")
        if not apart <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise ExportFailed(
                f"ONNX Runtime {onnxruntime.__version__} and PyTorch differ by up to {apart:.1e} on images of "
                f"{shape[2]}x{shape[3]} pixels, but must agree to {TOLERANCE:.0e}; nothing was written"
            )
