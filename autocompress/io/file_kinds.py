"""What a file is, by its first bytes: its name does not decide, and what holds no weights is named for what it is."""

from __future__ import annotations

import zipfile
from enum import Enum
from pathlib import Path

from autocompress.errors import CheckpointError

_HEAD = 4096  # bytes that are looked at
_MAGICS = {
    b"\x89HDF": "an HDF5 file, as Keras writes them",
    b"\x93NUMPY": "an array of NumPy",
    b"GGUF": "a GGUF file, as language models have",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"RIFF": "a WebP image or a sound",
    b"\x1f\x8b": "packed with gzip; unpack it first, and give what was in it",
    b"7z\xbc\xaf": "a 7z archive; unpack it first, and give what was in it",
    b"Rar!": "a RAR archive; unpack it first, and give what was in it",
    b"SQLite format 3": "a database of SQLite",
    b"\x08": "as ONNX's files are",
}
_TEXTS = {
    b"version https://git-lfs": "a pointer of git-lfs in the place of the file; fetch it with git lfs pull",
    b"<": "a page of HTML or XML, so probably what a browser was shown; download the file itself",
    b"{": "JSON; give the file of weights beside it",
}
_WANTED = "give a .safetensors file, or what torch.save(model.state_dict(), ...) writes"


class Kind(Enum):
    """The two kinds of files that weights are read from."""

    SAFETENSORS = "safetensors"
    PYTORCH = "PyTorch"


def kind_of(path: Path) -> Kind:
    """Which kind a file is; CheckpointError, with what it seems to be, where it is neither."""
    if path.is_dir():
        raise CheckpointError(f"{path}: a folder, but a file of weights is needed; {_WANTED}")
    if not path.is_file():
        raise CheckpointError(f"{path}: {'no regular file' if path.exists() else 'no such file'}; check the path")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check its rights") from error
    if head.startswith(b"PK\x03\x04"):
        _check_zip(path)
        return Kind.PYTORCH
    pickled = head[:1] == b"\x80"
    if head[8:9] == b"{" and (not pickled or int.from_bytes(head[:8], "little") < path.stat().st_size):
        return Kind.SAFETENSORS
    if pickled:
        return Kind.PYTORCH
    raise CheckpointError(f"{path}: {_described(head)}")


def _check_zip(path: Path) -> None:
    """Raise CheckpointError for zip archives that are others than torch.save's."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
            folders = {part for name in archive.namelist() for part in name.split("/")[:-1]}
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: a PyTorch file that is damaged or cut ({error}); copy or download it again"
        ) from error
    if "constants.pkl" in names and "code" in folders:
        raise CheckpointError(
            f"{path}: a TorchScript program, which is code and is not run; save the weights in it with "
            "torch.save(torch.jit.load(FILE).state_dict(), ...)"
        )
    if "archive_format" in names or "serialized_exported_program.json" in names:
        raise CheckpointError(f"{path}: a program of torch.export, which is read by its name; call it {path.stem}.pt2")
    if "data.pkl" not in names:
        what = "arrays of NumPy" if any(name.endswith(".npy") for name in names) else "a zip archive of other files"
        raise CheckpointError(f"{path}: {what}, but a file of weights is needed; {_WANTED}")


def _described(head: bytes) -> str:
    if not head:
        return "an empty file; copy or download it again"
    for start, what in _TEXTS.items():
        if head.lstrip().startswith(start):
            return what
    for start, what in _MAGICS.items():
        if head.startswith(start):
            return what if ";" in what else f"no file of weights, but {what}; {_WANTED}"
    try:
        text = head.decode("utf-8", "strict") if len(head) < _HEAD else head[:-4].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if text.isprintable() or all(one.isprintable() or one in "\r\n\t" for one in text):
        return f"a text, but a file of weights is needed; {_WANTED}"
    return f"not a file of weights that is known, or damaged at its beginning; {_WANTED}"
