"""How fast a training step is: ours, the plain pipeline's, and the bare network's, alternating in one run.

    python benchmarks/step_speed.py [--train DIR] [--size edsrmini --size edsr-32x8] [--rounds 6] [--steps 8]

Same student, teacher, batch (16 patches of 48x48 LR pixels) and recipe. *Plain* is benchmarks/plain.py, with the
faster of no and two worker processes (on a GPU: with eight). *Bare* is forward, backward and a fused Adam step with an
L1 loss on one constant batch in our precision, captured as a CUDA graph where ours is. Prints milliseconds (the median
over rounds), then plain / ours for each size, and ours / bare.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from plain import PlainTraining, write_pairs

from autocompress.compute import probing
from autocompress.compute.cuda_graphs import CapturedStep, on_side_stream
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.teachers import load_teacher

SIZES = {"edsrmini": (16, 8), "edsr-32x8": (32, 8), "edsr-64x16": (64, 16)}
RECIPE = Recipe(steps=10**6, patch_size=48)
WARM_UP = 6

Step = Callable[[], object]
Run = Callable[[int], None]  # so many steps


def main() -> None:
    options = parse()
    used = probing.choose()
    source = embedded("train", 2) if options.train is None else open_folder(options.train, 2, min_size=96)
    teacher = load_teacher("edsr-baseline-x2").requires_grad_(False)
    arithmetic_teacher = teacher.to(used.device)
    bank = PixelBank.open(source)
    targets = teacher_targets(arithmetic_teacher, bank, used).to(used.device)
    bank = bank.to(used.device)
    torch.backends.cudnn.benchmark = False
    print(f"{len(bank)} images, {used}, torch {torch.__version__}")
    if used.device == "cuda":
        print(torch.cuda.get_device_name())
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(source, Path(folder))
        for name in options.size or list(SIZES)[:2]:
            student = EDSR(EDSRConfig(2, *SIZES[name]))
            sampler = PatchSampler(
                bank,
                patch_size=RECIPE.patch_size,
                batch_size=RECIPE.batch_size,
                seed=0,
                targets={"teacher": targets},
                device=used.device,
                memory_format=used.memory_format,
            )
            training = Training(student, sampler, RECIPE, used)
            kinds: dict[str, Run] = {
                "ours": partial(go_on, training),
                "bare": repeated(bare(student, used)),
            }
            for workers in (0, 2) if used.device == "cpu" else (8,):
                plain = PlainTraining(student, teacher, Path(folder), RECIPE, used.device, workers)
                kinds[f"plain, {workers} workers"] = repeated(plain.step)
            times = alternate(kinds, options.rounds, options.steps, used.device)
            print(name, ", ".join(f"{kind} {1000 * seconds:.2f} ms" for kind, seconds in times.items()), flush=True)
            plain_time = min(seconds for kind, seconds in times.items() if kind.startswith("plain"))
            ratios += [(name, plain_time / times["ours"]), (f"{name}-over-bare", times["ours"] / times["bare"])]
    for name, ratio in ratios:
        print(f"{name} {ratio:.2f}")


def go_on(training: Training, steps: int) -> None:
    training.run_to(training.step + steps)


def bare(student: EDSR, used: Precision) -> Step:
    """Forward, backward, Adam, on one constant batch."""
    network = EDSR(student.config).train()
    used.place(network)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True, capturable=used.graphs)
    side = RECIPE.patch_size
    lr = torch.rand(RECIPE.batch_size, 3, side, side, device=used.device).contiguous(memory_format=used.memory_format)
    hr = torch.rand(RECIPE.batch_size, 3, 2 * side, 2 * side, device=used.device)
    batch = (lr, hr.contiguous(memory_format=used.memory_format))

    def step(lr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        with used.autocast():
            sr = network(lr)
        loss = (sr.float() - hr).abs().mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        return loss.detach()

    if not used.graphs:
        return lambda: step(*batch)
    for _ in range(3):
        on_side_stream(step, batch)
    captured = CapturedStep(step, batch)
    return lambda: captured(batch)


def repeated(step: Step) -> Run:
    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def alternate(kinds: dict[str, Run], rounds: int, steps: int, device: str, warm_up: int = WARM_UP) -> dict[str, float]:
    """Median seconds of a step of each kind."""
    for run in kinds.values():
        run(warm_up)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, run in kinds.items():
            wait(device)
            start = time.perf_counter()
            run(steps)
            wait(device)
            times[kind].append((time.perf_counter() - start) / steps)
    return {kind: statistics.median(found) for kind, found in times.items()}


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, help="training images; the embedded ones by default")
    parser.add_argument("--size", action="append", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
