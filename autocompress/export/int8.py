"""Networks as ONNX files in int8: static quantisation by ONNX Runtime's own tools, calibrated on images."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autocompress.export.onnx_files import converted, quiet
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.networks.folding import FoldedTail
from autocompress.networks.upscaling import Image, Upscaler
from autocompress.progress import OnDone, one_by_one, untold

# What is quantised. The shift and scaling of images around a network and its first convolution stay in float32: they
# cost next to nothing, and each 8-bit rounding of the image itself is lost in the result (benchmarks/int8.py).
OPERATORS = ("Conv", "MatMul", "Relu", "PRelu", "LeakyRelu", "Add")
# Of a transformer: its products with weights are nearly all of its work, and those of attention are slower in int8.
# What its blocks add to has values in a few channels that are far larger than all others, and 256 levels for all
# channels would leave few for the others.
OF_TRANSFORMERS = ("MatMul",)
LEVELS = 255
COLOURS = 3


@dataclass(frozen=True)
class Rounding:
    """How a network is rounded; the defaults lose least for their time (benchmarks/int8.py).

    `percentile` is how much of its values the range of an activation covers: without the last of them its steps are
    finer. `tail` says whether what upsamples is rounded, too, and is not one convolution at LR (`Family.for_programs`).
    `whole` is how many convolutions stay in float32, from the first on, and all before the last of them. Of a network
    with more matrix products than convolutions, a transformer, nothing but its products with weights is rounded, unless
    it is `throughout`.
    """

    percentile: float = 99.999
    tail: bool = False
    whole: int = 1
    throughout: bool = False


OURS = Rounding()


def unrounded(network: SRNetwork, opset: int, tail: bool = False) -> bytes:
    """The ONNX file that `quantised` rounds, in float32: the same for all roundings of that `tail`, and slow to make.

    Raises ExportFailed where PyTorch cannot convert it.
    """
    return converted(network, _computing(network, tail), opset)


def _computing(network: SRNetwork, tail: bool) -> SRNetwork:
    family = family_of(network)
    return family.for_export(network) if tail else family.for_programs(network)


def quantised(
    network: SRNetwork,
    images: Iterable[Image],
    opset: int,
    rounding: Rounding = OURS,
    report: OnDone = untold,
    given: bytes | None = None,
) -> bytes:
    """The ONNX file of a network in int8, for images (1, 3, H, W) of any size, as in `write_onnx`.

    Weights are int8, with a scale for each channel; activations uint8, with the range that they have on `images`, each
    uint8 (h, w, 3) at LR; `report` is told on how many of these it was run, of how many. Both are written as QDQ:
    QuantizeLinear and DequantizeLinear around float operators, which runtimes fuse to integer ones. It computes as
    `Family.for_programs` says. `given` is what `unrounded` makes of the network, where that is there already. Raises
    ExportFailed where PyTorch cannot convert it.
    """
    from onnx import load, load_from_string
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc] # the library is not typed
        """Its `get_next` gives one input after the other of a range, and None at the end."""

        def __init__(self) -> None:
            self._all = list(images)
            self._told = one_by_one(report, len(self))
            self.set_range(0, len(self))

        def __len__(self) -> int:
            return len(self._all)

        def set_range(self, start_index: int, end_index: int) -> None:
            self._inputs = iter(self._all[start_index:end_index])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._inputs, None)
            if image is None:
                return None
            self._told()
            return {"lr": as_input(image)}

    made = _computing(network, rounding.tail)
    tails = tuple(f"{name}." for name, module in made.named_modules() if isinstance(module, FoldedTail))
    whole = load_from_string(given or unrounded(network, opset, rounding.tail))
    # percentiles are found with prints of how far that is
    with tempfile.TemporaryDirectory() as folder, quiet(), redirect_stdout(io.StringIO()):
        plain, prepared, result = (Path(folder, f"{name}.onnx") for name in ("given", "prepared", "int8"))
        plain.write_bytes(whole.SerializeToString())
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        graph = load(prepared).graph
        operators: tuple[str, ...] = OPERATORS
        kept = _kept_whole(graph, None if rounding.tail else tails, rounding.whole)
        if not rounding.throughout and _is_transformer(graph):
            operators, kept = OF_TRANSFORMERS, kept + _without_weights(graph)
        quantize_static(
            prepared,
            result,
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(operators),
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            # one image at a time, or else what a network computes of all of them is in memory at once
            extra_options={"CalibPercentile": rounding.percentile, "CalibStridedMinMax": 1},
        )
        model = load(result)
    del model.metadata_props[:]
    model.metadata_props.extend(whole.metadata_props)
    content: bytes = model.SerializeToString()
    return content


def of_one_size(model: bytes, scale: int, shape: tuple[int, int]) -> bytes:
    """The same for one image of `shape` (height, width) at LR."""
    from onnx import load_from_string
    from onnxruntime.tools.onnx_model_utils import make_input_shape_fixed

    fixed = load_from_string(model)
    make_input_shape_fixed(fixed.graph, "lr", [1, 3, *shape])
    [sr] = fixed.graph.output
    for dimension, size in zip(sr.type.tensor_type.shape.dim, (1, 3, *(scale * side for side in shape)), strict=True):
        dimension.Clear()
        dimension.dim_value = size
    content: bytes = fixed.SerializeToString()
    return content


def onnx_upscaler(session: Any) -> Upscaler:
    """An ONNX Runtime session for uint8 images (h, w, 3), each as a whole."""

    def upscale(lr: Image) -> Image:
        sr = session.run(["sr"], {"lr": as_input(lr)})[0][0]
        result: Image = (sr.clip(0, 1) * LEVELS).round().astype(np.uint8).transpose(1, 2, 0)
        return result

    return upscale


def as_input(lr: Image) -> NDArray[np.float32]:
    """A uint8 image (h, w, 3) as (1, 3, h, w) in [0, 1]."""
    return lr.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(LEVELS)


def stays_whole(outputs: int) -> bool:
    """Whether the last convolution of a network stays in float32, by its channels: those of pixels yet to be shuffled.

    One that has only colours computes at HR, where float32 would cost a third of the time.
    """
    return outputs > COLOURS


def _is_transformer(graph: Any) -> bool:
    kinds = [node.op_type for node in graph.node]
    return kinds.count("MatMul") > kinds.count("Conv")


def _without_weights(graph: Any) -> list[str]:
    """The names of the products of two tensors that are both computed, as those of attention."""
    stored = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and stored.isdisjoint(node.input)]


def _kept_whole(graph: Any, tails: tuple[str, ...] | None, whole: int) -> list[str]:
    """The names of the `whole` first convolutions and what is before, and of all behind the last one that is rounded.

    The latter is that before what `tails` name, or else before the last if that `stays_whole`; None: the last.
    """
    nodes, outputs = graph.node, {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    first, others = convolutions[:whole][-1], convolutions[whole:]
    if tails is not None:
        of_tail = [index for index in others if nodes[index].input[1].startswith(tails)]
        if not of_tail and others and stays_whole(outputs.get(nodes[others[-1]].input[1], 0)):
            of_tail = others[-1:]
        others = [index for index in others if index < min(of_tail, default=len(nodes))]
    last = max(others, default=first)
    return [node.name for node in (*nodes[: first + 1], *nodes[last + 1 :])]
