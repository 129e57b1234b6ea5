"""Pictures to be compared by eye: validation images as they are, and upscaled by bicubic and by networks.

Of each image there is a copy of the whole, as WebP, and a crop, a small piece of it, to the last bit, as PNG.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from autocompress.data.images import png, read_image, webp
from autocompress.data.sources import ImagePair
from autocompress.evaluation.metrics import psnr_y
from autocompress.evaluation.records import MOST_TO_TEACHER
from autocompress.evaluation.scores import Image, Upscaler
from autocompress.io import atomic, cache
from autocompress.io.checksums import digest_of, is_known
from autocompress.io.typed import checked, reading
from autocompress.names import name_bytes
from autocompress.progress import OnDone, untold
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.student import read_student
from autocompress.units import quantity

SIDE = 192  # HR pixels, where the image has as many
IMAGES = 4
MOST = 640 * 480  # pixels of a copy of a whole image; larger images are shrunk
FORMAT = 2  # goes into the cache key: raise it when other pieces are chosen or files are named otherwise
INDEX = "crops.json"
CROPS = "crops"  # in the run folder

# of the picture with crops side by side
GAP = 6  # pixels between the pieces and around them
LABEL = 18  # pixels of height
FAST = 3  # level of zlib: takes a quarter of the time of the best level, for 7 % more bytes
LEAST = 160  # pixels of width; smaller pieces are enlarged by repeating pixels, so that labels fit


@dataclass(frozen=True)
class Crop:
    """A piece of the validation image of this name, in HR pixels; `number` is in the names of its files.

    `image_height` and `image_width` are those of the whole image, which crops of older versions do not say.
    """

    number: int
    image: str
    top: int
    left: int
    height: int
    width: int
    image_height: int | None = None
    image_width: int | None = None

    def of(self, image: Image) -> Image:
        """Cut this piece out of an HR image (H, W, 3)."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Pieces:
    """The crops of a run as files in `folder`: of the ground truth, and as upscaled by each of `names`.

    `psnr_y` are, by these names, PSNR-Y in dB of each crop's whole image; those of older versions have none. Nor have
    they copies of whole images. In a run folder `digests` are those of the files, by their names, and `valid` and
    `teachers` (by name) are those of what the pictures are of and by, as config.json has them; older runs have none.
    """

    folder: Path
    crops: tuple[Crop, ...]
    names: tuple[str, ...]  # bicubic and teachers
    psnr_y: Mapping[str, list[float]] = field(default_factory=dict)
    digests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    valid: str | None = None
    teachers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Pieces | None:
        """Read the crops of a folder; RunError if their index is damaged."""
        index = folder / INDEX
        if not index.is_file():
            return None
        remedy = f"restore it, or remove {folder}"
        with reading(index, "no index of crops", remedy):
            content = atomic.read_json(index, remedy)
            crops, names = tuple(Crop(**crop) for crop in content["crops"]), tuple(content["names"])
            digests = {name: tuple(known) for name, known in content.get("digests", {}).items()}
            own = content.get("valid"), content.get("teachers", {})
            return checked(cls(folder, crops, names, content.get("psnr_y", {}), digests, *own))

    def write_index(self) -> None:
        """Write the index; to be called when all files are written."""
        content: dict[str, Any] = {"crops": [asdict(crop) for crop in self.crops], "names": self.names}
        content["psnr_y"] = dict(self.psnr_y)
        if self.digests:
            content |= {"digests": dict(self.digests), "valid": self.valid, "teachers": dict(self.teachers)}
        atomic.write_json(self.folder / INDEX, content)

    def truth(self, crop: Crop) -> Path:
        """The file with the ground truth of a crop."""
        return self.folder / f"{crop.number}-truth.png"

    def file(self, crop: Crop, name: str) -> Path:
        """The file with a crop as upscaled by one of `names`."""
        return self.folder / f"{crop.number}-{self.names.index(name)}.png"

    def has(self, file: Path) -> bool:
        """Whether a crop's file is there, and it and the copy of the whole image are as they were written."""
        return file.is_file() and not changed_of(file, self.digests)

    def of_student(self, image: str, sr: Image) -> dict[str, bytes]:
        """The files with `sr`, a student's, by name: its crops and a copy of it; none where no crop is of `image`."""
        files = [_files(student_crop(Path(), crop), crop, sr) for crop in self.crops if crop.image == image]
        return {file.name: content for of_crop in files for file, content in of_crop.items()}

    def keep(self, image: str, sr: Image, folder: Path) -> dict[str, tuple[str, ...]]:
        """Write the files `of_student` to `folder`; returns their digests by name, as student.json has them."""
        files = self.of_student(image, sr)
        for name, content in files.items():
            atomic.write_bytes(folder / name, content)
        return {name: (digest_of(content),) for name, content in files.items()}


def whole(crop_file: Path) -> Path:
    """The file with a copy of the whole image that a crop's file is a piece of."""
    return crop_file.with_suffix(".webp")


def _files(file: Path, crop: Crop, image: Image) -> dict[Path, bytes]:
    """What is to be written of an image: the copy of the whole of it, and the crop of it, to `file`."""
    return {whole(file): webp(image, MOST), file: png(crop.of(image))}


def _write(file: Path, crop: Crop, image: Image) -> None:
    for path, content in _files(file, crop, image).items():
        atomic.write_bytes(path, content)


def changed_of(file: Path, digests: Mapping[str, tuple[str, ...]]) -> list[Path]:
    """Of a crop's file and the copy of its whole image, those that are there, but with a content of no digest."""
    return [path for path in (file, whole(file)) if path.is_file() and not is_known(path, digests)]


def student_crop(folder: Path, crop: Crop) -> Path:
    """The file of a crop as upscaled by a trial's student, in its folder; trials of older versions have none."""
    return folder / f"crop-{crop.number}.png"


def has_student_crop(folder: Path, crop: Crop) -> bool:
    """Whether a trial's folder has a crop by its student, in files of which its student.json has the digests."""
    return student_crop(folder, crop).is_file() and not changed_of_student(folder, crop)


def changed_of_student(folder: Path, crop: Crop) -> list[Path]:
    """The files of a crop in a trial's folder of whose content its student.json has no digest."""
    known = _pictures(folder)
    while changed := changed_of(student_crop(folder, crop), known):
        now = _pictures(folder)
        if now == known:
            return changed
        known = now  # a refinement has written both since
    return []


def _pictures(folder: Path) -> Mapping[str, tuple[str, ...]]:
    student = read_student(folder)
    return {} if student is None else student.pictures


def crops_of(run: RunFolder) -> Pieces | None:
    """The crops of a run; None where an older version made it, and where they are another run's."""
    return None if are_of_another_run(run) else Pieces.read(run.path / CROPS)


def are_of_another_run(run: RunFolder) -> bool:
    """Whether the crops in a run's folder are of other images, or by other teachers, than those of its config.json."""
    pieces = Pieces.read(run.path / CROPS)
    if pieces is None or pieces.valid is None or not run.exists():
        return False
    search = run.config.search
    # a bad file may have anything there
    teachers = [space["teacher"] for space in search.spaces.values() if "teacher" in space]
    return pieces.valid != search.valid or any(teacher not in pieces.teachers.values() for teacher in teachers)


def copy_crops(pieces: Pieces, run: RunFolder, digests: Mapping[str, str], valid: str) -> None:
    """Copy crops into the run folder, unless it has some already.

    `digests` are those of the teachers, by name, and `valid` that of the validation images. A run keeps its first
    crops, because the students of its earlier sessions were cut at these places.
    """
    if crops_of(run) is not None:
        return
    before = {name: name for name in pieces.names if name not in digests.values()}
    before |= {name: digest for name, digest in digests.items() if digest in pieces.names}
    names = sorted(before, key=lambda name: pieces.names.index(before[name]))
    psnr = {name: pieces.psnr_y[before[name]] for name in names if before[name] in pieces.psnr_y}
    copy, written = Pieces(run.path / CROPS, pieces.crops, tuple(names), psnr), dict[str, tuple[str, ...]]()
    for crop in pieces.crops:
        files = {copy.truth(crop): pieces.truth(crop)}
        files |= {copy.file(crop, name): pieces.file(crop, before[name]) for name in names}
        files |= {whole(target): whole(source) for target, source in files.items()}
        for target, source in files.items():
            content = source.read_bytes()
            atomic.write_bytes(target, content)
            written[target.name] = (digest_of(content),)
    replace(copy, digests=written, valid=valid, teachers=digests).write_index()


def side_by_side(pieces: Pieces, trial: Path, teacher: str) -> bytes | None:
    """A PNG file's content: the first crop by the student in the folder `trial`, its teacher, as it is, and by bicubic.

    Without those that are not there or were changed; None where that is the student's, as in runs of older versions.
    """
    crop = next(iter(pieces.crops), None)
    if crop is None:
        return None
    if not has_student_crop(trial, crop):
        return None
    references = {
        **({"teacher": pieces.file(crop, teacher)} if teacher in pieces.names else {}),
        "ground truth": pieces.truth(crop),
        "bicubic": pieces.file(crop, "bicubic"),
    }
    files = {"student": student_crop(trial, crop)}
    files |= {label: file for label, file in references.items() if pieces.has(file)}
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
    valid: Sequence[ImagePair],
    valid_key: str,
    scale: int,
    bicubic: Upscaler,
    teachers: Mapping[str, Upscaler],
    report: OnDone = untold,
) -> Pieces:
    """For each of the first IMAGES images the piece that the first teacher improves most over bicubic; cached.

    `report` is told how many images are done, of how many.
    """

    def build(folder: Path) -> None:
        upscalers = {"bicubic": bicubic, **teachers}
        psnr: dict[str, list[float]] = {name: [] for name in upscalers}
        crops = []
        for number, pair in enumerate(valid[:IMAGES]):
            upscaled = {name: upscale(pair.lr) for name, upscale in upscalers.items()}
            before, after = (_squares(upscaled[name], pair.hr) for name in list(upscalers)[:2])
            crop = Crop(number, pair.name, *_largest(before - after, scale), *pair.hr.shape[:2])
            pieces = Pieces(folder, (crop,), tuple(upscalers))
            _write(pieces.truth(crop), crop, pair.hr)
            for name, image in upscaled.items():
                _write(pieces.file(crop, name), crop, image)
                psnr[name].append(min(psnr_y(image, pair.hr, border=scale), MOST_TO_TEACHER))
            crops.append(crop)
            report(len(crops), min(IMAGES, len(valid)))
        Pieces(folder, tuple(crops), tuple(upscalers), psnr).write_index()

    names = hashlib.sha256(name_bytes("\n".join(teachers))).hexdigest()[:16]
    about = f"pieces of {quantity(len(valid), 'image')}"
    pieces = Pieces.read(cache.entry("crops", f"{names}-{valid_key}-{FORMAT}", build, about=about))
    assert pieces is not None  # the entry is complete
    return pieces


Window = tuple[int, int, int, int]  # top, left, height, width in HR pixels


def _largest(values: Any, scale: int) -> Window:
    """Of the pieces of an image, the one with the largest mean of `values` (H, W, 3)."""

    def mean(window: Window) -> float:
        top, left, height, width = window
        return float(values[top : top + height, left : left + width].mean())

    return max(_windows(values.shape[0], values.shape[1], scale), key=mean)


def _windows(rows: int, columns: int, scale: int) -> Iterable[Window]:
    """All pieces of an image, side by side at multiples of the scale; one piece if the image is smaller than that."""
    side = SIDE // scale * scale
    for top in range(0, max(1, rows - side + 1), side):
        for left in range(0, max(1, columns - side + 1), side):
            yield top, left, min(side, rows), min(side, columns)


def _squares(image: Image, other: Image) -> Any:
    return (image.astype(np.float32) - other.astype(np.float32)) ** 2
