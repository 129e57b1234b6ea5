"""Random training patches, cut from flat pixel arrays as whole-tensor operations.

A patch is a grid of row numbers, `base + i * down + j * right`. The eight flips and rotations are other bases
and steps, so cutting, augmenting and batching is one index computation a batch and one `index_select` an
array, on whatever device the arrays are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autocompress.data.bank import PixelBank
from autocompress.errors import DataError, InvalidInput


@dataclass(frozen=True, eq=False)
class Batch:
    """`lr` (B, 3, p, p); `targets`, each (B, 3, scale*p, scale*p): "hr" and what else the sampler has."""

    lr: Tensor
    targets: dict[str, Tensor]


class _Cuts(NamedTuple):
    """Where each patch of a batch lies, in LR pixels, and how it is turned (0 or 1); (B,) each."""

    offset: Tensor
    width: Tensor
    top: Tensor
    left: Tensor
    upside_down: Tensor
    mirrored: Tensor
    transposed: Tensor


class PatchSampler:
    """An endless, seeded stream of batches of augmented patches, with values in [0, 1].

    Every position of a patch in the bank is equally likely, and so is each of the eight flips and rotations,
    which are the same for LR and all targets. `patch_size` is in LR pixels. `targets` are further arrays
    (N, 3) aligned with `bank.hr`; integers are taken as 0..255, floats as 0..1. Patches are cut where the arrays
    are, and batches moved to `device`; the random numbers are drawn on the CPU, so that a seed means the same
    patches everywhere.

    Raises DataError for an image smaller than a patch.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        bank: PixelBank,
        *,
        patch_size: int,
        batch_size: int,
        seed: int,
        targets: Mapping[str, Tensor] | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        _check_sizes(bank, patch_size)
        arrays = {"hr": bank.hr, **(targets or {})}
        for name, array in arrays.items():
            if array.shape != bank.hr.shape:
                raise InvalidInput(
                    f"target '{name}' has shape {tuple(array.shape)}, "
                    f"but must have the HR pixels' {tuple(bank.hr.shape)}"
                )
        self.patch_size = patch_size
        self.batch_size = batch_size
        self._scale = bank.scale
        self._offsets, self._widths = bank.offsets, bank.widths
        self._across = bank.widths - patch_size + 1  # in how many places of a row of each image a patch can begin
        positions = (bank.heights - patch_size + 1) * self._across
        self._first = positions.cumsum(0) - positions  # the number of each image's first position, counted over all
        self._num_positions = int(positions.sum())
        self._lr, self._targets = bank.lr, arrays
        self._device = device
        self._dtype, self._memory_format = dtype, memory_format
        self._generator = torch.Generator().manual_seed(seed)

    def sample(self) -> Batch:
        """The next batch."""
        cuts = self._draw_cuts()
        hr_rows = self._rows(cuts, self._scale)
        targets = {name: self._cut(array, hr_rows) for name, array in self._targets.items()}
        return Batch(self._cut(self._lr, self._rows(cuts, 1)), targets)

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another sampler of the same bank and sizes was."""
        self._generator.set_state(state["generator"])

    def _draw_cuts(self) -> _Cuts:
        position = torch.randint(self._num_positions, (self.batch_size,), generator=self._generator)
        image = torch.searchsorted(self._first, position, right=True) - 1
        in_image, across = position - self._first[image], self._across[image]
        flips = torch.randint(2, (3, self.batch_size), generator=self._generator)
        return _Cuts(
            offset=self._offsets[image],
            width=self._widths[image],
            top=in_image // across,
            left=in_image % across,
            upside_down=flips[0],
            mirrored=flips[1],
            transposed=flips[2],
        )

    def _rows(self, cuts: _Cuts, scale: int) -> Tensor:
        """The rows (B, p, p) of the flat array that each patch takes its pixels from, at one scale."""
        size, stride = self.patch_size * scale, cuts.width * scale
        base = cuts.offset * scale**2 + cuts.top * scale * stride + cuts.left * scale
        base = base + cuts.upside_down * (size - 1) * stride + cuts.mirrored * (size - 1)
        along_y, along_x = stride * (1 - 2 * cuts.upside_down), 1 - 2 * cuts.mirrored
        down = torch.where(cuts.transposed == 1, along_x, along_y)
        right = torch.where(cuts.transposed == 1, along_y, along_x)
        start_and_steps = torch.stack([base, down, right])[:, :, None, None]
        if self._lr.is_cuda:  # from pinned memory the processor need not wait for the GPU's queue
            start_and_steps = start_and_steps.pin_memory().to(self._lr.device, non_blocking=True)
        index = torch.arange(size, device=self._lr.device)
        return start_and_steps[0] + index[:, None] * start_and_steps[1] + index * start_and_steps[2]

    def _cut(self, array: Tensor, rows: Tensor) -> Tensor:
        """The patches (B, 3, p, p) with the values of `array` at `rows`."""
        pixels = array.index_select(0, rows.flatten()).view(*rows.shape, 3).permute(0, 3, 1, 2)
        patches = pixels.to(self._device, non_blocking=True).to(self._dtype, memory_format=self._memory_format)
        return patches if array.is_floating_point() else patches.div_(255)


def _check_sizes(bank: PixelBank, patch_size: int) -> None:
    for name, height, width in zip(bank.names, bank.heights.tolist(), bank.widths.tolist(), strict=True):
        if min(height, width) < patch_size:
            raise DataError(
                f"image '{name}' has {width}x{height} LR pixels, "
                f"too few for patches of {patch_size}x{patch_size}: "
                f"remove it, or take patches of at most {min(height, width)}"
            )
