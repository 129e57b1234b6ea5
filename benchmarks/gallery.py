"""Writes docs/gallery.md and its pictures: five searches, each a command, its front, and a piece of a photograph.

    python benchmarks/gallery.py --weights WEIGHTS --folder FOLDER [--only edsr]

WEIGHTS has rlfn_x2.pth and rlfn_x4.pth, as their authors publish them (bytedance/RLFN). The commands run in FOLDER, in
which a search that is done is not run again; an hour on two cores, most of it SwinIR's. All pictures are of NASA's
photograph of Eileen Collins, which scikit-image has in its wheel. Needs the extra `png` and its browser. With `--only`
the page keeps its other sections.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from autocompress.data import bicubic
from autocompress.data.embedded import embedded
from autocompress.data.images import read_image
from autocompress.report import ReportData, front_png
from autocompress.search import RunFolder
from autocompress.search.results.columns import columns_of
from autocompress.search.results.rows import Row, front_rows, pick
from autocompress.search.results.status import status
from autocompress.search.run.crops import crops_of, student_crop

ROOT = Path(__file__).parents[1]
PAGE, PICTURES = ROOT / "docs" / "gallery.md", ROOT / "docs" / "images"
PUBLISHED = ROOT / "tests" / "helpers" / "sr_networks.py"  # RLFN as its authors name its tensors
SHARP = '''class SharpRLFN(RLFN):
    """RLFN, whose images are sharpened."""

    def forward(self, x):
        y = super().forward(x)
        return y + 1.5 * (y - F.avg_pool2d(F.pad(y, (2, 2, 2, 2), mode="reflect"), 5, stride=1))
'''
SHOWN = ("student", "PSNR-Y dB", "FLOPs", "params", "of teacher")
FRONT_SIZE = (800, 450)
PIECE = (86, 148, 150, 196)  # of the photograph's first crop: the badge
TIMES, GAP, LABEL = 4, 8, 24  # pixels of each pixel, between the pieces, and of a label's height
MOST_BYTES = 150_000  # of a picture


@dataclass(frozen=True)
class Search:
    """A search of the gallery: the name of its pictures, its run's folder in FOLDER, and what the page says of it."""

    name: str
    run: str
    title: str
    text: str
    command: str
    code: str = ""


OWN = "--code rlfn.py:RLFN --input-range 255"
SEARCHES = (
    Search(
        "edsr",
        "runs/edsr-20G-seed0",
        "EDSR",
        "The default search: students of the shipped EDSR-baseline, which BasicSR loads.",
        "autocompress search --budget-flops 20G",
    ),
    Search(
        "swinir",
        "runs/swinir-30G-seed0",
        "SwinIR",
        "Transformers shrink in the same way: heads, channels, blocks and layers. The official SwinIR loads the "
        "students.",
        "autocompress search --space swinir --budget-flops 30G",
    ),
    Search(
        "rlfn",
        "runs/rlfn",
        "RLFN, by its weights and code",
        "The package knows nothing of RLFN (Kong et al. 2022) but what its code says; a short search, of 60 steps a "
        "student.",
        f"autocompress search --teacher rlfn_x2.pth {OWN} --set upscale=2 --budget-flops 30G --trials 6 --steps 60 "
        "--out runs/rlfn",
    ),
    Search(
        "sharp",
        "runs/sharp",
        "A teacher that is meant to please the eye",
        "What a GAN makes looks sharp, and has a PSNR below bicubic's: the truth says nothing of its students. "
        "`--score teacher` chooses by PSNR to "
        "the teacher's images instead, and with `--lr only` nobody needs a truth at all: `photographs` and "
        "`portrait` hold images as a camera gives them. "
        "This teacher stands for a GAN: it is RLFN with sharpening after it, in `rlfn.py` below RLFN itself. PSNR "
        "here is to its images.",
        "autocompress search --teacher rlfn_x2.pth --code rlfn.py:SharpRLFN --input-range 255 --set upscale=2 "
        "--train photographs --val portrait "
        "--lr only --score teacher --budget-flops 30G --trials 6 --steps 60 --out runs/sharp",
        SHARP,
    ),
    Search(
        "x4",
        "runs/rlfn-x4",
        "Four times as large",
        "The scale is the teacher's; FLOPs are for an output of 1280x720 as always. RLFN for x4, again for 60 steps "
        "a student.",
        f"autocompress search --teacher rlfn_x4.pth {OWN} --set upscale=4 --budget-flops 8G --trials 8 --steps 60 "
        "--out runs/rlfn-x4",
    ),
)


def prepare(folder: Path, weights: Path) -> None:
    """Put what the commands name into the folder where they run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("rlfn_x2.pth", "rlfn_x4.pth"):
        shutil.copy(weights / name, folder / name)
    (folder / "rlfn.py").write_text(f"{PUBLISHED.read_text(encoding='utf-8')}\n\n{SHARP}", encoding="utf-8")
    for name, source in (("photographs", embedded("train", 2)), ("portrait", embedded("valid", 2))):
        (folder / name).mkdir(exist_ok=True)
        for file in source.files:
            if name == "photographs" or file.name == "astronaut":
                image = read_image(file.hr)
                height, width = (side // 2 * 2 for side in image.shape[:2])
                lr = bicubic.downscale(image[:height, :width], 2)
                Image.fromarray(lr).save(folder / name / f"{file.name}.png")


def is_done(run: Path) -> bool:
    """Whether a search has ended there."""
    return (run / "config.json").is_file() and status(RunFolder.existing(run))["trials"].get("waiting") == 0


def section(search: Search, folder: Path) -> str:
    """What the page has of a search that is done; writes its pictures."""
    run = RunFolder.existing(folder / search.run)
    report, rows = ReportData.of(run), front_rows(run)
    best = pick(rows)
    sizes = [write(f"gallery-{search.name}-front.png", front_png(report), FRONT_SIZE)]
    sizes.append(write(f"gallery-{search.name}.png", beside(run, best)))
    print(f"{search.name}: {len(rows)} on the front, pictures of {sizes} bytes", flush=True)
    columns = [column for column in columns_of(rows, run.config) if column.heading in SHOWN]
    table = [["trial", *(column.heading for column in columns)], ["---"] * (len(columns) + 1)]
    for row in rows:
        cells = [column.text(row) for column in columns]
        is_pick = row["trial"] == best["trial"]
        table.append([f"**{cell}**" if is_pick else cell for cell in (str(row["trial"]), *cells)])
    return "\n\n".join(
        [
            f"## {search.title}",
            search.text,
            *([f"```python\n{search.code}```"] if search.code else []),
            f"```\n{search.command}\n```",
            f"![The front: PSNR over FLOPs](images/gallery-{search.name}-front.png)",
            "\n".join(f"| {' | '.join(line)} |" for line in table),
            f"![The pick, its teacher and bicubic side by side](images/gallery-{search.name}.png)",
        ]
    )


def kept(search: Search) -> str:
    """The section as the page has it."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"## {search.title}\n")
    assert found
    text, _, _ = rest.partition("\n## ")
    return (found + text).strip()


def beside(run: RunFolder, best: Row) -> bytes:
    """A piece of the photograph in large pixels, as a PNG: by bicubic, the pick, its teacher, and as it is."""
    pieces = crops_of(run)
    assert pieces is not None
    crop = pieces.crops[0]
    assert crop.image == "astronaut"
    files = {
        "bicubic": pieces.file(crop, "bicubic"),
        f"student, {best['flops_share']:.0%} of the FLOPs": student_crop(run.trial(best["trial"]), crop),
        "teacher": pieces.file(crop, run.config.teacher.name),
    }
    if not run.config.search.by_teacher:  # whose truth is the teacher's image
        files["ground truth"] = pieces.truth(crop)
    left, top, right, bottom = PIECE
    width, height = TIMES * (right - left), TIMES * (bottom - top)
    canvas = Image.new("RGB", (GAP + len(files) * (width + GAP), LABEL + height + GAP), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=14)
    for place, (label, file) in enumerate(files.items()):
        x = GAP + place * (width + GAP)
        draw.text((x, LABEL // 2), label, fill="black", font=font, anchor="lm")
        canvas.paste(Image.open(file).crop(PIECE).resize((width, height), Image.Resampling.NEAREST), (x, LABEL))
    content = BytesIO()
    canvas.save(content, "PNG")
    return content.getvalue()


def write(name: str, content: bytes, size: tuple[int, int] | None = None) -> int:
    """Write a picture, in few colours where it is a chart and is made smaller; returns its number of bytes."""
    picture = Image.open(BytesIO(content)).convert("RGB")
    if size is not None:
        picture = picture.resize(size, Image.Resampling.LANCZOS).quantize(64)
    picture.save(PICTURES / name, optimize=True)
    written = (PICTURES / name).stat().st_size
    assert written <= MOST_BYTES, f"{name} has {written} bytes"
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=[search.name for search in SEARCHES])
    options = parser.parse_args()
    prepare(options.folder, options.weights)
    sections = []
    for search in SEARCHES:
        if options.only and search.name not in options.only:
            sections.append(kept(search))
            continue
        if not is_done(options.folder / search.run):
            subprocess.run([sys.executable, "-m", *shlex.split(search.command)], check=True, cwd=options.folder)
        sections.append(section(search, options.folder))
    head = (
        "# Gallery\n\nFive searches: the command of each, the front that it found, and a piece of NASA's photograph "
        "of Eileen Collins by the front's pick (in bold), by "
        "its teacher and by bicubic. Students learn from the photographs in scikit-image's wheel, so this shows what"
        " is possible in minutes, not how good "
        "students get. `rlfn.py` is RLFN's code, `rlfn_x2.pth` and `rlfn_x4.pth` its published weights, both from "
        "[its authors](https://github.com/bytedance/RLFN). The page is written by `benchmarks/gallery.py`."
    )
    PAGE.write_text("\n\n".join([head, *sections]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
