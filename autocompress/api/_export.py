"""`export`: students as files that other code loads."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._named import check_named
from autocompress.errors import InvalidInput
from autocompress.export.formats import Format, Quantise, Wanted
from autocompress.export.hub import check_repository, push
from autocompress.io import package_files
from autocompress.io.arguments import typed_arguments
from autocompress.io.inputs import find_network
from autocompress.io.outputs import check_file, check_folder
from autocompress.progress import tell_if_long

if TYPE_CHECKING:
    from autocompress.data.sources import ImageSource
    from autocompress.search.run.folder import RunFolder


@dataclass(frozen=True)
class _Images:
    """The images for int8 that were given, and whether networks are to be trained."""

    train: Path | None
    val: Path | None
    qat: bool

    def check_unused(self) -> None:
        """Raise InvalidInput if anything of this was given."""
        for flag, given in {"--train": self.train, "--val": self.val, "--qat": self.qat or None}.items():
            if given is not None:
                raise InvalidInput(f"{flag} is for int8; add --format {Format.ONNX_INT8}, or leave {flag} out")

    def of_file(self, scale: int) -> Quantise:
        """With those, or the embedded photographs."""
        from autocompress.distill.distillation import open_training_images, open_validation_images
        from autocompress.distill.quantisation import RECIPE

        train = open_training_images(self.train, scale, RECIPE)
        return self._with(train, open_validation_images(self.val, scale))

    def of_run(self, run: RunFolder) -> Quantise:
        """With those, or the run's own; RunError where these are not recorded, InvalidInput where they are gone."""
        from autocompress.distill.quantisation import RECIPE
        from autocompress.search.running import recorded_settings
        from autocompress.search.task import open_images

        settings = recorded_settings(run)
        settings = replace(settings, train=self.train or settings.train, val=self.val or settings.val)
        return self._with(*open_images(settings, run.config.scale, RECIPE.patch_size))

    def _with(self, train: ImageSource, valid: ImageSource) -> Quantise:
        from autocompress.compute.probing import choose
        from autocompress.distill.quantisation import Quantiser

        used = choose(tell_if_long(_tell, "choosing the arithmetic"))
        return Quantiser(train, valid, self.qat, _tell, used)


@typed_arguments
def export(
    source: str | Path,
    out: str | Path,
    *,
    format: str | Sequence[str] = Format.SAFETENSORS.value,
    trial: int | str | None = None,
    opset: int | None = None,
    shape: str | None = None,
    train: str | Path | None = None,
    val: str | Path | None = None,
    qat: bool = False,
    hub: str | None = None,
    **overrides: Any,
) -> list[Path]:
    """Write students into the folder `out`, each with a JSON side file and a model card; returns the files of weights.

    source: a run folder, of which the whole front is written with an index beside it, one student's file, or the name
        of a network that ships.
    format: safetensors, safetensors-fp16 (half the size; computed in float32 all the same), pth as BasicSR loads it,
        onnx, onnx-fp16 (computed in float16), onnx-int8, ncnn, or pt2 (a program of torch.export); one or several.
    trial: of a run, this trial's student alone; or `pick`, the best.
    opset: the version of ONNX's operators, 13 to 18. None: 18.
    shape: height and width of the only LR images that ONNX and pt2 files take, such as "360x640". None: any size.
    train, val: for onnx-int8, folders of HR images to calibrate it on, and to score it on, beside float32. None: the
        run's own, or of a single file scikit-image's photographs.
    qat: of onnx-int8, train networks to be rounded (quantisation-aware) where more than 0.1 dB is lost.
    hub: push what was written to this model repository on the Hugging Face Hub, USER/REPO; made, private, if need be.

    Raises InvalidInput for what cannot be used, and ExportFailed where a network cannot be converted.
    """
    out = Path(out)
    wanted = Wanted.parse([format] if isinstance(format, str) else list(format), opset, shape)
    images = _Images(None if train is None else Path(train), None if val is None else Path(val), qat)
    if Format.ONNX_INT8 not in wanted.formats:
        images.check_unused()

    check_folder(out, "--out")
    check_named(codes=[overrides.get("code")], folders=[train, val])
    if hub is not None:
        check_repository(hub)
    files = _written(source, out, wanted, None if trial is None else str(trial), images, overrides)
    if hub is not None:
        _tell(f"pushing to {hub}")
        print(f"pushed to {push(files, hub)}", file=sys.stderr)
    return files


def _written(
    source: str | Path, out: Path, wanted: Wanted, trial: str | None, images: _Images, overrides: dict[str, Any]
) -> list[Path]:
    """Export what the source is: a run, a file, or a network that ships."""
    from autocompress.search.run.folder import RunFolder

    file = package_files.network_file(source) if isinstance(source, str) else None
    if file is not None or Path(source).is_file():
        if trial is not None:
            kind = "file" if file is None else "network that ships"
            raise InvalidInput(f"--trial is for a run folder, and {source} is a {kind}; leave --trial out")
        file = file or Path(source)
        return _export_file(file, out, wanted, images, overrides)
    if not Path(source).exists():
        known = ", ".join(package_files.networks())
        raise InvalidInput(
            f"{source}: no such folder or file, and no shipped network of that name; give the folder that "
            f"`autocompress search` printed, a student's file, or one of {known}"
        )
    if not Path(source).is_dir():
        find_network(str(source))  # raises what it is
    run = RunFolder.existing(Path(source))
    if run.is_own(out):
        raise InvalidInput(f"--out {out}: the run's own files are there; give another folder")

    from autocompress.networks import know_code
    from autocompress.search.results.changed_pictures import notes_of_files
    from autocompress.search.results.export import export_front, export_trial

    if (code := overrides.pop("code", None)) is not None:
        know_code(code, overrides.pop("set", None) or ())
    for name, value in overrides.items():
        if value is not None:
            flag = "--" + name.replace("_", "-")
            raise InvalidInput(f"{flag} is for a file from elsewhere, and students have none; leave it out")
    if Format.ONNX_INT8 in wanted.formats:
        wanted = replace(wanted, quantise=images.of_run(run))
    if trial is None:
        files = export_front(run, out, wanted, tell_if_long(_tell, "exporting the front"))
    else:
        files = export_trial(run, trial, out, wanted, tell_if_long(_tell, "exporting"))
    for note in notes_of_files(run):
        _tell(note)
    return files


def _export_file(file: Path, out: Path, wanted: Wanted, images: _Images, overrides: Mapping[str, Any]) -> list[Path]:
    """Export a single file; a run's student, which all are called the same there, as what it is."""
    from autocompress.export.files import export_file
    from autocompress.networks import describe, file_name, load
    from autocompress.search.run.student import WEIGHTS

    name = file.stem
    if file.name == WEIGHTS:
        described = describe(load(file, **overrides))
        name = file_name(*(described[key] for key in ("family", "config", "scale", "flops")))
    for ending in (f"{name}.json", *(format.file_name(name) for format in wanted.formats)):
        check_file(out / ending, "--out", "the file a shorter name")
    if Format.ONNX_INT8 in wanted.formats:
        wanted = replace(wanted, quantise=images.of_file(load(file, **overrides).scale))
    return export_file(file, name, out, wanted, overrides, tell_if_long(_tell, "exporting"))


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
