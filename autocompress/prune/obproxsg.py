"""OBProx-SG: stochastic gradients that leave exact zeros.

Chen et al., "Orthant Based Proximal Stochastic Gradient Method for l1-Regularized Optimization" (ECML-PKDD 2020),
algorithms 2 (the proximal step) and 3 (the orthant step). Gradients are plain: no momentum, no second moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class OBProxSG(torch.optim.Optimizer):
    """Minimises a loss + lambda_ * |w|_1: first by proximal steps, then by steps that stay in an orthant.

    A proximal step is soft thresholding: w - lr * g is moved towards zero by lr * lambda_, and becomes zero if it was
    nearer than that. A zero may become nonzero again. An orthant step is w - lr * (g + lambda_ * sign(w)) for
    nonzero weights; one whose sign would change, or that ends within `eps` of zero, becomes zero. A zero stays zero.

    The first `prox_steps` steps are proximal, all others orthant steps. Parameters, as tensors or as groups, like
    those of torch's own; `lr` and `lambda_` may change between steps. A group with a `lambda_` of 0 takes plain
    gradient steps, and none of its weights is set to zero.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        lambda_: float,
        prox_steps: int,
        eps: float = 1e-4,
    ) -> None:
        super().__init__(params, {"lr": lr, "lambda_": lambda_, "eps": eps})
        self.prox_steps = prox_steps
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step with the parameters' present gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            gradients = [weight.grad for weight in weights]
            if not weights:
                continue
            pull = group["lr"] * group["lambda_"]
            if pull == 0:
                torch._foreach_add_(weights, gradients, alpha=-group["lr"])
            elif self.steps < self.prox_steps:
                _proximal_step(weights, gradients, group["lr"], pull)
            else:
                _orthant_step(weights, gradients, group["lr"], pull, group["eps"])
        self.steps += 1
        return loss


def _proximal_step(weights: list[Tensor], gradients: list[Tensor], lr: float, pull: float) -> None:
    torch._foreach_add_(weights, gradients, alpha=-lr)
    near = torch._foreach_clamp_max(weights, pull)
    torch._foreach_clamp_min_(near, -pull)
    torch._foreach_sub_(weights, near)


def _orthant_step(weights: list[Tensor], gradients: list[Tensor], lr: float, pull: float, eps: float) -> None:
    signs = torch._foreach_sign(weights)
    torch._foreach_add_(weights, gradients, alpha=-lr)
    torch._foreach_add_(weights, signs, alpha=-pull)
    # How far each is in its own orthant; a zero has no sign, and so nothing of it lies beyond eps.
    torch._foreach_mul_(signs, weights)
    for weight, inside in zip(weights, signs, strict=True):
        weight.masked_fill_(inside <= eps, 0)
