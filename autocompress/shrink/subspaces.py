"""The subspace of a feature stream that matters most to a network's output: what a student keeps of its teacher's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Subspace:
    """A space of n numbers s = encoder @ h that stands for C features h ~ decoder @ s.

    `decoder` (C, n) has orthonormal columns and `encoder` (n, C) is a left inverse of it, so that nothing is
    lost at n = C. They differ where some features matter more than others.
    """

    encoder: Tensor
    decoder: Tensor

    def opposite(self) -> Subspace:
        """Of what is multiplied by h: products h @ g are (encoder @ h) @ (decoder.T @ g), as far as the space has h."""
        return Subspace(self.decoder.T, self.encoder.T)


def subspace(covariance: Tensor, sensitivity: Tensor, size: int, exponent: float) -> Subspace:
    """The `size` directions of a stream that matter most to the output.

    `covariance` (C, C) is that of the features h and `sensitivity` (C, C) the mean of g g^T, for g the output's
    gradients with respect to h. The space minimises E|W (h - decoder @ encoder @ h)|^2 where W^2 is the sensitivity to
    the power of `exponent`: 0 is variance alone, 1 the first-order change of the output.
    """
    values, vectors = torch.linalg.eigh(sensitivity.double())
    values = (values / values[-1].clamp_min(1e-30)).clamp_min(1e-6) ** (exponent / 2)
    weight = vectors * values @ vectors.T
    weighted = torch.linalg.eigh(weight @ covariance.double() @ weight)[1].flip(1)[:, :size]
    # In the weighted basis channels would differ in scale, and a step of Adam would wreck the smallest.
    decoder, triangle = torch.linalg.qr((vectors / values @ vectors.T) @ weighted)
    encoder = triangle @ weighted.T @ weight
    return Subspace(encoder.float(), decoder.float())


def normed_subspace(covariance: Tensor, sensitivity: Tensor, size: int, exponent: float) -> Subspace:
    """Like `subspace`, but with the mean of all C features as the mean of all `size` numbers, up to a factor.

    So what a LayerNorm makes of s = encoder @ h is what it makes of h, in the subspace, as far as that holds all of h.
    """
    channels = len(covariance)
    mean = torch.full((channels, 1), channels**-0.5, dtype=torch.float64, device=covariance.device)
    beside = torch.eye(channels, dtype=torch.float64, device=covariance.device) - mean @ mean.T
    best = subspace(beside @ covariance @ beside, beside @ sensitivity @ beside, size - 1, exponent)
    # a reflection of the student's space that takes its first axis to the mean of its channels
    normal = torch.full((size, 1), -(size**-0.5), device=covariance.device)
    normal[0] += 1
    turn = torch.eye(size, device=covariance.device) - 2 * normal @ normal.T / normal.square().sum().clamp_min(1e-12)
    encoder = turn @ torch.cat([mean.T.float(), best.encoder])
    return Subspace(encoder, torch.cat([mean.float(), best.decoder], 1) @ turn.T)


def covariance(rows: Tensor) -> Tensor:
    """Of features in rows (N, C): (C, C), in float64."""
    centred = rows - rows.mean(0)
    return (centred.T @ centred).double() / len(rows)
