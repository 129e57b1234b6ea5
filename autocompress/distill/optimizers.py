"""What updates a student's weights: SOAP, or Adam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from autocompress.distill.adam import Adam
from autocompress.distill.soap import SOAP

OPTIMIZERS = ("soap", "adam")


class Optimizer(Protocol):
    """Of all parameters of some modules; `step` may be captured in a CUDA graph, `after_step` is called outside it."""

    def step(self) -> None:
        """Update every parameter by its gradient."""

    def after_step(self) -> None:
        """What is due now and then, and can't be captured."""

    def zero_grad(self) -> None:
        """Forget all gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that going on needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict()` of the same modules."""


def make_optimizer(
    name: str, modules: Sequence[nn.Module], learning_rate: Tensor, capturable: bool = False
) -> Optimizer:
    """One of OPTIMIZERS for all parameters of these modules."""
    if name == "soap":
        return SOAP(modules, learning_rate, capturable)
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return Adam(parameters, learning_rate, capturable)
