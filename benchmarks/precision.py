"""What students lose by what makes a step cheap: stored outputs of the teacher, their precision, and bf16.

    python benchmarks/precision.py --train DIR --valid DIR [--test Set5=DIR] [--seeds 3] [--steps 600]

Each case trains the same students from the same projected start on the same patches. *Live* runs the teacher on each
patch; the others cut patches from its outputs for whole images, stored as 8 bits (what the product does), as fp16, or
as 8 bits of the mean over the eight flips and rotations. All in float32 (no TF32) but for the last, in which all but
the last steps are in bf16. Prints the mean PSNR-Y in dB over seeds, and its difference to the first case.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from autocompress import prune
from autocompress.compute import precision, probing
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import Batch, PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.evaluation.scores import MIN_SIDE, evaluate, network_upscaler, pairs
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.teachers import load_teacher

SIZES = {"16x8": (16, 8), "32x8": (32, 8)}


@dataclass
class Live:
    """Batches whose target the teacher computes there and then."""

    sampler: PatchSampler
    teacher: SRNetwork

    def sample(self) -> Batch:
        """The next batch."""
        batch = self.sampler.sample()
        with torch.no_grad():
            return Batch(batch.lr, {"hr": batch.targets["hr"], "teacher": self.teacher(batch.lr)})


def main() -> None:
    options = parse()
    chosen = probing.choose()
    exact = replace(chosen, dtype="float32")
    source = open_folder(options.train, 2, min_size=96)
    bank = PixelBank.open(source.subset(range(0, len(source), options.every)))
    teacher = load_teacher("edsr-baseline-x2").to(chosen.device).requires_grad_(False)
    images = {"valid": options.valid, **dict(item.split("=") for item in options.test)}
    sets = {name: list(pairs(open_folder(Path(folder), 2, min_size=MIN_SIDE))) for name, folder in images.items()}
    on_device = bank.to(chosen.device)
    turns = [(mirror, turns) for mirror in (False, True) for turns in range(4)]
    targets: dict[str, Callable[[], Tensor]] = {
        "8 bits": lambda: teacher_targets(teacher, bank, exact),
        "fp16": lambda: whole_outputs(teacher, bank, [(False, 0)]).half(),
        "8 bits, mean of 8": lambda: whole_outputs(teacher, bank, turns).mul(255).round().to(torch.uint8),
    }
    cases: dict[str, tuple[str | None, Precision]] = {"live": (None, exact)}
    cases |= {name: (name, exact) for name in targets}
    cases["8 bits, bf16 training"] = ("8 bits", replace(chosen, dtype="bfloat16"))
    options.size = options.size or list(SIZES)
    cases = {name: case for name, case in cases.items() if name in (options.case or cases)}
    needed = {name for name, _ in cases.values()}
    with precision.exact():
        stored = {name: target().to(chosen.device) for name, target in targets.items() if name in needed}
    print(f"{len(bank)} images, {chosen}, {options.steps} steps, {options.seeds} seeds", flush=True)
    scores: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        patches = prune.sample_patches(on_device, seed, chosen)
        shrink = prune.shrinker(teacher, patches, "projection", seed)
        for size in options.size:
            student = shrink(EDSRConfig(2, *SIZES[size]))
            for case, (name, used) in cases.items():
                recipe = Recipe(steps=options.steps, seed=seed)
                sampler = PatchSampler(
                    on_device,
                    patch_size=recipe.patch_size,
                    batch_size=recipe.batch_size,
                    seed=seed,
                    targets={} if name is None else {"teacher": stored[name]},
                    device=used.device,
                    memory_format=used.memory_format,
                )
                stream = Live(sampler, teacher) if name is None else sampler
                with contextlib.nullcontext() if used.dtype == "bfloat16" else precision.exact():
                    training = Training(student, stream, recipe, used)  # type: ignore[arg-type]
                    training.run_to(recipe.steps)
                upscale = network_upscaler(training.student)
                row = {name: evaluate(upscale, pairs_, 2, ["psnr_y"]).mean["psnr_y"] for name, pairs_ in sets.items()}
                scores.setdefault((size, case), []).append(row)
                print(seed, size, case, {name: round(psnr, 3) for name, psnr in row.items()}, flush=True)
    show(scores, list(sets), options.size, list(cases))


def whole_outputs(teacher: SRNetwork, bank: PixelBank, turned: list[tuple[bool, int]]) -> Tensor:
    """The teacher's outputs (N, 3) in [0, 1], the mean over these mirrorings and quarter turns."""
    device = next(teacher.parameters()).device
    outputs = []
    for index in range(len(bank)):
        lr = bank.lr_image(index).permute(2, 0, 1)[None].to(device).float() / 255
        with torch.inference_mode():
            total = sum(back(teacher(there(lr, *how)), *how) for how in turned)
        assert isinstance(total, Tensor)
        outputs.append((total / len(turned)).clamp(0, 1)[0].permute(1, 2, 0).reshape(-1, 3).cpu())
    return torch.cat(outputs)


def there(image: Tensor, mirror: bool, turns: int) -> Tensor:
    return torch.rot90(image.flip(3) if mirror else image, turns, (2, 3)).contiguous()


def back(image: Tensor, mirror: bool, turns: int) -> Tensor:
    turned = torch.rot90(image, -turns, (2, 3))
    return turned.flip(3) if mirror else turned


def show(
    scores: dict[tuple[str, str], list[dict[str, float]]], sets: list[str], sizes: list[str], cases: list[str]
) -> None:
    print("\n| student | case | " + " | ".join(sets) + " |\n|---|---|" + "---|" * len(sets))
    mean: Callable[[str, str, str], float] = lambda size, case, name: statistics.mean(  # noqa: E731
        row[name] for row in scores[size, case]
    )
    for size in sizes:
        for case in cases:
            cells = [
                f"{mean(size, case, name):.3f} ({mean(size, case, name) - mean(size, cases[0], name):+.3f})"
                for name in sets
            ]
            print(f"| {size} | {case} | " + " | ".join(cells) + " |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--test", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--every", type=int, default=1, help="take every Nth training image")
    parser.add_argument("--size", action="append", choices=SIZES)
    parser.add_argument("--case", action="append", help="only these; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    return parser.parse_args()


if __name__ == "__main__":
    main()
