"""What the benchmarks of single students share: images, teachers and their outputs, trainings, scores, and a log.

Every script that uses it takes --train DIR --valid DIR [--test NAME=DIR ...] and keeps its rows in --log: what stands
there is not computed again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from autocompress import prune
from autocompress.compute import probing
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.evaluation.scores import MIN_SIDE, evaluate, network_upscaler, pairs
from autocompress.networks.base import Shrinker, SRNetwork
from autocompress.networks.teachers import load_teacher

Row = dict[str, Any]
TEACHERS = {"edsr": "edsr-baseline-x2", "swinir": "swinir-s-x2"}


def parser(description: str | None) -> argparse.ArgumentParser:
    """With the options that all have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--train", type=Path, required=True)
    made.add_argument("--valid", type=Path, required=True)
    made.add_argument("--test", action="append", default=[], metavar="NAME=DIR")
    made.add_argument("--every", type=int, default=1, help="take every Nth training image")
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--teacher", action="append", default=[], metavar="FAMILY=FILE", help="in place of those shipped")
    made.add_argument("--log", type=Path, required=True)
    return made


class Laboratory:
    """Images and teachers on the device, and the log."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.used = probing.choose()
        # of the processor where it computes, so that what else a machine does counts for nobody
        self.clock = time.perf_counter if self.used.device == "cuda" else time.process_time
        given = dict(item.split("=") for item in options.teacher)
        self._teachers = TEACHERS | given
        (self.scale,) = {load_teacher(name).scale for name in (given or TEACHERS).values()}
        source = open_folder(options.train, self.scale, min_size=64 * self.scale)
        self.bank = PixelBank.open(source.subset(range(0, len(source), options.every)))
        self.on_device = self.bank.to(self.used.device)
        folders = {"valid": options.valid, **dict(item.split("=") for item in options.test)}
        sources = {name: open_folder(Path(folder), self.scale, min_size=MIN_SIDE) for name, folder in folders.items()}
        self.sets = {name: list(pairs(of_set)) for name, of_set in sources.items()}
        self._log: Path = options.log
        self.rows: list[Row] = []
        if self._log.exists():
            self.rows = [json.loads(line) for line in self._log.read_text().splitlines()]
        self.teacher = cache(self._teacher)
        self.targets = cache(self._targets)
        self.shrinker = cache(self._shrinker)
        print(f"{len(self.bank)} images, {self.used}", flush=True)

    def _teacher(self, family: str) -> SRNetwork:
        return load_teacher(self._teachers[family]).to(self.used.device).requires_grad_(False)

    def _targets(self, family: str) -> Tensor:
        return teacher_targets(self.teacher(family), self.bank, self.used).to(self.used.device)

    def _shrinker(self, family: str, init: str, seed: int) -> Shrinker:
        patches = prune.sample_patches(self.on_device, seed, self.used)
        importance = self._importance(family, seed) if init == "density" else None
        return prune.shrinker(self.teacher(family), patches, init, seed, importance=importance)

    def _importance(self, family: str, seed: int) -> dict[str, Tensor]:
        """What stage one leaves of each weight; computed anew, so that its time is seen."""
        sparse = prune.sparsify(self.teacher(family), self.bank, prune.default_settings(family, seed), self.used)
        return {name: (weight != 0).float() for name, weight in sparse.state_dict().items()}

    def train(self, student: SRNetwork, recipe: Recipe, target: str) -> SRNetwork:
        """The student after a training, taught by the teacher of the family `target`."""
        sampler = PatchSampler(
            self.on_device,
            patch_size=recipe.patch_size,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            targets={"teacher": self.targets(target)},
            device=self.used.device,
            memory_format=self.used.memory_format,
        )
        training = Training(student, sampler, recipe, self.used)
        training.run_to(recipe.steps)
        return training.student

    def score(self, network: SRNetwork) -> dict[str, float]:
        """Mean PSNR-Y in dB on each set of images."""
        upscale = network_upscaler(network.to(self.used.device))
        scores = {name: evaluate(upscale, pairs, self.scale, ["psnr_y"]) for name, pairs in self.sets.items()}
        return {name: round(of_set.mean["psnr_y"], 3) for name, of_set in scores.items()}

    def row(self, key: Row, compute: Callable[[], SRNetwork]) -> None:
        """Score what is computed, and log it, unless the log has it."""
        if any(key.items() <= row.items() for row in self.rows):
            return
        start = self.clock()
        network = compute()
        seconds = round(self.clock() - start, 1)
        found = key | {"seconds": seconds, "psnr_y": self.score(network)}
        self.rows.append(found)
        with self._log.open("a") as log:
            log.write(json.dumps(found) + "\n")
        print(json.dumps(found), flush=True)

    def show(self, columns: list[str]) -> None:
        """The mean and half the range over the seeds, as a Markdown table, in the order of the log."""
        names = list(self.sets)
        print("\n| " + " | ".join([*columns, *names, "seconds", "seeds"]) + " |")
        print("|" + "---|" * (len(columns) + len(names) + 2))
        groups: dict[tuple[object, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[column] for column in columns), []).append(row)
        for group, rows in groups.items():
            cells = [_spread([row["psnr_y"][name] for row in rows]) for name in names]
            seconds = statistics.mean(row["seconds"] for row in rows)
            print("| " + " | ".join([*map(str, group), *cells, f"{seconds:.0f}", str(len(rows))]) + " |")


def _spread(values: list[float]) -> str:
    """As `36.90 ±0.02`."""
    return f"{statistics.mean(values):.2f} ±{(max(values) - min(values)) / 2:.2f}"
