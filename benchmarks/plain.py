"""The plain pipeline, the control of the speed benchmarks: what one would write from the paper's scripts.

Photographs are decoded and cropped by a DataLoader, the teacher runs on every batch, and all is computed in PyTorch's
defaults: float32, NCHW, an Adam that is not fused. Networks, losses and recipe are the same as ours.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from autocompress.compute.losses import TEACHER_LOSSES, l1
from autocompress.data.sources import ImageSource
from autocompress.distill.recipe import Recipe
from autocompress.networks.base import SRNetwork


def write_pairs(source: ImageSource, folder: Path) -> None:
    """As such pipelines find their images: PNG files of HR and LR."""
    for part in ("HR", "LR"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index in range(len(source)):
        pair = source.read(index)
        Image.fromarray(pair.hr).save(folder / "HR" / f"{index:04}.png")
        Image.fromarray(pair.lr).save(folder / "LR" / f"{index:04}.png")


class Photographs(Dataset[tuple[Tensor, Tensor]]):
    """A random patch of an image, turned at random: LR (3, p, p) and HR in [0, 1]."""

    def __init__(self, folder: Path, scale: int, patch_size: int) -> None:
        self._hr, self._lr = (sorted((folder / part).glob("*.png")) for part in ("HR", "LR"))
        self._scale, self._patch_size = scale, patch_size

    def __len__(self) -> int:
        return len(self._hr)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        lr, hr = (np.asarray(Image.open(files[index]).convert("RGB")) for files in (self._lr, self._hr))
        size, scale = self._patch_size, self._scale
        top, left = (int(torch.randint(side - size + 1, ())) for side in lr.shape[:2])
        lr = lr[top : top + size, left : left + size]
        hr = hr[top * scale : (top + size) * scale, left * scale : (left + size) * scale]
        mirrored, turns = bool(torch.randint(2, ())), int(torch.randint(4, ()))
        patches = (np.rot90(patch[:, ::-1] if mirrored else patch, turns) for patch in (lr, hr))
        first, second = (torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1))).float() / 255 for p in patches)
        return first, second


class PlainTraining:
    """A student, trained step by step."""

    def __init__(
        self, student: SRNetwork, teacher: SRNetwork, folder: Path, recipe: Recipe, device: str, workers: int
    ) -> None:
        self._student = copy.deepcopy(student).to(device).train()
        self._average = copy.deepcopy(self._student)
        self._teacher = copy.deepcopy(teacher).to(device).eval()
        recipe = recipe.of_student(sum(p.numel() for p in student.parameters()))
        self._recipe, self._device, self._step = recipe, device, 0
        self._adam = torch.optim.Adam(self._student.parameters(), lr=recipe.learning_rate_at(0))
        self._batches = self._endless(Photographs(folder, student.scale, recipe.patch_size), workers)

    def _endless(self, data: Photographs, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
        recipe = self._recipe
        draws = RandomSampler(data, replacement=True, num_samples=recipe.batch_size * recipe.steps)
        loader = DataLoader(
            data,
            recipe.batch_size,
            sampler=draws,
            num_workers=workers,
            pin_memory=self._device == "cuda",
            persistent_workers=workers > 0,
        )
        while True:
            yield from loader

    def step(self) -> None:
        """One update, everything in it."""
        recipe = self._recipe
        lr, hr = (images.to(self._device, non_blocking=True) for images in next(self._batches))
        with torch.no_grad():
            target = self._teacher(lr)
        sr = self._student(lr)
        taught = TEACHER_LOSSES[recipe.teacher_loss](sr, target)
        loss = recipe.teacher_share * taught + (1 - recipe.teacher_share) * l1(sr, hr)
        for group in self._adam.param_groups:
            group["lr"] = recipe.learning_rate_at(self._step)
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._student.parameters(), recipe.clip)
        self._adam.step()
        decay = recipe.ema_at(self._step)
        with torch.no_grad():
            for average, value in zip(self._average.parameters(), self._student.parameters(), strict=True):
                average.mul_(decay).add_(value, alpha=1 - decay)
        self._step += 1
