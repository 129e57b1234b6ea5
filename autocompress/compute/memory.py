"""Aligned memory for tensors, so that a matrix product gives the same bits wherever its operands were read from.

MKL, which computes matrix products in PyTorch's CPU builds, promises equal results only for operands whose memory
begins at a multiple of 64 bytes. Otherwise the last bits may differ, depending on shapes and processor. Tensors that
PyTorch allocates, and parameters that weights were copied into, are aligned. Tensors that are memory-mapped from a file
that packs them, and views of other libraries' buffers, may not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

ALIGNMENT = 64  # bytes; what PyTorch's CPU allocator gives, and what MKL asks for
SUFFIX = ".npy"


def is_aligned(tensor: Tensor) -> bool:
    """Whether the tensor's memory begins at a multiple of ALIGNMENT; on a GPU every allocation does."""
    return tensor.device.type != "cpu" or tensor.data_ptr() % ALIGNMENT == 0


def aligned(tensor: Tensor) -> Tensor:
    """The tensor itself where it lies at a multiple of ALIGNMENT, else a copy that does, of the same strides."""
    return tensor if is_aligned(tensor) else tensor.clone()


def has_aligned_weights(network: nn.Module) -> bool:
    """Whether all parameters and buffers are aligned."""
    return all(map(is_aligned, network.state_dict(keep_vars=True).values()))


def save_mappable(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write each tensor to a file of its own, `NAME.npy`, from which `open_mapped` maps it."""
    for name, tensor in tensors.items():
        np.save(folder / f"{name}{SUFFIX}", tensor.detach().cpu().contiguous().numpy(), allow_pickle=False)


def open_mapped(folder: Path) -> dict[str, Tensor]:
    """The tensors that `save_mappable` wrote, by name, mapped into memory: nothing is read before it is needed.

    Pages of a mapping begin at multiples of 4096 bytes or more, and NumPy's format puts an array's data at a multiple
    of 64 in its file, for this purpose: so every tensor is aligned without being copied. What is written to one
    never reaches the file.
    """
    return {
        path.name.removesuffix(SUFFIX): aligned(torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False)))
        for path in sorted(folder.glob(f"*{SUFFIX}"))
    }
