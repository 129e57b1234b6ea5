"""Networks as ONNX files, checked against PyTorch before they are written."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import autocompress
from autocompress.errors import ExportFailed
from autocompress.export.extras import require
from autocompress.export.formats import OPSET
from autocompress.io import atomic
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.shrink.graph import computes_the_same_in_training

EXAMPLE = (2, 3, 37, 53)  # sizes of 0 and 1 would be taken for constants
CHECKED = ((1, 3, 37, 53), (2, 3, 64, 41))  # inputs of the check: 64 is a multiple of usual windows, the others not
TOLERANCE = 1e-4  # largest allowed difference, for images in [0, 1]; another order of sums makes about 1e-6
HALF_TOLERANCE = 1e-2  # the same where all is computed in float16, whose rounding makes about 5e-4
EXACT = ("LayerNormalization", "Softmax")  # operators that stay in float32 there: sums of many numbers
FREE = {0: "batch", 2: "height", 3: "width"}  # the dimensions of `lr` that may be of any size, with their names


def write_onnx(
    network: SRNetwork, path: Path, *, half: bool = False, opset: int = OPSET, shape: tuple[int, int] | None = None
) -> None:
    """Write a network as an ONNX file, after checking with ONNX Runtime that it computes what PyTorch does.

    Its input `lr` is (N, 3, H, W) float32 RGB in [0, 1], its output `sr` (N, 3, scale*H, scale*W), not clipped; N, H
    and W are free or, with a `shape`, 1 and that. With `half`, all between them is float16. The file's metadata has
    `family`, `scale`, `config` (JSON) and the version of autocompress. It computes as `Family.for_programs` says.
    Raises InvalidInput where ONNX is not installed, ExportFailed, leaving no file, where the results differ.
    """
    OnnxConverter(network, opset).write(path, half=half, shape=shape)


class OnnxConverter:
    """Makes the ONNX files of one network: what takes long, that in float32, once for all that are made of it."""

    def __init__(self, network: SRNetwork, opset: int = OPSET) -> None:
        self._network = network
        self._opset = opset
        self._models: dict[tuple[int, int] | None, bytes] = {}

    def model(self, shape: tuple[int, int] | None = None) -> bytes:
        """The file in float32 for images of this shape, or of any; raises as `write_onnx`."""
        require("onnx")
        if shape not in self._models:
            program = family_of(self._network).for_programs(self._network)
            self._models[shape] = converted(self._network, program, self._opset, shape)
        return self._models[shape]

    def write(self, path: Path, *, half: bool = False, shape: tuple[int, int] | None = None) -> None:
        """As `write_onnx`."""
        require("onnx")
        if half:
            _check_range(self._network)
        model = self.model(shape)
        if half:
            model = _halved(model)
            _check(self._network, model, _checked(shape), HALF_TOLERANCE)
        atomic.write_bytes(path, model)


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


def converted(
    network: SRNetwork, program: SRNetwork, opset: int = OPSET, shape: tuple[int, int] | None = None
) -> bytes:
    """The ONNX file in float32 of `program`, a form of `network` on the CPU, checked against this; see `write_onnx`."""

    def capture(program: SRNetwork) -> bytes:
        return _converted(program, opset, shape)

    return captured(program, capture, lambda model: _check(network, model, _checked(shape), TOLERANCE))


def _checked(shape: tuple[int, int] | None) -> Sequence[tuple[int, ...]]:
    """Sizes of the images that a file for this shape is checked on."""
    return CHECKED if shape is None else ((1, 3, *shape),)


def _converted(network: SRNetwork, opset: int, shape: tuple[int, int] | None) -> bytes:
    from onnx import checker, helper, load_from_string

    export = _exported if opset >= OPSET else _traced
    try:
        with torch.no_grad(), quiet():
            model = load_from_string(export(network, opset, shape))
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).splitlines()[0]
        raise ExportFailed(f"PyTorch {torch.__version__} cannot export this network to ONNX: {reason}") from error
    about = {
        "autocompress": autocompress.__version__,
        "family": network.family,
        "scale": str(network.scale),
        "config": json.dumps(network.config.to_dict()),
    }
    helper.set_model_props(model, about)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _exported(network: SRNetwork, opset: int, shape: tuple[int, int] | None) -> bytes:
    """By PyTorch's exporter, which writes no opset below OPSET."""
    from onnx_ir import to_proto
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    batch, height, width = (torch.export.Dim(name) for name in FREE.values())
    program = torch.onnx.export(
        network,
        (example(shape),),
        dynamo=True,
        verbose=False,
        opset_version=opset,
        input_names=["lr"],
        output_names=["sr"],
        dynamic_shapes=({0: batch, 2: height, 3: width},) if shape is None else None,
    )
    assert program is not None
    ClearMetadataAndDocStringPass()(program.model)  # each node's stack of source lines, with paths of this machine
    model: bytes = to_proto(program.model).SerializeToString()
    return model


def _traced(network: SRNetwork, opset: int, shape: tuple[int, int] | None) -> bytes:
    """By PyTorch's earlier exporter, which runs the network once and writes older opsets too."""
    file = io.BytesIO()
    torch.onnx.export(
        network,
        (example(shape),),
        file,  # type: ignore[arg-type] # of the other exporter it is a path alone
        dynamo=False,
        opset_version=opset,
        input_names=["lr"],
        output_names=["sr"],
        dynamic_axes={"lr": FREE, "sr": {0: "batch"}} if shape is None else None,
    )
    return file.getvalue()


def example(shape: tuple[int, int] | None) -> torch.Tensor:
    """The exporters' example input: images of this size, or such that no side is taken for a constant."""
    return torch.zeros(EXAMPLE if shape is None else (1, 3, *shape))


def _halved(model: bytes) -> bytes:
    """The same with float16 inside, and float32 images in and out."""
    from onnx import load_from_string
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    with quiet():  # of weights that become zero or infinite, which the check sees
        half = convert_float_to_float16(
            load_from_string(model), keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *EXACT]
        )
    content: bytes = half.SerializeToString()
    return content


@contextmanager
def quiet() -> Iterator[None]:
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


def _check(network: SRNetwork, model: bytes, sizes: Sequence[tuple[int, ...]], tolerance: float) -> None:
    """Raise ExportFailed if ONNX Runtime computes something else than PyTorch, for random inputs of these sizes."""
    import onnxruntime

    session = session_of(model)
    generator = torch.Generator().manual_seed(0)
    for shape in sizes:
        lr = torch.rand(shape, generator=generator)
        with torch.inference_mode():
            expected = network(lr)
        computed = torch.from_numpy(session.run(["sr"], {"lr": lr.numpy()})[0])
        apart = float((computed - expected).abs().max()) if computed.shape == expected.shape else float("inf")
        if not apart <= tolerance * max(1.0, float(expected.abs().max())):
            raise ExportFailed(
                f"ONNX Runtime {onnxruntime.__version__} and PyTorch differ by up to {apart:.1e} on images of "
                f"{shape[2]}x{shape[3]} pixels, but must agree to {tolerance:.0e}; nothing was written"
            )


def session_of(model: bytes) -> Any:
    """What runs an ONNX file with ONNX Runtime, on as many threads of the processor as PyTorch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _check_range(network: SRNetwork) -> None:
    """Raise ExportFailed if a module's output is too large for float16, or what is computed within a module.

    ONNX Runtime would not notice: on processors without float16 it computes in float32.
    """
    lr = torch.rand(CHECKED[0], generator=torch.Generator().manual_seed(0))
    largest = [0.0]

    def note(module: torch.nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            largest.append(float(output.abs().max()))

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(lr)
    finally:
        for hook in hooks:
            hook.remove()
    if not max(largest) <= torch.finfo(torch.float16).max:
        raise ExportFailed(
            f"this network has values of {max(largest):.1e} inside, but float16 ends at 6.6e+04; take --format onnx"
        )
    if not _is_finite_in_half(network, lr):
        raise ExportFailed(
            "in float16 this network makes values that are not finite: some inside are beyond 6.6e+04, where float16 "
            "ends; take --format onnx"
        )


def _is_finite_in_half(network: SRNetwork, lr: torch.Tensor) -> bool:
    """Whether PyTorch computes finite values in float16; True where it cannot compute an operator so on this device."""
    try:
        with torch.inference_mode():
            return bool(copy.deepcopy(network).half()(lr.half()).isfinite().all())
    except RuntimeError:
        return True
