"""Files of weights: safetensors with a JSON side file, and foreign PyTorch files, read without running them."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from autocompress.errors import CheckpointError, shown
from autocompress.io.atomic import NO_ROOM, read_json, room_for, write_atomically, write_bytes, write_json, write_text
from autocompress.io.tensor_checks import check_archive, check_values

__all__ = [
    "NO_ROOM",
    "PYTORCH_SUFFIXES",
    "read_json",
    "read_tensors",
    "room_for",
    "save_objects",
    "save_pth",
    "save_tensors",
    "write_atomically",
    "write_bytes",
    "write_json",
    "write_text",
]

PYTORCH_SUFFIXES = (".pt", ".pth", ".ckpt")
STATE_DICT_KEYS = ("params_ema", "params", "state_dict")  # the first of them that a file has is taken


def save_tensors(path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
    """Write a safetensors file of contiguous CPU tensors; floating-point ones are converted to `dtype`."""
    plain = {key: _plain(value, dtype) for key, value in tensors.items()}
    write_bytes(path, save(plain))  # safetensors' own `save_file` does not say when a disk is full


def save_pth(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a PyTorch file as BasicSR does: one dict under `params`."""
    plain = {key: _plain(value, torch.float32) for key, value in tensors.items()}
    save_objects(path, {"params": plain})


def save_objects(path: Path, content: object) -> None:
    """Write what torch.save takes, complete or not at all."""
    buffer = io.BytesIO()  # torch.save to a file does not say when a disk is full
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def _plain(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous().clone()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in a `.safetensors`, `.pth`, `.pt` or `.ckpt` file, without `module.` prefixes.

    Takes `params_ema` before `params` before `state_dict` before a bare dict, as BasicSR and others store them.
    Raises CheckpointError for a missing or damaged file, one that would run code, one without tensors, and one whose
    tensors are not finite or are larger than the file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        content = _read_safetensors(path)
    elif path.suffix in PYTORCH_SUFFIXES:
        content = _read_pytorch(path)
    else:
        known = ", ".join((".safetensors", *PYTORCH_SUFFIXES))
        raise CheckpointError(f"{path}: a file of weights ends in one of {known}")
    tensors = _state_dict(path, content)
    check_values(path, tensors)
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error}); copy it again") from error


def _read_pytorch(path: Path) -> object:
    try:
        check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than tensors, or is damaged, and loading it could run code, so it is refused; "
            "save its state dict alone with torch.save(model.state_dict(), ...)"
        ) from error
    # PyTorch raises nearly any exception for damaged files: RuntimeError, EOFError, IndexError...
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a readable PyTorch file ({reason}); copy it again") from error


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    description = f"a {type(content).__name__}"
    if isinstance(content, dict):
        inner = next((content[key] for key in STATE_DICT_KEYS if isinstance(content.get(key), dict)), content)
        tensors = {key: value for key, value in inner.items() if isinstance(key, str) and isinstance(value, Tensor)}
        if tensors:
            return tensors
        description = f"a dict of {', '.join(map(shown, list(inner)[:5])) or 'nothing'}"
    raise CheckpointError(f"{path}: holds {description}, but a state dict (names to tensors) is needed")
