"""What each start gives, before and after training, and what the teacher's term in the loss gives.

    python benchmarks/starts.py --train DIR --valid DIR --test Set5=DIR --test Set14=DIR [--every 4]

For a small and a larger EDSR student of the shipped teacher: from projection (half of the loss from the teacher), from
projection without the teacher's term, from copied channels, from scratch, from projection with larger patches, and from
first-order Taylor importance. Equal steps, batches and learning rate for all: the default recipe's, which was chosen on
projected students. Prints the mean and half the range over the seeds. Rows that are finished are kept in --log and not
computed again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path

from torch import Tensor

from autocompress import arithmetic, prune
from autocompress.arithmetic import Arithmetic
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import ImagePair, open_folder
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.evaluate import MIN_SIDE, evaluate, network_upscaler, pairs
from autocompress.families.base import SRNetwork
from autocompress.families.edsr import EDSRConfig
from autocompress.teachers import load_teacher

SIZES = {"16x8": (16, 8), "32x8": (32, 8)}
CASES = {  # name: start, share of the teacher in the loss, side of a patch in LR pixels
    "projection": ("projection", 0.5, 32),
    "projection, truth only": ("projection", 0.0, 32),
    "copy": ("copy", 0.5, 32),
    "scratch": ("scratch", 0.5, 32),
    "projection, 48x48 patches": ("projection", 0.5, 48),
    "taylor": ("taylor", 0.5, 32),
}


def main() -> None:
    """Run what is not in the log yet, and print the table."""
    options = parse()
    teacher = load_teacher("edsr-baseline-x2")
    used = arithmetic.choose()
    source = open_folder(options.train, 2, min_size=96)
    bank = PixelBank.open(source.subset(range(0, len(source), options.every)))
    targets = teacher_targets(teacher, bank, used)
    tests = {"valid": options.valid, **dict(item.split("=") for item in options.test)}
    images = {name: list(pairs(open_folder(Path(folder), 2, min_size=MIN_SIDE))) for name, folder in tests.items()}
    rows = [json.loads(line) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    done = {(row["size"], row["case"], row["seed"], row["steps"]) for row in rows}
    print(f"{len(bank)} images, {used}", flush=True)
    for case, size, seed in itertools.product(CASES, options.size or SIZES, range(options.seeds)):
        if (size, case, seed, options.steps) in done:
            continue
        start = time.perf_counter()
        before, after = run(teacher, bank, targets, used, CASES[case], SIZES[size], options.steps, seed)
        row = {
            "size": size,
            "case": case,
            "seed": seed,
            "steps": options.steps,
            "before": score(before, images),
            "after": score(after, images),
            "seconds": round(time.perf_counter() - start, 1),
        }
        rows.append(row)
        with options.log.open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    show([row for row in rows if row["steps"] == options.steps], list(images))


def run(
    teacher: SRNetwork,
    bank: PixelBank,
    targets: Tensor,
    used: Arithmetic,
    case: tuple[str, float, int],
    size: tuple[int, int],
    steps: int,
    seed: int,
) -> tuple[SRNetwork, SRNetwork]:
    """A student before and after training."""
    init, share, patch_size = case
    patches = prune.sample_patches(bank, seed, used)
    student = prune.shrink(teacher, EDSRConfig(2, *size), patches, init, seed)
    recipe = Recipe(steps=steps, patch_size=patch_size, teacher_share=share, seed=seed)
    sampler = PatchSampler(
        bank,
        patch_size=recipe.patch_size,
        batch_size=recipe.batch_size,
        seed=seed,
        targets={"teacher": targets},
        memory_format=used.memory_format,
    )
    training = Training(student, sampler, recipe, used)
    training.run_to(steps)
    return student, training.student


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--test", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--every", type=int, default=1, help="take every Nth training image")
    parser.add_argument("--size", action="append", choices=SIZES, help="only these; all by default")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--log", type=Path, default=Path("starts.jsonl"))
    return parser.parse_args()


def score(network: SRNetwork, images: dict[str, list[ImagePair]]) -> dict[str, float]:
    """Mean PSNR-Y on each set."""
    upscale = network_upscaler(network)
    return {name: round(evaluate(upscale, pairs, 2, ["psnr_y"]).mean["psnr_y"], 3) for name, pairs in images.items()}


def show(rows: list[dict[str, object]], sets: list[str]) -> None:
    """The mean and half the range over the seeds, as a Markdown table."""
    print("\n| student | start | " + " | ".join(f"{name} before, after" for name in sets) + " | seeds |")
    print("|---|---|" + "---|" * len(sets) + "---|")
    for size in SIZES:
        for case in CASES:
            found = [row for row in rows if (row["size"], row["case"]) == (size, case)]
            if found:
                cells = [f"{spread(found, 'before', name)}, {spread(found, 'after', name)}" for name in sets]
                print(f"| {size} | {case} | " + " | ".join(cells) + f" | {len(found)} |")


def spread(rows: list[dict], when: str, name: str) -> str:  # type: ignore[type-arg]
    """As `36.90 ±0.02`."""
    values = [row[when][name] for row in rows]
    return f"{statistics.mean(values):.2f} ±{(max(values) - min(values)) / 2:.2f}"


if __name__ == "__main__":
    main()
