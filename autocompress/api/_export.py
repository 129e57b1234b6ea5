"""`export`: students as files that other code loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput
from autocompress.export.formats import Format, check_formats


def export(
    source: str | Path,
    out: str | Path,
    *,
    format: str | Sequence[str] = Format.SAFETENSORS.value,
    trial: int | str | None = None,
    fp16: bool = False,
    **overrides: Any,
) -> list[Path]:
    """Write students into the folder `out`, each with a JSON side file and a model card; returns the files of weights.

    source: a run folder, of which the whole front is written with an index beside it, one student's file, or the name
        of a network that ships.
    format: safetensors, pth as BasicSR loads it, onnx, or pt2 (a program of torch.export); one or several.
    trial: of a run, this trial's student alone; or `pick`, the best.
    fp16: safetensors of half the size, which are computed in float32 all the same.

    Raises InvalidInput for what cannot be used, and ExportFailed where a network cannot be converted.
    """
    out = Path(out)
    formats = [format] if isinstance(format, str) else list(format)
    check_formats(formats, fp16)

    from autocompress.export.files import export_file
    from autocompress.io import package_files
    from autocompress.networks import know_code
    from autocompress.search.results.export import export_front, export_trial
    from autocompress.search.run.folder import RunFolder

    file = package_files.network_file(source) if isinstance(source, str) else None
    if file is not None or Path(source).is_file():
        if trial is not None:
            kind = "file" if file is None else "network that ships"
            raise InvalidInput(f"--trial is for a run folder, and {source} is a {kind}; leave --trial out")
        file = file or Path(source)
        return export_file(file, file.stem, out, formats, overrides, fp16)
    if not Path(source).exists():
        known = ", ".join(package_files.networks())
        raise InvalidInput(
            f"{source}: no such folder or file, and no shipped network of that name; give the folder that "
            f"`autocompress search` printed, a student's file, or one of {known}"
        )
    run = RunFolder.existing(Path(source))
    if (code := overrides.pop("code", None)) is not None:
        know_code(code, overrides.pop("set", None) or ())
    for name, value in overrides.items():
        if value is not None:
            flag = "--" + name.replace("_", "-")
            raise InvalidInput(f"{flag} is for a file from elsewhere, and students have none; leave it out")
    if trial is None:
        return export_front(run, out, formats, fp16)
    return export_trial(run, str(trial), out, formats, fp16)
