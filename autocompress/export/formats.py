"""The formats that a student can be written in. Nothing here imports torch: shell completion needs these words fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.errors import InvalidInput
from autocompress.export.extras import require

if TYPE_CHECKING:
    from autocompress.networks.base import SRNetwork

OPSETS = range(13, 19)
OPSET = 18  # ONNX Runtime has it since 1.14, TensorRT since 8.6
LARGEST_SHAPE = 2**24  # LR pixels: half an 8K picture; each layer of 64 channels takes 4 GB for it
_SHAPE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


class Format(StrEnum):
    """A file's format: its suffix and, where that is not float32, the numbers in it.

    `pth` is a PyTorch file as official code such as BasicSR loads it, if that has such a network; `pt2` a program. Of
    ncnn there are two files: the other ends in .bin.
    """

    SAFETENSORS = "safetensors"
    SAFETENSORS_FP16 = "safetensors-fp16"
    PTH = "pth"
    ONNX = "onnx"
    ONNX_FP16 = "onnx-fp16"
    ONNX_INT8 = "onnx-int8"
    NCNN = "ncnn"
    PT2 = "pt2"

    @property
    def suffix(self) -> str:
        """How its files end, with the dot."""
        return ".param" if self == Format.NCNN else f".{self.partition('-')[0]}"

    @property
    def numbers(self) -> str:
        """The kind of its numbers, such as `fp16`; empty for float32."""
        return self.partition("-")[2]

    def file_name(self, name: str) -> str:
        """What the file of a network of this name is called."""
        return f"{name}-{self.numbers}{self.suffix}" if self.numbers else f"{name}{self.suffix}"


def all_parts(file: Path) -> list[Path]:
    """A file, and what belongs to it: of ncnn the weights."""
    return [file, file.with_suffix(".bin")] if file.suffix == Format.NCNN.suffix else [file]


OF_ONNX = (Format.ONNX, Format.ONNX_FP16, Format.ONNX_INT8)
PROGRAMS = (*OF_ONNX, Format.PT2)  # they hold the computation that `Family.for_programs` makes


Quantise = Callable[["SRNetwork", str, int, tuple[int, int] | None, bytes], tuple[bytes, dict[str, Any]]]
"""From a network, its name, the opset, the `shape` and the ONNX file in float32 for images of any size: the file in
int8, and what is told of it beside it."""


@dataclass(frozen=True)
class Wanted:
    """What is to be written of a network: the formats, the version of ONNX's operators, and the size of images.

    `shape` is (height, width) of the only LR images that ONNX and pt2 files take, one at a time; None: any number of
    images of any size. `quantise` makes the int8 files.
    """

    formats: tuple[Format, ...]
    opset: int = OPSET
    shape: tuple[int, int] | None = None
    quantise: Quantise | None = None

    @classmethod
    def parse(cls, formats: Sequence[str], opset: int | None = None, shape: str | None = None) -> Wanted:
        """As people write it, `shape` as `360x640`; InvalidInput for what cannot be written, before anything is."""
        for format in formats:
            if format not in list(Format):
                raise InvalidInput(f"--format is {format!r}, but must be one of {', '.join(Format)}")
        if len(set(formats)) < len(formats):
            raise InvalidInput(f"--format is given as {', '.join(formats)}, but each format can be given once")
        wanted = cls(tuple(map(Format, formats)), OPSET if opset is None else opset, _parsed(shape))
        if any(format in OF_ONNX for format in formats):
            require("onnx")
        if Format.NCNN in formats:
            require("ncnn")
        if opset is not None and not any(format in OF_ONNX for format in formats):
            raise InvalidInput("--opset is for ONNX; add --format onnx, or leave --opset out")
        if wanted.opset not in OPSETS:
            raise InvalidInput(f"--opset is {opset}, but must be from {OPSETS[0]} to {OPSETS[-1]}")
        if shape is not None and not any(format in PROGRAMS for format in formats):
            raise InvalidInput("--shape is for ONNX and pt2; add --format onnx, or leave --shape out")
        return wanted


def _parsed(shape: str | None) -> tuple[int, int] | None:
    """Height and width of `360x640`."""
    if shape is None:
        return None
    if (sides := _SHAPE.fullmatch(shape)) is None:
        raise InvalidInput(f"--shape is {shape!r}, but must be height and width of LR images, such as 360x640")
    height, width = int(sides[1]), int(sides[2])
    if height * width > LARGEST_SHAPE:
        raise InvalidInput(
            f"--shape is {shape}, but a file is tried on an image of its shape, of up to {LARGEST_SHAPE} pixels; leave "
            "--shape out for images of any size"
        )
    return height, width
