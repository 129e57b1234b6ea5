"""One picture of what a student does to a piece of an image, beside its teacher, the ground truth and bicubic."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from autocompress.data.images import read_image
from autocompress.search.run.crops import Pieces, student_crop

GAP = 6  # pixels between the pieces and around them
LABEL = 18  # pixels of height
FAST = 3  # of zlib's levels: a quarter of the best one's time, for 7 % more bytes
LEAST = 160  # pixels of width: smaller pieces are enlarged by repeating pixels, so that labels fit


def side_by_side(pieces: Pieces, trial: Path, teacher: str) -> bytes | None:
    """A PNG file's content: the student in the folder `trial`, its teacher, the ground truth and bicubic, labelled.

    Of the first crop, without a teacher that it does not know; None where the student has none, as in runs of older
    versions.
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
    canvas = Image.new("RGB", (GAP + len(files) * (width + GAP), LABEL + height + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    for place, (label, file) in enumerate(files.items()):
        left = GAP + place * (width + GAP)
        draw.text((left, LABEL // 2), label, fill="black", font=font, anchor="lm")
        shown = read_image(file).repeat(times, axis=0).repeat(times, axis=1)
        canvas.paste(Image.fromarray(shown), (left, LABEL))
    content = BytesIO()
    canvas.save(content, format="PNG", compress_level=FAST)
    return content.getvalue()
