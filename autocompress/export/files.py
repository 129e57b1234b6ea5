"""Students as files that other code loads, each with a JSON side file and a card that says what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from autocompress.errors import DiskFull, InvalidInput
from autocompress.export.card import program_flops, write_card
from autocompress.export.formats import Format, check_formats
from autocompress.export.onnx_files import write_onnx
from autocompress.export.programs import write_program
from autocompress.io import checkpoints
from autocompress.networks import describe, family_of, load
from autocompress.networks.base import SRNetwork


def export_network(
    network: SRNetwork, name: str, out: Path, format: str, about: dict[str, Any], half: bool = False
) -> Path:
    """Write one network with official key names, and with every setting folded into its tensors; returns the file.

    `pth` is one dict under `params`; it loads with strict=True in the official code, if that has such a network.
    `onnx` and `pt2` need none of this package to run: see `write_onnx` and `write_program`. With `half`, safetensors
    holds float16, which `load` converts to float32. `about` is written into the JSON side file.
    """
    check_formats([format], half)
    family = family_of(network)
    plain = family.for_export(network)
    path = out / f"{name}.{format}"
    with writing_to(out):
        if format == Format.ONNX:
            write_onnx(plain, path)
        elif format == Format.PT2:
            write_program(plain, path)
        elif format == Format.PTH:
            checkpoints.save_pth(path, family.official_tensors(plain))
        else:
            tensors = family.official_tensors(plain)
            if half:
                _check_half(tensors, name)
            checkpoints.save_tensors(path, tensors, torch.float16 if half else torch.float32)
        more = {} if program_flops(plain) is None else {"program_flops": program_flops(plain)}
        about = {name: value for name, value in about.items() if name != "weights"}  # the digest of another file
        checkpoints.write_json(path.with_suffix(".json"), about | describe(plain) | more)
    return path


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """A context for writing into the folder `out`: any OSError but DiskFull becomes InvalidInput."""
    try:
        yield
    except DiskFull:
        raise
    except OSError as error:
        raise InvalidInput(f"{out}: cannot be written to ({error.strerror}); give another folder") from error


def _check_half(tensors: dict[str, torch.Tensor], name: str) -> None:
    for key, tensor in tensors.items():
        largest = float(tensor.abs().max())
        if largest > torch.finfo(torch.float16).max:
            raise InvalidInput(f"{name}: {key} has a weight of {largest:.3g}, too large for float16; leave --fp16 out")


def export_formats(
    network: SRNetwork, name: str, out: Path, formats: Sequence[str], about: dict[str, Any], half: bool = False
) -> list[Path]:
    """`export_network` in each format, and one card beside them, NAME.md; returns the files of weights."""
    check_formats(formats, half)
    files = [
        export_network(network, name, out, format, about, half and format == Format.SAFETENSORS) for format in formats
    ]
    with writing_to(out):
        write_card(out / f"{name}.md", network, about, files, half)
    return files


def export_file(
    file: Path,
    name: str,
    out: Path,
    formats: Sequence[str],
    overrides: Mapping[str, Any] | None = None,
    half: bool = False,
    known: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Export the network in a file (see `load`), with what its side file says of it, and what else is `known`."""
    network = load(file, **(overrides or {}))
    about, more = _about(file), dict(known or {})
    provenance = about.get("provenance", {}) | more.pop("provenance", {})
    about |= more | ({"provenance": provenance} if provenance else {})
    return export_formats(network, name, out, formats, about, half)


def _about(file: Path) -> dict[str, Any]:
    """The content of our own JSON side file; empty if there is none."""
    side_file = file.with_suffix(".json")
    about = checkpoints.read_json(side_file) if side_file.is_file() else None
    return about if isinstance(about, dict) and {"family", "config"} <= about.keys() else {}
