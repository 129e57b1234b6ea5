"""What shrinking a SwinIR by projection needs to know of the teacher: what it computes, and what of it matters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor

from autocompress.networks.swinir.network import SwinIR
from autocompress.networks.swinir.tracing import (
    Trace,
    blocks,
    channels_last,
    layers,
    mask_of,
    reader,
    rows_of,
    starts,
    trace,
)
from autocompress.networks.swinir.windows import padded
from autocompress.progress import OnDone, one_by_one, untold
from autocompress.shrink.least_squares import Pixels
from autocompress.shrink.subspaces import covariance

FITTED_PIXELS = 12_000  # of each layer
SENSED_PATCHES = 8
ORDERED_PATCHES = 4  # by which layers are ranked
CHUNK = 8  # patches that the teacher computes at a time
SENSED_CHUNK = 2  # with the graph of all it computes: some 120 MB a patch for SwinIR-S


def analyse(teacher: SwinIR, lr: Tensor, seed: int, report: OnDone = untold) -> dict[str, Tensor]:
    """All that a projection needs and that depends on the teacher and the LR patches (B, 3, h, w) in [0, 1] alone.

    By name: `pixels`, those that are fitted; `first.0`, `stream.N`, `shallow.0` and `output.0`, the teacher's trace
    there; `mixed.N`, the covariance of what each attention's projection reads; `removed.N`, how much the
    output changes without each layer of block N; `covariance` and `sensitivity` of the stream.
    """
    generator = torch.Generator().manual_seed(seed)
    lr = padded(lr, teacher.config.window_size)
    count = FITTED_PIXELS * 60 // max(60, teacher.config.embed_dim)  # wide ones would fill the memory
    pixels = Pixels.choose(len(lr), lr.shape[2], lr.shape[3], count, generator)
    pixels = Pixels(*(index.to(lr.device) for index in (pixels.image, pixels.row, pixels.column)))
    done = one_by_one(report, math.ceil(len(lr) / CHUNK) + sum(teacher.config.depths))
    with torch.no_grad():
        seen = _observe(teacher, lr, pixels, done)
        removed = _removed(teacher, lr[:ORDERED_PATCHES], done)
    analysis = {"pixels": torch.stack([pixels.image, pixels.row, pixels.column])} | removed
    for kind in ("first", "stream", "shallow", "output"):
        analysis |= {f"{kind}.{index}": rows for index, rows in enumerate(getattr(seen, kind))}
    analysis |= {f"mixed.{index}": covariance(rows) for index, rows in enumerate(seen.mixed)}
    analysis["covariance"] = torch.stack([covariance(rows) for rows in (*seen.stream, *seen.shallow)]).sum(0)
    analysis["sensitivity"] = _sensitivity(teacher, lr[:SENSED_PATCHES], generator)
    return analysis


def _observe(teacher: SwinIR, lr: Tensor, pixels: Pixels, done: Callable[[], None]) -> Trace:
    """The teacher's trace at the pixels that are fitted."""
    names = [field.name for field in fields(Trace)]
    chunks = []
    for start in range(0, len(lr), CHUNK):
        full, at = trace(teacher, lr[start : start + CHUNK]), pixels.within(start, start + CHUNK)
        chunks.append([[rows_of(at, x) for x in getattr(full, name)] for name in names])
        done()
    return Trace(*([torch.cat(parts) for parts in zip(*kind, strict=True)] for kind in zip(*chunks, strict=True)))


def _sensitivity(teacher: SwinIR, lr: Tensor, generator: torch.Generator) -> Tensor:
    """Mean g g^T, (C, C), of the stream, summed over depths; g: gradients of random probes of the output."""
    total = torch.zeros(2 * (teacher.config.embed_dim,), dtype=torch.float64, device=lr.device)
    for images in torch.split(lr, SENSED_CHUNK):
        with torch.enable_grad():
            full = trace(teacher, images.clone().requires_grad_())
            probe = torch.randn(full.output[0].shape, generator=generator).to(lr.device)
            gradients = torch.autograd.grad(full.output[0], [*full.stream, *full.shallow], probe)
        for gradient in gradients:
            rows = gradient.flatten(0, -2)
            total += (rows.T @ rows).double() / len(rows)
    return total


def _removed(teacher: SwinIR, lr: Tensor, done: Callable[[], None]) -> dict[str, Tensor]:
    """The mean square change of the output when a layer is left out, by block."""
    full = trace(teacher, lr)
    mask = mask_of(teacher, full.first[0])
    at = starts(teacher.config.depths)
    body = blocks(teacher)

    def change(x: Tensor, after: int) -> Tensor:
        """Of the output, where the stream in front of block `after` is x."""
        for block in body[after:]:
            x = block(x, mask)
        x = channels_last(teacher.conv_after_body, teacher.norm(x)) + full.first[0]
        return F.mse_loss(channels_last(reader(teacher), x), full.output[0])

    by_block = {}
    for i, block in enumerate(body):
        inside, changes = layers(block), []
        for removed in range(len(inside)):
            x = full.stream[at[i] + 2 * removed]
            for layer in inside[removed + 1 :]:
                x = layer(x, mask)
            changes.append(change(full.stream[at[i]] + channels_last(block.conv, x), i + 1))
            done()
        by_block[f"removed.{i}"] = torch.stack(changes)
    return by_block
