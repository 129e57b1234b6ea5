"""Layers refitted by least squares to what a teacher computes, at a random choice of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BORDER_SHARE = 0.02  # of the pixels; an image of 200x200 has as many
RIDGES: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)  # relative to the mean variance of an input
FITTED = 0.8  # share of the rows to which each ridge is fitted; the others, of other images, choose among them


@dataclass(frozen=True)
class Pixels:
    """Pixels of a batch of images (B, C, H, W): their image, row and column, (N,) each.

    Chosen at random, so that no grid of theirs meets a grid in the images or in PixelShuffle. Some are on the border,
    where a convolution pads with zeros: one that is fitted to the inside alone, where a weight on a feature's mean does
    what a bias does, makes anything of them. PSNR, which leaves the border out, does not show that, but training would
    spend its first hundred steps on it. There are as many as in a whole image, since patches have more.
    """

    image: Tensor
    row: Tensor
    column: Tensor

    @classmethod
    def choose(cls, images: int, height: int, width: int, count: int, generator: torch.Generator) -> Pixels:
        """About `count` pixels, as many of each image, none twice."""
        each = min(height * width, max(1, count // images))
        border = torch.ones(height, width, dtype=torch.bool)
        border[1:-1, 1:-1] = False
        of_border = min(int(border.sum()), max(round(BORDER_SHARE * each), each - int((~border).sum())))
        key = torch.rand(images, height * width, generator=generator)
        ordered = [(key + last.flatten()).argsort(1) for last in (border, ~border)]
        order = torch.cat([ordered[0][:, : each - of_border], ordered[1][:, :of_border]], 1)
        image = torch.arange(images)[:, None].expand_as(order)
        return cls(image.flatten(), (order // width).flatten(), (order % width).flatten())

    def of(self, features: Tensor) -> Tensor:
        """The features at these pixels, (N, C)."""
        return features[self.image, :, self.row, self.column]

    def within(self, first: int, last: int) -> Pixels:
        """Those of the images from `first` up to `last`, as if these were the batch."""
        chosen = (self.image >= first) & (self.image < last)
        return Pixels(self.image[chosen] - first, self.row[chosen], self.column[chosen])

    def taps(self, features: Tensor, kernel: int = 3) -> Tensor:
        """What a convolution of odd `kernel` k reads at these pixels, (N, k^2 C): tap by tap, all channels of each."""
        padded = F.pad(features, (kernel // 2,) * 4).permute(0, 2, 3, 1)
        _, height, width, channels = padded.shape
        corner = (self.image * height + self.row) * width + self.column
        tap = torch.arange(kernel, device=corner.device)
        steps = tap[:, None] * width + tap
        return padded.reshape(-1, channels)[corner[:, None] + steps.flatten()].flatten(1)


def refit(weight: Tensor, bias: Tensor, taps: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """A convolution (n, m, k, k) and bias (n,) corrected so that it maps `taps` (N, k^2 m) to `target` (N, n).

    See `refit_linear`; the taps are as `Pixels.taps` gives them.
    """
    prior = weight.permute(0, 2, 3, 1).flatten(1)
    solution, bias = refit_linear(prior, bias, taps, target)
    return solution.view(len(bias), *weight.shape[2:], -1).permute(0, 3, 1, 2).contiguous(), bias


def refit_linear(weight: Tensor, bias: Tensor, rows: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """A linear map (n, m) and bias (n,) corrected so that it maps `rows` (N, m) to `target` (N, n).

    Least squares on what the given map leaves, so where it is already exact it stays as it is. A ridge pulls towards it
    where the rows do not decide: the one that, chosen on the first rows, leaves least of the last ones, since how near
    the given map is differs from layer to layer.
    """
    left = target - rows @ weight.T - bias
    row_mean, left_mean = rows.mean(0), left.mean(0)
    # Centred first: against the large mean of an input, float32 would lose the small differences that count.
    correction = _correction(rows - row_mean, left - left_mean)
    return weight + correction, bias + left_mean - correction @ row_mean


def refit_without_bias(weight: Tensor, rows: Tensor, target: Tensor) -> Tensor:
    """As `refit_linear`, of a linear map that has no bias."""
    return weight + _correction(rows, target - rows @ weight.T)


def _correction(rows: Tensor, left: Tensor) -> Tensor:
    """The linear map (n, m) of centred rows (N, m) to what is left (N, n), by the best of the `RIDGES`.

    Rows are in the order of the images, so that the last ones are of images that the first ones are not of.
    """
    fitted = round(FITTED * len(rows))
    gram, cross = _products(rows[:fitted], left[:fitted])
    checking = _products(rows[fitted:], left[fitted:])
    ridge = min(RIDGES, key=lambda each: _error(_solution(gram, cross, each), *checking))
    return _solution(gram + checking[0], cross + checking[1], ridge).T.float()


def _products(rows: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    return (rows.T @ rows).double(), (rows.T @ left).double()


def _solution(gram: Tensor, cross: Tensor, ridge: float) -> Tensor:
    damped = gram.clone()
    damped.diagonal().add_(ridge * gram.diagonal().mean() + 1e-12)  # all inputs may be zero
    return torch.cholesky_solve(cross, torch.linalg.cholesky(damped))


def _error(solution: Tensor, gram: Tensor, cross: Tensor) -> float:
    """The sum of squares that a solution leaves on the rows with these products, up to a constant."""
    return float((solution * (gram @ solution - 2 * cross)).sum())


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    assert layer.bias is not None
    return layer.bias


def set_layer(layer: nn.Module, weight: Tensor, bias: Tensor) -> None:
    """Give a convolution, a linear layer or a norm this weight and bias."""
    layer.load_state_dict({"weight": weight, "bias": bias})
