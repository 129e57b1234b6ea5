"""Students beside what can be downloaded at the same cost: the command of each row, its scores, and what it took.

    python benchmarks/leading.py --weights DIR --train DIR --valid DIR --set5 DIR --set14 DIR --out DIR
        [--row 12.2G 21.2G] [--steps N] [--control share scratch]

DIR has published x2 weights: plainusrM.pth and PlainUSRS_Rep_x2.pth (PlainUSR-M and -S of icandle/PlainUSR, where the
first is called PlainUSRM_Rep_x2.pth), SMFANet_DIV2K_100w_x2SR.pth and SMFANet_plus_DIV2K_100w_x2SR.pth
(sunny2109/SMFANet, whose code is here in tests/helpers). Each row is one `autocompress distill` in a process of its
own, printed as it is typed; one that was killed goes on, one that is done is only scored again. A row without
training is a shipped student. Some rows train on scaled copies of the photographs as well, which are made in DIR of
--out first: photographs of half a megapixel or more at 0.75 and 0.5 of their size, smaller ones at 0.7, red, green
and blue in a random order; JPEG's artefacts are less in them, and they have what photographs of many megapixels have.
`--steps` is for all rows, in place of their own. Controls, at the same steps: `share` is without the teacher's term,
`scratch` from random weights, at the recipe's own learning rate. The validation images choose; Set5 and Set14 are
reported.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from autocompress import api, load
from autocompress.networks import family_of
from autocompress.networks.downloadable import downloadable

CODE = Path("tests") / "helpers"
TARGET = ["dim=48", "n_blocks=12", "upscaling_factor=2"]  # of SMFANet+
CONTROLS: dict[str, Sequence[str]] = {
    "": (),
    "share": ("--set", "teacher_share=0"),
    "scratch": ("--init", "scratch"),
}


@dataclass(frozen=True)
class Row:
    """A student of at most so many FLOPs, beside a network that can be downloaded, and the aim on the valid images."""

    beside: str
    aim: float
    teacher: str  # a file of --weights, or without steps the name of a shipped student
    counts: Sequence[str] = ()  # of the student, where it is smaller than its teacher
    rate: float = 0.0  # of learning: lower than the recipe's, which is for starts that are further away
    patches: Sequence[str] = ()  # where they are others than the recipe's
    steps: int = 0
    code: str = ""
    sizes: Sequence[str] = ()  # of the teacher, for its code
    copies: bool = False  # trained on scaled copies of the photographs, too


SMFANET = "sr_networks.py:SMFANet"
LARGE_PHOTOGRAPH = 500_000  # pixels
LARGE = ("patch_size=96", "batch_size=4")
ROWS = {
    "3.2G": Row("ECBSR-M4C16", 0.0, "edsr-x2-3g"),
    "10G": Row("ECBSR-M4C32", 0.05, "PlainUSRS_Rep_x2.pth", ("feat=28", "mid=15"), 1e-3, LARGE, 2000),
    "12.2G": Row("PlainUSR-S", 0.0, "PlainUSRS_Rep_x2.pth", (), 5e-5, LARGE, 400),
    "21.2G": Row("PlainUSR-S", 0.1, "plainusrM.pth", ("feat=36", "mid=30"), 1e-3, (), 4000, copies=True),
    "39G": Row(
        "SMFANet", 0.0, "SMFANet_DIV2K_100w_x2SR.pth", (), 2e-5, LARGE, 100,
        SMFANET, ("dim=36", "n_blocks=8", "upscaling_factor=2"), copies=True,
    ),
    "31G": Row(
        "PlainUSR-M", 0.1, "SMFANet_DIV2K_100w_x2SR.pth", ("dim=32",), 7e-4, LARGE, 4000,
        SMFANET, ("dim=36", "n_blocks=8", "upscaling_factor=2"), copies=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One training: a row, or a control of it."""

    limit: str
    row: Row
    control: str
    steps: int

    def command(self, options: argparse.Namespace, out: Path) -> list[str]:
        """What a user types."""
        row, target = self.row, options.weights / "SMFANet_plus_DIV2K_100w_x2SR.pth"
        words = ["autocompress", "distill", str(options.weights / row.teacher)]
        words += ["--code", str(CODE / row.code)] if row.code else []
        words += repeated("--code-set", row.sizes) + repeated("--set", row.counts)
        words += ["--set", f"learning_rate={row.rate}"] if self.control != "scratch" else []
        words += repeated("--set", row.patches)
        words += ["--target", str(target), "--target-code", str(CODE / SMFANET), *repeated("--target-set", TARGET)]
        train = with_copies(options.train, options.out / "train") if row.copies else options.train
        words += ["--train", str(train), "--train-pixels", "256M", "--val", str(options.valid)]
        return [*words, *CONTROLS[self.control], "--steps", str(self.steps), "--out", str(out)]


def repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def with_copies(photographs: Path, folder: Path) -> Path:
    """The folder, with the photographs and their scaled copies in it; made unless it is there."""
    if folder.exists():
        return folder
    made = folder.with_name(f"{folder.name}-unfinished")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    orders = random.Random(0)
    for file in sorted(photographs.iterdir()):
        shutil.copy(file, made)
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        for scale in (0.75, 0.5) if image.width * image.height >= LARGE_PHOTOGRAPH else (0.7,):
            size = round(image.width * scale), round(image.height * scale)
            channels = image.resize(size, Image.Resampling.LANCZOS).split()
            Image.merge("RGB", orders.sample(channels, 3)).save(made / f"{file.stem}-{scale}.png")
    return made.rename(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--weights", "--train", "--valid", "--set5", "--set14", "--out"):
        parser.add_argument(option, type=Path, required=True, metavar="DIR")
    parser.add_argument("--row", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--control", nargs="+", choices=[name for name in CONTROLS if name], default=[])
    options = parser.parse_args()
    folders = {"valid": options.valid, "Set5": options.set5, "Set14": options.set14}
    lines = []
    for case in cases(options):
        file, minutes = trained(case, options)
        lines.append(line(case, scored(case, file, folders), minutes))
    heading = ["at most", "can be downloaded", "valid, Set5", "ours", "FLOPs", "steps", "minutes", *folders]
    heading += ["ahead by", "aim"]
    print("\n| " + " | ".join(heading) + " |\n|" + "---|" * len(heading))
    print("\n".join(lines))


def cases(options: argparse.Namespace) -> Iterator[Case]:
    for limit in options.row:
        row = ROWS[limit]
        steps = options.steps if options.steps and row.steps else row.steps
        yield Case(limit, row, "", steps)
        if steps:
            yield from (Case(limit, row, control, steps) for control in options.control)


def trained(case: Case, options: argparse.Namespace) -> tuple[Path | str, float]:
    """The student's file and the minutes that its training took; those of all runs, where it was stopped between."""
    if not case.steps:
        return case.row.teacher, 0.0
    name = "-".join(part for part in (case.limit, case.control, str(case.steps)) if part)
    out, times = options.out / f"{name}.safetensors", options.out / f"{name}.minutes.json"
    minutes = json.loads(times.read_text()) if times.exists() else 0.0
    command = case.command(options, out)
    print(shlex.join(command), flush=True)
    if not out.exists():
        options.out.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        try:
            subprocess.run([Path(sys.executable).parent / command[0], *command[1:], "--quiet"], check=True)
        finally:
            minutes += (time.monotonic() - start) / 60
            times.write_text(json.dumps(minutes))
    return out, minutes


def scored(case: Case, file: Path | str, folders: Mapping[str, Path]) -> tuple[int, list[float]]:
    """FLOPs at 1280x720, and the mean PSNR-Y of each set of images."""
    code = f"{CODE / case.row.code}" if case.row.code else None
    network = load(file, code=code)
    evaluation = api.evaluate(file, list(folders.values()), progress=False, code=code)
    return family_of(network).flops(network.config), [scores.mean["psnr_y"] for scores in evaluation.scores.values()]


def line(case: Case, result: tuple[int, list[float]], minutes: float) -> str:
    """Of the table."""
    other = next(network for network in downloadable() if network.name == case.row.beside)
    valid, set5 = other.psnr_y["McMaster (first ten)"], other.psnr_y["Set5"]
    flops, scores = result
    made = f"of {case.row.teacher}" if case.steps else case.row.teacher
    ours = ", ".join(part for part in (made, *case.row.counts, *CONTROLS[case.control]) if not part.startswith("--"))
    cells = [case.limit, f"{other.name}, {other.flops / 1e9:.2f}G", f"{valid:.2f}, {set5:.2f}", ours]
    cells += [f"{flops / 1e9:.2f}G", str(case.steps), f"{minutes:.0f}", *(f"{score:.2f}" for score in scores)]
    return "| " + " | ".join([*cells, f"{scores[0] - valid:+.2f}", f"{case.row.aim:+.2f}"]) + " |"


if __name__ == "__main__":
    main()
