"""Files of weights: safetensors with a JSON side file, and foreign PyTorch files, read without running them."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from autocompress.errors import CheckpointError, DiskFull, RunError

PYTORCH_SUFFIXES = (".pt", ".pth", ".ckpt")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
STATE_DICT_KEYS = ("params_ema", "params", "state_dict")  # the first of them that a file has is taken


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path, sync that file and rename it to `path`.

    So `path` is complete or unchanged, also after a power cut. Raises DiskFull if the disk has no room, another OSError
    if the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with room_for(path):
            made = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch()  # raises OSError if nothing can be written here; some writers would raise something else
            write(temporary)
            _sync(temporary)
            temporary.chmod(0o644)  # some writers make files that only their owner can read
            temporary.replace(path)
            for folder in (path.parent, *(new.parent for new in made)):
                _sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """A context for writing a file: errors for want of room become DiskFull, with a message of one line."""
    try:
        yield
    except DiskFull:
        raise
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        full = DiskFull(f"{path}: cannot be written ({error.strerror}); make room, and the same command goes on")
        full.errno, full.strerror = error.errno, error.strerror
        raise full from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Make new names in a folder survive a power cut; does nothing on Windows and some network disks, which cannot."""
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, complete or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    write_atomically(path, lambda temporary: _write(temporary, content))


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds, where that is an object, else nothing; RunError where it is not JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: not readable as JSON ({error}); remove it or restore it") from error
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, complete or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


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
    Raises CheckpointError for a missing or damaged file, one that would run code, and one without tensors.
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
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error}); copy it again") from error


def _read_pytorch(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
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
        tensors = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
        description = f"a dict of {', '.join(map(repr, list(inner)[:5])) or 'nothing'}"
    raise CheckpointError(f"{path}: holds {description}, but a state dict (names to tensors) is needed")
