"""The pictures of a run for its page: validation images by bicubic, teachers and students, as data URIs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from autocompress.report.report_data import ReportData
from autocompress.search.run.crops import (
    MOST,
    Crop,
    Pieces,
    crops_of,
    has_student_crop,
    side_by_side,
    student_crop,
    whole,
)

LIMIT = 5_300_000  # bytes of all pictures: with these in base64, Plotly and all else, a page has less than 10 MB
TRUTH = "ground truth"


@dataclass(frozen=True)
class Layer:
    """One version of every image: `name` is what it is called, `crop` finds the file with its piece of an image.

    `has` says whether that is there, and as it was written. `psnr_y` is in dB by image; the truth has none.
    """

    name: str
    crop: Callable[[Crop], Path]
    has: Callable[[Crop], bool]
    psnr_y: dict[str, float]
    student: bool = False

    def files(self, crop: Crop) -> tuple[Path, Path | None] | None:
        """The files with a whole image and, where that was shrunk, with its piece to the last bit.

        None where nothing was kept, or it was changed since, and a piece alone where an older version kept no more.
        """
        piece, copy = self.crop(crop), whole(self.crop(crop))
        if not self.has(crop):
            return None
        if not copy.is_file() or (crop.image_height, crop.image_width) == (crop.height, crop.width):
            return piece, None
        shrunk = (crop.image_height or 0) * (crop.image_width or 0) > MOST
        return copy, piece if shrunk else None

    def size(self, crops: Iterable[Crop]) -> int:
        """In bytes."""
        files = [file for crop in crops for file in self.files(crop) or () if file is not None]
        return sum(file.stat().st_size for file in files)


def pictures(report: ReportData, limit: int = LIMIT) -> dict[str, Any] | None:
    """The images, each with its layers; None where the run kept none.

    Layers are the truth, bicubic, the teachers, and the students of the front, the pick first; then other students, the
    best first. Images are left out where these are too large for a page, of more bytes than `limit`, and then other
    students.
    """
    pieces = crops_of(report.run)
    if pieces is None:
        return None
    layers, others = _references(pieces), list[Layer]()
    for layer, on_front in _students(report):
        (layers if on_front else others).append(layer)
    crops = list(pieces.crops)
    while len(crops) > 1 and sum(layer.size(crops) for layer in layers) > limit:
        crops.pop()
    room, left_out = limit - sum(layer.size(crops) for layer in layers), 0
    for layer in others:
        size = layer.size(crops)
        if size <= room:
            layers.append(layer)
            room -= size
        else:
            left_out += 1
    shown = [layer for layer in layers if any(layer.files(crop) for crop in crops)]
    students = [layer.name for layer in shown if layer.student]
    if not students:
        return None
    return {
        "images": [_image(crop, shown) for crop in crops],
        "references": [layer.name for layer in shown if not layer.student],
        "students": students,
        "left_out": {"images": len(pieces.crops) - len(crops), "students": left_out},
    }


def strip(report: ReportData, trial: int) -> str | None:
    """One picture for where no script runs: a piece by a trial's student, its teacher, as it is, and by bicubic."""
    pieces = crops_of(report.run)
    if pieces is None:
        return None
    content = side_by_side(pieces, report.run.trial(trial), report.config.teacher.name)
    return None if content is None else _data_uri("png", content)


def student_name(trial: int) -> str:
    """What a student's layer is called."""
    return f"trial {trial}"


def _references(pieces: Pieces) -> list[Layer]:
    def layer(title: str, find: Callable[[Crop], Path], psnr: dict[str, float]) -> Layer:
        return Layer(title, find, cache(lambda crop: pieces.has(find(crop))), psnr)

    layers = [layer(TRUTH, pieces.truth, {})]
    for name in pieces.names:
        psnr = dict(zip((crop.image for crop in pieces.crops), pieces.psnr_y.get(name, ()), strict=False))
        title = name if name == "bicubic" else f"teacher {name}"
        layers.append(layer(title, partial(pieces.file, name=name), psnr))
    return layers


def _students(report: ReportData) -> list[tuple[Layer, bool]]:
    """With whether they are on the front, in the order in which they are to be shown."""
    pick = None if report.pick is None else report.pick["trial"]
    ordered = sorted(report.rows, key=lambda row: (row["trial"] != pick, -row["psnr_y"]))
    found = []
    for row in ordered:
        student = report.stored[row["trial"]]
        folder, psnr = student.file.parent, dict(student.psnr_y_by_image or {})
        crop_file, has = partial(student_crop, folder), partial(has_student_crop, folder)
        layer = Layer(student_name(row["trial"]), crop_file, cache(has), psnr, student=True)
        found.append((layer, bool(row["on_front"])))
    return found


def _image(crop: Crop, layers: Iterable[Layer]) -> dict[str, Any]:
    """An image with its size in HR pixels, where its piece is, and its layers."""
    height, width = crop.image_height, crop.image_width
    window = [crop.left, crop.top, crop.width, crop.height]
    if height is None or width is None:
        height, width, window = crop.height, crop.width, [0, 0, crop.width, crop.height]
    return {
        "name": crop.image,
        "width": width,
        "height": height,
        "window": window,
        "layers": {
            layer.name: {
                "whole": _embedded(files[0]),
                "piece": None if files[1] is None else _embedded(files[1]),
                "psnr": layer.psnr_y.get(crop.image),
            }
            for layer in layers
            if (files := layer.files(crop)) is not None
        },
    }


def _embedded(file: Path) -> str:
    return _data_uri(file.suffix[1:], file.read_bytes())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode()}"
