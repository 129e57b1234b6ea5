"""Crops: small pieces of validation images to be compared by eye, as they are and upscaled by bicubic and networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from autocompress.data.images import png, read_image
from autocompress.data.sources import ImagePair
from autocompress.evaluation.scores import Image, Upscaler
from autocompress.io import cache, checkpoints
from autocompress.io.typed import checked, reading
from autocompress.names import name_bytes
from autocompress.search.run.folder import RunFolder

SIDE = 192  # HR pixels, where the image has as many
IMAGES = 4
HARDEST = 4  # pieces of an image, the hardest for bicubic, that the teacher upscales so that one can be chosen
CONTEXT = 32  # LR pixels around a piece that the network sees as well
FORMAT = 1  # goes into the cache key: raise it when other pieces are chosen or files are named otherwise
INDEX = "crops.json"
CROPS = "crops"  # in the run folder

# of the picture with crops side by side
GAP = 6  # pixels between the pieces and around them
LABEL = 18  # pixels of height
FAST = 3  # level of zlib: takes a quarter of the time of the best level, for 7 % more bytes
LEAST = 160  # pixels of width; smaller pieces are enlarged by repeating pixels, so that labels fit


@dataclass(frozen=True)
class Crop:
    """A piece of the validation image of this name, in HR pixels; `number` is in the names of its files."""

    number: int
    image: str
    top: int
    left: int
    height: int
    width: int

    def of(self, image: Image) -> Image:
        """Cut this piece out of an HR image (H, W, 3)."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Pieces:
    """The crops of a run as files in `folder`: of the ground truth, and as upscaled by each of `names`."""

    folder: Path
    crops: tuple[Crop, ...]
    names: tuple[str, ...]  # bicubic and teachers

    @classmethod
    def read(cls, folder: Path) -> Pieces | None:
        """Read the crops of a folder; RunError if their index is damaged."""
        index = folder / INDEX
        if not index.is_file():
            return None
        remedy = f"restore it, or remove {folder}"
        with reading(index, "no index of crops", remedy):
            content = checkpoints.read_json(index, remedy)
            return checked(cls(folder, tuple(Crop(**crop) for crop in content["crops"]), tuple(content["names"])))

    def write_index(self) -> None:
        """Write the index; to be called when all files are written."""
        content = {"crops": [asdict(crop) for crop in self.crops], "names": self.names}
        checkpoints.write_json(self.folder / INDEX, content)

    def truth(self, crop: Crop) -> Path:
        """The file with the ground truth of a crop."""
        return self.folder / f"{crop.number}-truth.png"

    def file(self, crop: Crop, name: str) -> Path:
        """The file with a crop as upscaled by one of `names`."""
        return self.folder / f"{crop.number}-{self.names.index(name)}.png"

    def keep(self, image: str, sr: Image, folder: Path) -> None:
        """If `image` is one that crops are of, cut them out of `sr`, a student's upscaled version, into `folder`."""
        for crop in self.crops:
            if crop.image == image:
                checkpoints.write_bytes(student_crop(folder, crop), png(crop.of(sr)))


def student_crop(folder: Path, crop: Crop) -> Path:
    """The file of a crop as upscaled by a trial's student, in its folder; trials of older versions have none."""
    return folder / f"crop-{crop.number}.png"


def crops_of(run: RunFolder) -> Pieces | None:
    """The crops of a run; None where an older version made it."""
    return Pieces.read(run.path / CROPS)


def copy_crops(pieces: Pieces, run: RunFolder, digests: Mapping[str, str]) -> None:
    """Copy crops into the run folder, unless it has some already; `digests` are those of the teachers, by name.

    A run keeps its first crops, because the students of its earlier sessions were cut at these places.
    """
    if crops_of(run) is not None:
        return
    before = {name: name for name in pieces.names if name not in digests.values()}
    before |= {name: digest for name, digest in digests.items() if digest in pieces.names}
    names = sorted(before, key=lambda name: pieces.names.index(before[name]))
    copy = Pieces(run.path / CROPS, pieces.crops, tuple(names))
    for crop in pieces.crops:
        checkpoints.write_bytes(copy.truth(crop), pieces.truth(crop).read_bytes())
        for name in names:
            checkpoints.write_bytes(copy.file(crop, name), pieces.file(crop, before[name]).read_bytes())
    copy.write_index()


def side_by_side(pieces: Pieces, trial: Path, teacher: str) -> bytes | None:
    """A PNG file's content: the first crop by the student in the folder `trial`, its teacher, as it is, and by bicubic.

    Without a teacher by which there is no crop; None where there is none by the student, as in runs of older versions.
    """
    crop = next(iter(pieces.crops), None)
    if crop is None or not student_crop(trial, crop).is_file():
        return None
    files = {
        "student": student_crop(trial, crop),
        **({"teacher": pieces.file(crop, teacher)} if teacher in pieces.names else {}),
        "ground truth": pieces.truth(crop),
        "bicubic": pieces.file(crop, "bicubic"),
    }
    times = max(1, -(-LEAST // crop.width))
    width, height = times * crop.width, times * crop.height
    canvas = PILImage.new("RGB", (GAP + len(files) * (width + GAP), LABEL + height + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    for place, (label, file) in enumerate(files.items()):
        left = GAP + place * (width + GAP)
        draw.text((left, LABEL // 2), label, fill="black", font=font, anchor="lm")
        shown = read_image(file).repeat(times, axis=0).repeat(times, axis=1)
        canvas.paste(PILImage.fromarray(shown), (left, LABEL))
    content = BytesIO()
    canvas.save(content, format="PNG", compress_level=FAST)
    return content.getvalue()


def make_crops(
    valid: Sequence[ImagePair], valid_key: str, scale: int, bicubic: Upscaler, teachers: Mapping[str, Upscaler]
) -> Pieces:
    """For each of the first IMAGES images the piece that the first teacher improves most over bicubic; cached."""

    def build(folder: Path) -> None:
        upscalers = {"bicubic": bicubic, **teachers}
        crops = []
        for number, pair in enumerate(valid[:IMAGES]):
            top, left, height, width = _most_improved(pair, scale, bicubic, next(iter(teachers.values())))
            crop = Crop(number, pair.name, top, left, height, width)
            pieces = Pieces(folder, (crop,), tuple(upscalers))
            checkpoints.write_bytes(pieces.truth(crop), png(crop.of(pair.hr)))
            for name, upscale in upscalers.items():
                piece = _piece(pair, scale, upscale, (top, left, height, width))
                checkpoints.write_bytes(pieces.file(crop, name), png(piece))
            crops.append(crop)
        Pieces(folder, tuple(crops), tuple(upscalers)).write_index()

    names = hashlib.sha256(name_bytes("\n".join(teachers))).hexdigest()[:16]
    about = f"pieces of {len(valid)} images"
    pieces = Pieces.read(cache.entry("crops", f"{names}-{valid_key}-{FORMAT}", build, about=about))
    assert pieces is not None  # the entry is complete
    return pieces


Window = tuple[int, int, int, int]  # top, left, height, width in HR pixels


def _most_improved(pair: ImagePair, scale: int, bicubic: Upscaler, teacher: Upscaler) -> Window:
    """Of the pieces that are hardest for bicubic, the one whose mean square error the teacher lowers most."""
    error = _squares(bicubic(pair.lr), pair.hr)
    windows = sorted(_windows(pair, scale), key=lambda window: -_mean(error, window))[:HARDEST]

    def improvement(window: Window) -> float:
        top, left, height, width = window
        truth = pair.hr[top : top + height, left : left + width]
        return _mean(error, window) - float(_squares(_piece(pair, scale, teacher, window), truth).mean())

    return max(windows, key=improvement)


def _windows(pair: ImagePair, scale: int) -> Iterable[Window]:
    """All pieces of an image, side by side at multiples of the scale; one piece if the image is smaller than that."""
    rows, columns = pair.hr.shape[:2]
    side = SIDE // scale * scale
    for top in range(0, max(1, rows - side + 1), side):
        for left in range(0, max(1, columns - side + 1), side):
            yield top, left, min(side, rows), min(side, columns)


def _piece(pair: ImagePair, scale: int, upscale: Upscaler, window: Window) -> Image:
    """A window as upscaled by `upscale`, which also sees CONTEXT pixels around it."""
    top, left, height, width = window
    above, before = min(top // scale, CONTEXT), min(left // scale, CONTEXT)
    rows = slice(top // scale - above, (top + height) // scale + CONTEXT)
    columns = slice(left // scale - before, (left + width) // scale + CONTEXT)
    sr = upscale(np.ascontiguousarray(pair.lr[rows, columns]))
    return sr[above * scale : above * scale + height, before * scale : before * scale + width]


def _squares(image: Image, other: Image) -> Any:
    return (image.astype(np.float32) - other.astype(np.float32)) ** 2


def _mean(squares: Any, window: Window) -> float:
    top, left, height, width = window
    return float(squares[top : top + height, left : left + width].mean())
