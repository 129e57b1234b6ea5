"""Retraining a teacher by OBProx-SG, so that weights it can do without become exact zeros."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from autocompress.compute.losses import charbonnier
from autocompress.compute.precision import Precision, exact
from autocompress.data.bank import PixelBank
from autocompress.data.patches import PatchSampler
from autocompress.errors import ConfigError, TrainingDiverged
from autocompress.networks import find_family
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import has_finite_outputs
from autocompress.prune.obproxsg import OBProxSG
from autocompress.units import quantity

CHECK_EVERY = 10  # steps between checks of the loss: reading it waits for the GPU to finish its queue
CHARBONNIER_EPS = 1e-12
DEFAULT_PULL = 0.03  # see `SparsifySettings.pull`


@dataclass(frozen=True)
class SparsifySettings:
    """Every number that the retraining depends on.

    The first `prox_share` of the steps are proximal, the rest orthant steps. The learning rate is halved at each step
    of `halve_at`. `patch_size` is in LR pixels. `lambda_` weighs the sum of the absolute weights of all convolutions
    and linear maps; biases, norms and tables of attention are trained, but not pulled towards zero.
    """

    steps: int
    batch_size: int
    patch_size: int
    learning_rate: float
    lambda_: float
    eps: float = 1e-4
    prox_share: float = 0.1
    halve_at: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "patch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be >= 1")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"learning_rate is {self.learning_rate}, but must be > 0, and finite")
        for name in ("lambda_", "eps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be >= 0, and finite")
        if not 0 <= self.prox_share <= 1:
            raise ConfigError(f"prox_share is {self.prox_share}, but must be from 0 to 1")

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of the update that follows `step` finished ones."""
        return self.learning_rate * 0.5 ** sum(step >= at for at in self.halve_at)

    @property
    def pull(self) -> float:
        """How far the l1 term alone moves a weight towards zero over all steps: the sum of learning rate * lambda."""
        starts = sorted({0, *(at for at in self.halve_at if at < self.steps)})
        ends = [*starts[1:], self.steps]
        return self.lambda_ * sum(
            (end - start) * self.learning_rate_at(start) for start, end in zip(starts, ends, strict=True)
        )

    def in_steps(self, steps: int) -> SparsifySettings:
        """The same settings for another number of steps, with lambda changed so that `pull` stays the same."""
        if steps < 1:
            raise ConfigError(f"steps is {steps}, but must be >= 1")
        halve_at = tuple(round(at * steps / self.steps) for at in self.halve_at)
        changed = replace(self, steps=steps, halve_at=halve_at)
        return changed if self.pull == 0 else replace(changed, lambda_=self.lambda_ * self.pull / changed.pull)

    def at_rate(self, learning_rate: float) -> SparsifySettings:
        """The same settings at another learning rate, with lambda changed so that `pull` stays the same."""
        changed = replace(self, learning_rate=learning_rate)  # which refuses 0
        return replace(changed, lambda_=self.lambda_ * self.learning_rate / learning_rate)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        return asdict(self) | {"halve_at": list(self.halve_at)}


def paper_settings(family: str, seed: int = 0) -> SparsifySettings:
    """How the paper prunes (Jiang et al. 2024, section 2.1, and their released files).

    Raises ConfigError for a family that is not the paper's.
    """
    numbers = find_family(family).paper_numbers()
    return SparsifySettings(
        steps=numbers.prune_steps,
        batch_size=16,
        patch_size=numbers.patch_size,
        learning_rate=5e-3,
        lambda_=1e-4,
        halve_at=numbers.prune_halve_at,
        seed=seed,
    )


def default_settings(family: str, seed: int = 0) -> SparsifySettings:
    """The default: three minutes on one CPU core for a shipped teacher; chosen by PSNR on parts of validation photos.

    It takes many steps on few small patches, at half the largest learning rate that is stable on some images, halved
    at the end so that the noise of such steps settles. Fewer steps on more pixels gave a lower PSNR. `pull` is 0.03 for
    all families.

    The training mostly repairs the damage that the pull does: moving all weights towards zero by 0.03 at once leaves a
    teacher with 14 dB, this training with 33 dB. It hardly decides which weights become zero: its gradients in the body
    (2e-5 at the start) are below lambda, so the densities are nearly the shares of weights larger than the pull. Other
    rates, batches and numbers of steps (100 to 1,500) gave the same densities within 0.01, except in the last layer.
    """
    recipe = find_family(family).recipe
    steps = recipe.prune_steps
    settings = SparsifySettings(
        steps=steps,
        batch_size=2,
        patch_size=16,
        learning_rate=recipe.prune_learning_rate,
        lambda_=1.0,
        halve_at=tuple(steps * percent // 100 for percent in (70, 80, 90)),
        seed=seed,
    )
    return replace(settings, lambda_=DEFAULT_PULL / settings.pull)


def sparsify(
    teacher: SRNetwork,
    bank: PixelBank,
    settings: SparsifySettings,
    precision: Precision,
    on_step: Callable[[int], None] | None = None,
) -> SRNetwork:
    """A retrained copy of `teacher` with exact zeros among its weights, in eval mode; the teacher is left as it is.

    The loss is Charbonnier's to the ground truth, in float32. `on_step` is told the number of steps done. Raises
    TrainingDiverged when the loss is not finite.
    """
    network = copy.deepcopy(teacher).train().requires_grad_(True)
    precision.place(network)
    sampler = PatchSampler(
        bank.to(precision.device) if precision.has_room(bank.hr.numel() + bank.lr.numel()) else bank,
        patch_size=settings.patch_size,
        batch_size=settings.batch_size,
        seed=settings.seed,
        device=precision.device,
        memory_format=precision.memory_format,
    )
    descent = _descent(network, settings)
    with exact():
        _descend(network, sampler, descent, settings, on_step)
    finite = all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    if not (finite and has_finite_outputs(network.eval())):
        _check(math.nan, settings.steps, settings)
    return network.eval()


def _descend(
    network: SRNetwork,
    sampler: PatchSampler,
    descent: OBProxSG,
    settings: SparsifySettings,
    on_step: Callable[[int], None] | None,
) -> None:
    for step in range(settings.steps):
        for group in descent.param_groups:
            group["lr"] = settings.learning_rate_at(step)
        batch = sampler.sample()
        loss = charbonnier(network(batch.lr), batch.targets["hr"], CHARBONNIER_EPS)
        descent.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        descent.step()
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == settings.steps:
            _check(loss.item(), step + 1, settings)
        if on_step is not None:
            on_step(step + 1)


def weighted_layers(network: nn.Module) -> dict[str, Tensor]:
    """The weights of all convolutions and linear maps, in the network's order, by module path as in its state dict.

    Those that are computed of other parameters, as under weight_norm, are not among them.
    """
    names = {id(weight): name for name, weight in network.state_dict(keep_vars=True).items()}
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return {names[id(weight)].removesuffix(".weight"): weight for weight in weights if id(weight) in names}


def _descent(network: SRNetwork, settings: SparsifySettings) -> OBProxSG:
    pulled = list(weighted_layers(network).values())
    known = {id(weight) for weight in pulled}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups: list[dict[str, Any]] = [{"params": pulled}, {"params": others, "lambda_": 0.0}]
    return OBProxSG(
        groups,
        lr=settings.learning_rate,
        lambda_=settings.lambda_,
        prox_steps=round(settings.prox_share * settings.steps),
        eps=settings.eps,
    )


def _check(loss: float, step: int, settings: SparsifySettings) -> None:
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"the loss is {loss} after {quantity(step, 'step')} of pruning at learning rate {settings.learning_rate:g} "
            f"and lambda {settings.lambda_:g}; lower the learning rate (autocompress prune --learning-rate)"
        )
