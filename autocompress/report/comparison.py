"""The crops of a run for its page: each image once, as a data URI."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from autocompress.report.report_data import ReportData
from autocompress.search.run.crops import Crop, Pieces, crops_of, student_crop


def comparison(report: ReportData) -> dict[str, Any] | None:
    """The crops as upscaled by each student of the front and by what it is compared with; None if there are none.

    `crops` have `image`, `width` and `height`, `others` (by what they are called), and `students` (by trial).
    """
    pieces = crops_of(report.run)
    if pieces is None:
        return None
    crops = [_crop(report, pieces, crop) for crop in pieces.crops]
    shown = [crop for crop in crops if crop["students"]]
    return {"crops": shown} if shown else None


def _crop(report: ReportData, pieces: Pieces, crop: Crop) -> dict[str, Any]:
    files = {name if name == "bicubic" else f"teacher {name}": pieces.file(crop, name) for name in pieces.names}
    students = {trial: student_crop(report.run.trial(trial), crop) for trial in report.front["trial"].tolist()}
    return {
        "image": crop.image,
        "width": crop.width,
        "height": crop.height,
        "others": _embedded(files | {"ground truth": pieces.truth(crop)}),
        "students": _embedded(students),
    }


def _embedded(files: dict[Any, Path]) -> dict[str, str]:
    """Those of the files that exist, as data URIs."""
    return {
        str(name): f"data:image/png;base64,{b64encode(file.read_bytes()).decode()}"
        for name, file in files.items()
        if file.is_file()
    }
