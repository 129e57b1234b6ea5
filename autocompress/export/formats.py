"""The formats that a student can be written in. Nothing here imports torch: shell completion needs these words fast."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from autocompress.errors import InvalidInput


class Format(StrEnum):
    """A file's format, which is also its suffix.

    `pth` is a PyTorch file as official code such as BasicSR loads it, if that has such a network; `pt2` a program.
    """

    SAFETENSORS = "safetensors"
    PTH = "pth"
    ONNX = "onnx"
    PT2 = "pt2"


PROGRAMS = (Format.ONNX, Format.PT2)  # they hold the computation, and not tensors alone


def check_formats(formats: Sequence[str], half: bool) -> None:
    """Raise InvalidInput for formats that cannot be written; to be called before anything is written."""
    for format in formats:
        if format not in list(Format):
            raise InvalidInput(f"--format is {format!r}, but must be one of {', '.join(Format)}")
    if len(set(formats)) < len(formats):
        raise InvalidInput(f"--format is given as {', '.join(formats)}, but each format can be given once")
    if half and Format.SAFETENSORS not in formats:
        raise InvalidInput("--fp16 is for safetensors; add --format safetensors, or leave --fp16 out")
    if Format.ONNX in formats:
        from autocompress.export.onnx_files import require_onnx

        require_onnx()
