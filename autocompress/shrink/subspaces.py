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

    def read_by(self, weight: Tensor) -> Tensor:
        """The weight (outputs, C, kh, kw) of a convolution on the features, for one that reads the space instead."""
        return torch.einsum("oixy,in->onxy", weight, self.decoder)

    def written_by(self, weight: Tensor) -> Tensor:
        """The weight (C, inputs, kh, kw) of a convolution to the features, for one that writes to the space instead."""
        return torch.einsum("no,oixy->nixy", self.encoder, weight)


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


def covariance(rows: Tensor) -> Tensor:
    """Of features in rows (N, C): (C, C), in float64."""
    centred = rows - rows.mean(0)
    return (centred.T @ centred).double() / len(rows)
