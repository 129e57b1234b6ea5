"""What must hold of tensors from a file before anything is computed of them: plain numbers, and room for them in it.

A file of some kilobytes may describe tensors of any size: repeated values (a stride of 0), parts that unpack to a
thousand times their size, names that number a million layers. None of these is in files that programs write.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from autocompress.errors import CheckpointError, cut
from autocompress.units import format_count

# the kinds of numbers that PyTorch converts; of 4 bits and fewer it only keeps the bytes
CONVERTED = re.compile(r"torch\.(bool|bfloat16|float(16|32|64)|float8_\w+|u?int(8|16|32|64)|complex\d+)")
ZIP = b"PK\x03\x04"  # how files of torch.save begin
SHARED = 8  # times that values may be shared by several tensors, in all
MOST_DIMENSIONS = 16  # of a tensor: those of video have 5, and PyTorch computes with up to 64
NUMBERED, A_TENSOR = 100, 4  # most layers that names may number: so many, and so many more for each tensor


def check_archive(path: Path) -> None:
    """Raise CheckpointError for a PyTorch file whose parts unpack to more than it has, before it is unpacked."""
    with path.open("rb") as file:
        try:
            check_unpacked(file, path.stat().st_size)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error


def check_unpacked(file: BinaryIO, size: int) -> None:
    """As `check_archive`, of an open file of `size` bytes, without its name."""
    if file.read(len(ZIP)) != ZIP:
        return
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > size:
        raise CheckpointError(
            f"its parts unpack to {format_count(unpacked)}B from {format_count(size)}B, but PyTorch's files "
            "are not compressed; save it again with torch.save"
        )


def check_values(room: int, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless all tensors are dense and finite, and hold what their names and shapes promise.

    room: bytes of the file that they are from, of which the message does not give the name.
    """
    _check_numbering(tensors)
    total = 0
    for name, value in tensors.items():
        problem = _problem(value)
        total += 0 if problem else value.numel() * value.element_size()
        if not problem and total > SHARED * room:
            problem = f"is {tuple(value.shape)}, which does not fit into a file of {format_count(room)}B"
        if problem or not torch.isfinite(value.to(torch.float32)).all():
            problem = problem or "has values that are not finite (NaN, infinite, or too large for float32)"
            raise CheckpointError(f"{cut(name)} {problem}; give a file of a trained network's weights")


def _problem(value: Tensor) -> str:
    """What makes a tensor no plain array of numbers; empty where it is one."""
    if value.dim() > MOST_DIMENSIONS:
        return f"has {value.dim()} dimensions, but weights have up to {MOST_DIMENSIONS}"
    problems = {
        "is a sparse tensor, but a dense one is needed": value.layout != torch.strided or value.is_nested,
        "is a quantised tensor, but one of floating-point numbers is needed": value.is_quantized,
        "is a tensor without values (of the device meta)": value.is_meta,
        "is a tensor of complex numbers": value.is_complex(),
        f"is of {value.dtype}, which cannot become float32": not CONVERTED.fullmatch(str(value.dtype)),
        f"is {tuple(value.shape)}, which has no values": value.numel() == 0,
    }
    for problem, found in problems.items():
        if found:
            return problem
    held = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > held:
        return f"is {tuple(value.shape)}, but only repeats values of {format_count(held)}B"
    return ""


def _check_numbering(names: Mapping[str, Tensor]) -> None:
    most = NUMBERED + A_TENSOR * len(names)
    for name in names:
        for number in re.findall(r"(?:^|\.)(\d+)(?=\.|$)", name):
            if len(number) > 9 or int(number) > most:
                raise CheckpointError(
                    f"{cut(name)} is numbered {cut(number)}, but the file has {len(names)} tensors in all; "
                    "it is damaged, or only a part of a network"
                )
