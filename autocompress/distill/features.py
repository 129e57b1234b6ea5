"""The feature term of the loss: a student's last LR features, mapped to its teacher's by a learnt 1x1 convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autocompress.networks.base import SRNetwork
from autocompress.shrink.least_squares import refit_linear


class FeatureTerm(nn.Module):
    """Compares the features that each network upsamples, as FitNets does (Romero et al., ICLR 2015).

    The map exists during the training only. It starts as the least-squares fit on the images `lr` (B, 3, h, w) in
    [0, 1]: a random map would first make the student follow noise. The teacher runs on every batch.
    """

    def __init__(self, student: SRNetwork, teacher: SRNetwork, lr: Tensor) -> None:
        super().__init__()
        self._teacher = [teacher]  # not a submodule: it does not learn
        with torch.no_grad():
            ours, theirs = (_seen(network.features(lr), lr) for network in (student, teacher))
        self.map = nn.Conv2d(ours.shape[1], theirs.shape[1], 1).to(lr.device)
        rows, target = (features.movedim(1, -1).flatten(0, -2).float() for features in (ours, theirs))
        prior = torch.zeros(theirs.shape[1], ours.shape[1], device=lr.device)
        weight, bias = refit_linear(prior, prior[:, 0], rows, target)
        self.map.load_state_dict({"weight": weight[:, :, None, None], "bias": bias})

    def forward(self, features: Tensor, lr: Tensor) -> Tensor:
        """Mean absolute difference of the student's `features` to the teacher's, over the teacher's standard deviation.

        Dividing makes it independent of the scale of a family's features.
        """
        with torch.no_grad():
            target = _seen(self._teacher[0].features(lr), lr).float()
        loss: Tensor = (self.map(_seen(features, lr)).float() - target).abs().mean() / target.std()
        return loss


def _seen(features: Tensor, lr: Tensor) -> Tensor:
    """The features of the image itself, without those of padding."""
    return features[..., : lr.shape[-2], : lr.shape[-1]]
