"""Stage one of the paper: how dense each layer of a teacher stays under OBProx-SG, and what student that suggests."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.sources import ImagePair, ImageSource
from autocompress.evaluation.scores import OnImage, check_finite, evaluate, network_upscaler, pairs
from autocompress.io import cache
from autocompress.networks import describe, family_of, in_words
from autocompress.networks.base import Config, SRNetwork
from autocompress.networks.effects import varying_parts
from autocompress.networks.weights import digest, with_weights
from autocompress.progress import OnDone, one_by_one, untold
from autocompress.prune.shrinking import from_scratch
from autocompress.prune.sparsify import SparsifySettings, sparsify, weighted_layers
from autocompress.shrink.density import Density, joined, within
from autocompress.shrink.parts import is_within, repeated_parts
from autocompress.units import quantity

WEIGHTS, SCORES = "pruned.safetensors", "psnr.json"
FORMAT = 1  # goes into the cache keys: raise it when what is computed from the same settings changes


@dataclass(frozen=True, eq=False)
class Pruned:
    """A teacher after OBProx-SG.

    `weights` is its whole state dict (CPU, float32), in which pruned weights are exact zeros. `psnr_before` and
    `psnr_after` are the mean PSNR-Y in dB, on the validation images, of the teacher and of the network of `weights`.
    """

    teacher: SRNetwork
    settings: SparsifySettings
    weights: dict[str, Tensor]
    psnr_before: float
    psnr_after: float

    @property
    def network(self) -> SRNetwork:
        """The network of these weights, in eval mode, on the CPU."""
        return with_weights(family_of(self.teacher), self.teacher.config, self.weights)

    @property
    def importance(self) -> dict[str, Tensor]:
        """By parameter name, 1 for each weight that is left, else 0: summed over a group, how many of it are left."""
        return {name: (weight != 0).float() for name, weight in self.weights.items()}

    @cached_property
    def layers(self) -> dict[str, Density]:
        """The density of each convolution's and linear map's weight, by module path, in the network's order."""
        weights = {name: self.weights[f"{name}.weight"] for name in weighted_layers(self.teacher)}
        return {name: Density(weight.numel(), int(torch.count_nonzero(weight))) for name, weight in weights.items()}

    @cached_property
    def groups_of(self) -> dict[str, tuple[str, ...]]:
        """The repeated parts that each layer is in, such as a residual block, outermost first."""
        family, config = family_of(self.teacher), self.teacher.config
        varying = varying_parts(family, config)
        kinds = [parts for parts in repeated_parts(family.shapes(config)) if parts.prefix in varying]
        units = [parts.paths(index) for parts in kinds for index in range(len(parts.units))]
        units = [[path for path in unit if within(self.layers, path)] for unit in units]  # activations are in none
        return {
            layer: tuple(unit[0] for unit in units if any(is_within(layer, path) for path in unit))
            for layer in self.layers
        }

    @cached_property
    def groups(self) -> dict[str, Density]:
        """The density of each repeated part, and of each part that is repeated within one."""
        names = dict.fromkeys(group for groups in self.groups_of.values() for group in groups)
        return {
            name: joined(density for layer, density in self.layers.items() if name in self.groups_of[layer])
            for name in names
        }

    @property
    def total(self) -> Density:
        """The density of all layers together."""
        return joined(self.layers.values())

    @property
    def suggested(self) -> Config:
        """The student that the densities suggest: see `shrink.density` for the rule."""
        return family_of(self.teacher).suggest(self.teacher.config, self.layers)

    def to_dict(self) -> dict[str, Any]:
        """All fields but the weights, as plain JSON types."""
        family = family_of(self.teacher)
        layers = [
            {"name": name, "groups": list(self.groups_of[name]), **_counted(density)}
            for name, density in self.layers.items()
        ]
        return {
            "teacher": describe(self.teacher),
            "suggested": describe(from_scratch(family, self.suggested, 0)),
            "psnr_y": {"before": self.psnr_before, "after": self.psnr_after},
            "total": _counted(self.total),
            "groups": [{"name": name, **_counted(density)} for name, density in self.groups.items()],
            "layers": layers,
            "settings": self.settings.to_dict(),
        }


def _counted(density: Density) -> dict[str, int | float]:
    return {"weights": density.weights, "nonzero": density.nonzero, "density": density.share}


def densities_of(  # noqa: PLR0913 - what is told, and to whom, is given by name
    teacher: SRNetwork,
    train: PixelBank,
    valid: ImageSource,
    settings: SparsifySettings,
    precision: Precision,
    on_step: Callable[[int], None] | None = None,
    *,
    skip_bad_images: bool = False,
    on_score: OnDone = untold,
) -> Pruned:
    """Retrain a copy of `teacher` on a bank by OBProx-SG and count the weights that are left.

    The result is kept in the user's cache, under a key of the teacher, the images and the settings: a second call takes
    no step. `on_step` is called with the number of steps done, `on_score` with that of the images scored before and
    after. Raises TrainingDiverged when the loss is not finite.
    """
    key = _key(digest(teacher), train.key, settings.to_dict())
    about = f"{in_words(teacher)}, on {quantity(len(train), 'image')}"

    def retrain(folder: Path) -> None:
        sparse = sparsify(teacher, train, settings, precision, on_step)
        save_file({name: tensor.cpu().contiguous() for name, tensor in sparse.state_dict().items()}, folder / WEIGHTS)

    weights = load_file(cache.entry("pruned", key, retrain, about=about) / WEIGHTS)

    def score(folder: Path) -> None:
        after = with_weights(family_of(teacher), teacher.config, weights)
        seen = list(pairs(valid, skip_bad_images))
        networks = (copy.deepcopy(teacher).eval(), after)
        done = one_by_one(on_score, len(networks) * len(seen))
        scores = [_psnr(network, seen, precision, done) for network in networks]
        (folder / SCORES).write_text(json.dumps(scores))

    scored = cache.entry("pruned-psnr", _key(key, valid.digest), score, about=about) / SCORES
    return Pruned(teacher, settings, weights, *json.loads(scored.read_text()))


def _psnr(network: SRNetwork, valid: Sequence[ImagePair], precision: Precision, on_image: OnImage) -> float:
    scores = evaluate(network_upscaler(network.to(precision.device)), valid, network.scale, ["psnr_y"], on_image)
    check_finite(scores)
    return scores.mean["psnr_y"]


def _key(*parts: object) -> str:
    described = json.dumps([*parts, FORMAT], sort_keys=True)
    return hashlib.blake2b(described.encode(), digest_size=16).hexdigest()
