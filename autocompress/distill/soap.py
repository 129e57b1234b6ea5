"""SOAP (Vyas et al., ICLR 2025, arXiv 2409.11321): Adam in the eigenbases of Shampoo's factors, for small networks.

Of each weight's gradient G the running mean of its covariance along each side is kept: a *factor*. Adam's second moment
is that of the gradient turned into the factors' eigenvectors (the *bases*), where its entries are nearly independent. A
convolution's weight (out, in, h, w) has three sides, out, in and h * w, and so has a transposed one's (in, out, h, w),
where the last also tells the pixels apart that are made of one; a linear layer's has two.

Own code, since of the kept implementations none does all that is needed here. pytorch-optimizer 4.1 trains as well, but
its step cannot be captured in a CUDA graph (it counts in Python and renews the bases within the step); heavyball 3.2
must compile each shape first. And small networks have many layers of few shapes, on which operations cost more than
their size: here weights of one shape are stacked, and each operation is done for a stack at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from autocompress.distill.adam import Adam

BETAS = (0.9, 0.95)  # decay of the mean gradient and of its mean square
FACTOR_DECAY = 0.9
RENEW_EVERY = 10  # steps between renewals of the bases; 1 and 5 train within 0.04 dB
LARGEST = 1024  # entries of a side: a longer one is not turned, since its factor would cost more than it gains
EPSILON = 1e-8
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class SOAP:
    """Updates the weights of the convolutions and linear layers among `modules` by SOAP, all else by Adam.

    `learning_rate` is a tensor () that is read at each step. The first step only looks at the gradient. `step` can be
    captured in a CUDA graph once it was called; `after_step` must be called after each step, outside of the graph.
    """

    def __init__(self, modules: Iterable[nn.Module], learning_rate: Tensor, capturable: bool = False) -> None:
        modules = list(modules)
        layers = (layer for module in modules for layer in module.modules())
        weights = {id(layer.weight): layer.weight for layer in layers if isinstance(layer, LAYERS)}
        by_shape: dict[tuple[int, ...], list[Tensor]] = {}
        for weight in weights.values():
            by_shape.setdefault(tuple(weight.shape), []).append(weight)
        others = [one for module in modules for one in module.parameters() if id(one) not in weights]
        self._learning_rate = learning_rate
        self._stacks = [_Stack(parameters) for parameters in by_shape.values()]
        self._adam = Adam(others, learning_rate, capturable)
        self._updates = torch.zeros((), device=learning_rate.device)  # a tensor: a captured step reads and raises it
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter by its gradient."""
        self._adam.step()
        if self._steps == 0:
            for stack in self._stacks:
                stack.start()
            return
        self._updates += 1
        corrections = [1 - beta**self._updates for beta in BETAS]
        for stack in self._stacks:
            stack.update(self._learning_rate, *corrections)

    def after_step(self) -> None:
        """Renew the bases where it is time for that."""
        self._steps += 1
        if self._steps % RENEW_EVERY == 0:
            for stack in self._stacks:
                stack.renew_bases()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for stack in self._stacks:
            for parameter in stack.parameters:
                parameter.grad = None
        self._adam.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """All that going on needs: tensors and numbers, which `torch.load(weights_only=True)` reads."""
        return {
            "steps": self._steps,
            "updates": self._updates,
            "stacks": [stack.state for stack in self._stacks],
            "adam": self._adam.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of the same modules."""
        self._steps = state["steps"]
        self._updates.copy_(state["updates"])
        for stack, stored in zip(self._stacks, state["stacks"], strict=True):
            for name, tensor in stack.state.items():
                tensor.copy_(stored[name])
        self._adam.load_state_dict(state["adam"])


class _Stack:
    """The weights of one shape, n of them, and their state.

    Of sides (d1, d2[, d3]): `mean` and `variance` (n, d1, d2[, d3]), the second in the bases; and of each side i that
    is turned, `factor.i` and `basis.i` (n, di, di), eigenvectors in columns, the largest eigenvalue first.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters = parameters
        first = parameters[0].detach()
        sides = first.flatten(2).shape if first.dim() > 2 else first.shape
        self._shape = (len(parameters), *sides)
        self._turned_sides = [side for side, size in enumerate(sides) if 1 < size <= LARGEST]
        self.state = {name: torch.zeros(self._shape, device=first.device) for name in ("mean", "variance")}
        for side in self._turned_sides:
            for name in ("factor", "basis"):
                self.state[f"{name}.{side}"] = torch.zeros(len(parameters), *2 * [sides[side]], device=first.device)

    def start(self) -> None:
        """Take factors and bases from the first gradient."""
        gradient = self._gradient()
        for side in self._turned_sides:
            factor = _covariance(gradient, side)
            self.state[f"factor.{side}"].copy_(factor)
            self.state[f"basis.{side}"].copy_(torch.linalg.eigh(factor.double())[1].flip(-1))

    def update(self, learning_rate: Tensor, mean_correction: Tensor, variance_correction: Tensor) -> None:
        """One step of Adam in the bases; the corrections are Adam's, for moments that began at 0."""
        gradient, mean, variance = self._gradient(), self.state["mean"], self.state["variance"]
        mean.lerp_(gradient, 1 - BETAS[0])
        turned = self._turn(gradient)
        variance.mul_(BETAS[1]).addcmul_(turned, turned, value=1 - BETAS[1])
        deviation = (variance / variance_correction).sqrt_().add_(EPSILON)
        direction = self._turn(mean).div_(mean_correction).div_(deviation)
        change = self._turn(direction, back=True) * learning_rate
        torch._foreach_sub_(self.parameters, [c.view_as(p) for c, p in zip(change, self.parameters, strict=True)])
        for side in self._turned_sides:
            self.state[f"factor.{side}"].lerp_(_covariance(gradient, side), 1 - FACTOR_DECAY)

    @torch.no_grad()
    def renew_bases(self) -> None:
        """One step of power iteration from the old bases; the variance keeps the order of their columns."""
        variance = self.state["variance"]
        for side in self._turned_sides:
            factor, basis = self.state[f"factor.{side}"], self.state[f"basis.{side}"]
            image = factor @ basis
            order = (basis * image).sum(1).argsort(dim=-1, descending=True, stable=True)  # by estimated eigenvalues
            along = order.view(-1, *(order.shape[1] if axis == side else 1 for axis in range(variance.dim() - 1)))
            variance.copy_(variance.gather(side + 1, along.expand_as(variance)))
            basis.copy_(torch.linalg.qr(image.gather(2, order[:, None].expand_as(image)))[0])

    def _gradient(self) -> Tensor:
        gradients = [parameter.grad for parameter in self.parameters]
        assert all(gradient is not None for gradient in gradients)
        return torch.stack([g for g in gradients if g is not None]).float().reshape(self._shape)

    def _turn(self, tensors: Tensor, back: bool = False) -> Tensor:
        """Into the bases, or back from them."""
        for side in self._turned_sides:
            basis = self.state[f"basis.{side}"]
            last = tensors.movedim(side + 1, -1)
            turned = last.flatten(1, -2) @ (basis.mT if back else basis)
            tensors = turned.view(last.shape).movedim(-1, side + 1)
        return tensors


def _covariance(gradient: Tensor, side: int) -> Tensor:
    """Of gradients (n, d1, d2[, d3]) along one side: (n, d, d)."""
    rows = gradient.movedim(side + 1, -1).flatten(1, -2)
    return rows.mT @ rows
