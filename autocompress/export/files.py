"""Students as files that other code loads, each with a JSON side file and a card that says what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autocompress.errors import CheckpointError, DiskFull, InvalidInput
from autocompress.export.card import card, program_flops, write_card
from autocompress.export.formats import OF_ONNX, Format, Wanted, all_parts
from autocompress.export.ncnn_files import write_ncnn
from autocompress.export.onnx_files import OnnxConverter
from autocompress.export.programs import write_program
from autocompress.io import atomic, checkpoints
from autocompress.io.overwriting import check_not_read, check_ours, is_card, is_side_file, weights_beside
from autocompress.io.typed import reading
from autocompress.networks import describe, family_of, load
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import has_finite_outputs
from autocompress.progress import OnDone, untold, watched

WITHOUT_CODE = (".onnx", ".param")  # of files that are not read by their side file, but told of in it
INT8 = "int8"  # in the side file of such a file: what `Wanted.quantise` tells of it


def export_network(
    network: SRNetwork,
    name: str,
    out: Path,
    format: str,
    about: Mapping[str, Any],
    wanted: Wanted | None = None,
    converter: OnnxConverter | None = None,
) -> Path:
    """Write one network with official key names, and with every setting folded into its tensors; returns the file.

    `pth` is one dict under `params`; it loads with strict=True in the official code, if that has such a network. ONNX
    and pt2 files need none of this package to run: see `write_onnx` and `write_program`; `wanted` says how they are.
    Of safetensors-fp16 `load` makes float32. `about` is written into the JSON side file. `converter` is that of the
    network as `for_export` makes it, for `wanted.opset`, where other formats use it too.
    """
    format = Format(format)
    wanted = wanted or Wanted((format,))
    family = family_of(network)
    plain = family.for_export(network)
    path = out / format.file_name(name)
    converter = converter or OnnxConverter(plain, wanted.opset)
    with writing_to(out):
        if format == Format.ONNX_INT8:
            if wanted.quantise is None:
                raise InvalidInput("onnx-int8 needs images to calibrate it on; `autocompress.api.export` finds them")
            content, told = wanted.quantise(plain, name, wanted.opset, wanted.shape, converter.model())
            atomic.write_bytes(path, content)
            about = {**about, INT8: told}
        elif format in OF_ONNX:
            converter.write(path, half=format == Format.ONNX_FP16, shape=wanted.shape)
        elif format == Format.PT2:
            write_program(plain, path, wanted.shape)
        elif format == Format.NCNN:
            write_ncnn(plain, path)
        elif format == Format.PTH:
            checkpoints.save_pth(path, family.official_tensors(plain))
        else:
            tensors, half = family.official_tensors(plain), format == Format.SAFETENSORS_FP16
            if half:
                _check_half(tensors, name)
            checkpoints.save_tensors(path, tensors, torch.float16 if half else torch.float32)
        atomic.write_json(path.with_suffix(".json"), _side_file(plain, about))
    return path


def _side_file(plain: SRNetwork, about: Mapping[str, Any]) -> dict[str, Any]:
    """What is told beside a file of a network as `for_export` makes it."""
    kept = {name: value for name, value in about.items() if name != "weights"}  # the digest of another file
    folded = program_flops(plain)
    return kept | describe(plain) | ({} if folded is None else {"program_flops": folded})


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
            raise InvalidInput(
                f"{name}: {key} has a weight of {largest:.3g}, too large for float16; take --format safetensors"
            )


def export_formats(
    network: SRNetwork,
    name: str,
    out: Path,
    wanted: Wanted,
    about: Mapping[str, Any],
    picture: bytes | None = None,
    report: OnDone = untold,
) -> list[Path]:
    """`export_network` in each format, and one card beside them, NAME.md; returns the files of weights.

    A `picture`, the content of a PNG file, becomes NAME.png, which the card shows. `report` is told how many formats
    are written, of how many.
    """
    converter = OnnxConverter(family_of(network).for_export(network), wanted.opset)
    written = (export_network(network, name, out, format, about, wanted, converter) for format in wanted.formats)
    files = list(watched(written, len(wanted.formats), report))
    about = {**about, INT8: int8_of(files)}
    with writing_to(out):
        shown = None if picture is None else out / f"{name}.png"
        if shown is not None and picture is not None:
            atomic.write_bytes(shown, picture)
        write_card(out / f"{name}.md", network, about, files, wanted, shown)
    return [part for file in files for part in all_parts(file)]


def int8_of(files: Sequence[Path]) -> Mapping[str, Any] | None:
    """What is told of the int8 file among these; None where there is none."""
    of_int8 = [file for file in files if file.name.endswith(Format.ONNX_INT8.file_name(""))]
    told: Mapping[str, Any] | None = atomic.read_json(of_int8[0].with_suffix(".json"))[INT8] if of_int8 else None
    return told


def export_file(
    file: Path,
    name: str,
    out: Path,
    wanted: Wanted,
    overrides: Mapping[str, Any] | None = None,
    report: OnDone = untold,
) -> list[Path]:
    """Export the network in a file (see `load`), with what its side file says of it."""
    return read_exported(file, name, wanted, overrides).write(out, wanted, report)


@dataclass(frozen=True)
class Exported:
    """A network that is read and can be exported; the rest is as for `export_formats`."""

    network: SRNetwork
    name: str
    about: Mapping[str, Any]
    picture: bytes | None
    source: Path

    def check(self, out: Path, wanted: Wanted) -> None:
        """Raise InvalidInput where writing it into the folder `out` would lose what is there.

        That is the file that it was read from, and files that are not ours. Other files of its name must be of the same
        network, as there is one side file for all of them.
        """
        files = [out / format.file_name(self.name) for format in wanted.formats]
        written = {part for file in files for part in all_parts(file)}
        for file in written:
            check_not_read(file, [self.source])
        check_ours(out / f"{self.name}.md", is_card, "a model card of autocompress")
        for file in files:
            side_file = file.with_suffix(".json")
            check_ours(side_file, is_side_file, "the side file of a network")
            beside = {*weights_beside(file), *(file.with_suffix(suffix) for suffix in WITHOUT_CODE)} - written
            others = sorted(other for other in beside if other.is_file())
            if others and not self._is_told(side_file, others):
                raise InvalidInput(
                    f"{others[0]}: is there, and is of another network than {file.name} will be (or of this one as it "
                    f"was, or read with other numbers), but {side_file.name} tells of both; give another folder with "
                    "--out, or move it away"
                )

    def _is_told(self, side_file: Path, others: Sequence[Path]) -> bool:
        """Whether what is said of other files of its name is what will be said of it."""
        plain = family_of(self.network).for_export(self.network)
        config = plain.config.to_dict()
        if not side_file.exists():  # only what was just read is known
            return config == self.network.config.to_dict() and all(other.samefile(self.source) for other in others)
        expected = {"family": plain.family, "config": config, "metrics": self.about.get("metrics")}
        told = atomic.read_json(side_file)
        return all(told.get(key) == json.loads(json.dumps(value)) for key, value in expected.items())

    def write(self, out: Path, wanted: Wanted, report: OnDone = untold) -> list[Path]:
        """Export it into the folder `out`; returns the files of weights. `report` is as for `export_formats`.

        Raises InvalidInput as `check` does.
        """
        self.check(out, wanted)
        return export_formats(self.network, self.name, out, wanted, self.about, self.picture, report)


def read_exported(
    file: Path,
    name: str,
    wanted: Wanted,
    overrides: Mapping[str, Any] | None = None,
    known: Mapping[str, Any] | None = None,
    picture: bytes | None = None,
) -> Exported:
    """The network in a file (see `load`), with what its side file says of it, and what else is `known`.

    All that can be refused before anything is written is: CheckpointError for a file that is none, and for a network
    whose outputs are not finite; InvalidInput for weights that a format cannot hold.
    """
    network = load(file, **(overrides or {}))
    if not has_finite_outputs(network):
        raise CheckpointError(
            f"{file}: the network makes values that are not finite (NaN or infinite) of an image; give the file of a "
            "trained network's weights, with the res_scale that it was trained with"
        )
    if Format.SAFETENSORS_FP16 in wanted.formats:
        family = family_of(network)
        _check_half(family.official_tensors(family.for_export(network)), name)
    side_file = file.with_suffix(".json")
    # found out now, not when the card is written
    what = "what it tells of the network is of another shape than what autocompress writes"
    with reading(side_file, what, raises=CheckpointError):
        about, more = _about(side_file), dict(known or {})
        provenance = about.get("provenance", {}) | more.pop("provenance", {})
        about |= more | ({"provenance": provenance} if provenance else {})
        card(name, network, about, [Format(format).file_name(name) for format in wanted.formats], wanted)
    return Exported(network, name, about, picture, file)


def _about(side_file: Path) -> dict[str, Any]:
    """The content of our own JSON side file; empty if there is none."""
    about = atomic.read_json(side_file) if side_file.is_file() else None
    return about if isinstance(about, dict) and {"family", "config"} <= about.keys() else {}
