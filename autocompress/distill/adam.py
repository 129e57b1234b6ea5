"""Adam, by PyTorch's fused implementation."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

BETAS = (0.9, 0.999)


class Adam:
    """Kingma and Ba 2015, by PyTorch's fused implementation; `learning_rate` is a tensor () that each step reads."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: Tensor, capturable: bool = False) -> None:
        parameters = list(parameters)
        self._learning_rate = learning_rate
        # An optimiser without parameters is an error in PyTorch.
        self._adam = (
            torch.optim.Adam(parameters, lr=learning_rate, betas=BETAS, fused=True, capturable=capturable)
            if parameters
            else None
        )

    def step(self) -> None:
        """Update every parameter by its gradient."""
        if self._adam is not None:
            self._adam.step()

    def after_step(self) -> None:
        """Nothing is due."""

    def zero_grad(self) -> None:
        """Forget all gradients."""
        if self._adam is not None:
            self._adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """All that going on needs."""
        return {} if self._adam is None else self._adam.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of the same parameters."""
        if self._adam is None:
            return
        self._adam.load_state_dict(copy.deepcopy(dict(state)))
        for group in self._adam.param_groups:
            group["lr"] = self._learning_rate
