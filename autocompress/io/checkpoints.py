"""Files of weights: safetensors with a JSON side file, and foreign PyTorch files, read without running them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, load_file, save
from torch import Tensor

from autocompress.errors import CheckpointError, cut
from autocompress.io.atomic import NO_ROOM, read_json, room_for, write_atomically, write_bytes, write_json, write_text
from autocompress.io.checksums import digest_of
from autocompress.io.file_kinds import Kind, kind_of
from autocompress.io.pickle_checks import load_weights_only
from autocompress.io.pickles import read_pickled
from autocompress.io.tensor_checks import check_archive

__all__ = [
    "NO_ROOM",
    "as_safetensors",
    "digest_of",
    "load_objects",
    "read_content",
    "read_json",
    "room_for",
    "save_objects",
    "save_pth",
    "save_tensors",
    "write_atomically",
    "write_bytes",
    "write_json",
    "write_text",
]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
    """Write a safetensors file of contiguous CPU tensors; floating-point ones are converted to `dtype`."""
    write_bytes(path, as_safetensors(tensors, dtype))  # safetensors' own `save_file` does not say when a disk is full


def as_safetensors(tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> bytes:
    """The content of that file."""
    return save({key: _plain(value, dtype) for key, value in tensors.items()})


def save_pth(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a PyTorch file as BasicSR does: one dict under `params`."""
    plain = {key: _plain(value, torch.float32) for key, value in tensors.items()}
    save_objects(path, {"params": plain})


def save_objects(path: Path, content: object) -> None:
    """Write what torch.save takes, complete or not at all."""
    buffer = io.BytesIO()  # torch.save to a file does not say when a disk is full
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def load_objects(path: Path) -> Any:
    """What `save_objects` has written; nearly any exception where it is damaged."""
    kind_of(path)
    check_archive(path)
    with path.open("rb") as file:
        return load_weights_only(file)


def _plain(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous().clone()


def read_content(path: Path) -> object:
    """What a file of weights holds, whatever its name: a dict of tensors, or what torch.save has stored.

    No code in it is run. Raises CheckpointError for a missing, damaged or foreign file, saying what it seems to be, and
    for one that would run code.
    """
    kind = kind_of(path)
    try:
        if kind is Kind.SAFETENSORS:
            return load_file(path) if str(path).isprintable() else load(path.read_bytes())  # names must be UTF-8 there
        check_archive(path)
        return read_pickled(path)
    except CheckpointError:
        raise
    # PyTorch raises nearly any exception for damaged files: RuntimeError, EOFError, IndexError...
    except Exception as error:
        reason = cut(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise CheckpointError(
            f"{path}: not a readable {kind.value} file ({reason}); it is damaged or cut: copy or download it again"
        ) from error
