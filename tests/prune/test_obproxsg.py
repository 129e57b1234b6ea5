"""OBProx-SG: the steps of the original, and each weight by hand."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from autocompress.prune.obproxsg import OBProxSG


def descend(weight: Tensor, gradients: Tensor, prox_steps: int, lr: float, lambda_: float) -> list[Tensor]:
    parameter = torch.nn.Parameter(weight.clone())
    descent = OBProxSG([parameter], lr=lr, lambda_=lambda_, prox_steps=prox_steps, eps=1e-4)
    after = []
    for gradient in gradients:
        parameter.grad = gradient.clone()
        descent.step()
        after.append(parameter.detach().clone())
    return after


def test_the_reference_steps(shared: Path) -> None:
    golden = torch.load(shared / "golden" / "obproxsg.pt", weights_only=True)
    after = descend(golden["start"], golden["grads"], golden["prox_steps"], golden["lr"], golden["lambda"])
    for ours, theirs in zip(after, golden["after_each_step"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
        assert torch.equal(ours == 0, theirs == 0)


def by_hand(weight: float, gradient: float, orthant: bool, lr: float, lambda_: float) -> float:
    if not orthant:
        moved = weight - lr * gradient
        return max(moved - lr * lambda_, 0.0) + min(moved + lr * lambda_, 0.0)
    if weight == 0:
        return 0.0
    sign = 1 if weight > 0 else -1
    moved = weight - lr * (gradient + lambda_ * sign)
    return moved if moved * sign > 1e-4 else 0.0


@pytest.mark.parametrize("prox_steps", [0, 3, 6])
def test_each_weight_by_hand(prox_steps: int) -> None:
    random = torch.Generator().manual_seed(0)
    weight = 0.01 * torch.randn(500, generator=random, dtype=torch.float64)
    weight[::7] = 0
    gradients = torch.randn(6, 500, generator=random, dtype=torch.float64)
    expected, zeros = weight.tolist(), []
    for step, after in enumerate(descend(weight, gradients, prox_steps, 0.005, 0.5)):
        pairs = zip(expected, gradients[step].tolist(), strict=True)
        expected = [by_hand(one, gradient, step >= prox_steps, 0.005, 0.5) for one, gradient in pairs]
        torch.testing.assert_close(after, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15)
        zeros.append(int((after == 0).sum()))
    assert zeros[-1] > 50
    assert prox_steps or zeros == sorted(zeros)  # in an orthant a zero stays


def test_what_is_not_pulled_takes_plain_steps() -> None:
    after = descend(torch.tensor([1e-5, 0.0]), torch.tensor([[0.0, -1.0]]), 0, 0.5, 0.0)
    assert after[0].tolist() == pytest.approx([1e-5, 0.5])
