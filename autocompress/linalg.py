"""Linear algebra of shrinking: subspaces of a feature stream, and convolutions fitted by least squares.

A network is shrunk by giving each stream of features a smaller space, `Subspace`, and by refitting each
convolution to what the teacher computes there, `refit`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Subspace:
    """A space of n numbers s = encoder @ h that stands for C features h ~ decoder @ s.

    `decoder` (C, n) has orthonormal columns and `encoder` (n, C) is a left inverse of it, so that nothing is
    lost at n = C. They differ where some features matter more than others.
    """

    encoder: Tensor
    decoder: Tensor


def moment(features: Tensor) -> Tensor:
    """Mean of x x^T over all positions, (C, C), of features (B, C, H, W), with the mean left in."""
    rows = features.movedim(1, -1).flatten(0, -2)
    return rows.T @ rows / len(rows)


def subspace(second_moment: Tensor, sensitivity: Tensor, size: int) -> Subspace:
    """The `size` directions of a stream that matter most to the output.

    `second_moment` (C, C) is the mean of h h^T and `sensitivity` (C, C) that of g g^T, for g the output's
    gradients with respect to h. The space minimises E|W (h - decoder @ encoder @ h)|^2 where W^4 is the
    sensitivity: halfway, in the exponent, between variance alone (W = 1) and the first-order change of the
    output (W^2 = sensitivity), since what is lost can partly be predicted from what is kept.
    """
    values, vectors = torch.linalg.eigh(sensitivity.double())
    values = (values / values[-1]).clamp_min(1e-6) ** 0.25
    weight = vectors * values @ vectors.T
    weighted = torch.linalg.eigh(weight @ second_moment.double() @ weight)[1].flip(1)[:, :size]
    # In the weighted basis channels would differ in scale, and a step of Adam would wreck the smallest.
    decoder, triangle = torch.linalg.qr((vectors / values @ vectors.T) @ weighted)
    encoder = triangle @ weighted.T @ weight
    return Subspace(encoder.float(), decoder.float())


def taps(features: Tensor, stride: int) -> Tensor:
    """What a 3x3 convolution reads at every `stride`-th position: (B, C, H, W) to (rows, 9 C + 1).

    Columns are in the order of a flattened convolution weight, with a 1 for the bias at the end.
    """
    columns = F.unfold(features, 3, padding=1, stride=stride).transpose(1, 2).flatten(0, 1)
    return torch.cat([columns, columns.new_ones(len(columns), 1)], 1)


def refit(weight: Tensor, bias: Tensor, rows: Tensor, target: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """A convolution (n, m, 3, 3) and bias (n,) corrected so that it maps `rows` (`taps`) to `target` (rows, n).

    Least squares on what the given convolution leaves, so where it is already exact it stays as it is;
    `ridge`, relative to the mean square of a column, pulls towards it where the rows do not decide.
    """
    prior = torch.cat([weight.flatten(1), bias[:, None]], 1)
    gram = (rows.T @ rows).double()
    rest = (rows.T @ (target - rows @ prior.T)).double()
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    solution = prior + torch.cholesky_solve(rest, torch.linalg.cholesky(gram)).T.to(prior.dtype)
    return solution[:, :-1].reshape(weight.shape), solution[:, -1].contiguous()
