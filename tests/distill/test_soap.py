"""SOAP: against a plain reading of its paper in float64, and that it goes on after a stop as if there was none."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from autocompress.distill import soap
from autocompress.distill.adam import BETAS
from autocompress.distill.soap import SOAP

Step = Callable[[nn.Module], None]


def network() -> nn.Sequential:
    """Layers of equal and of different shapes, one with a side too short to turn, and parameters for Adam."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.PReLU(6),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.Conv2d(6, 4, 1),
        nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1),
        nn.Flatten(2),
        nn.Linear(64, 5),
        nn.LayerNorm(5),
    )


def backward(module: nn.Module, step: int) -> None:
    """Gradients of a loss that differs from step to step."""
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(step)).to(next(module.parameters()))
    torch.autograd.backward(module(x).square().mean() + module(x).abs().mean())


def take_steps(module: nn.Module, optimizer: SOAP, first: int, last: int) -> None:
    for step in range(first, last):
        optimizer.zero_grad()
        backward(module, step)
        optimizer.step()
        optimizer.after_step()


class Reference:
    """Algorithm 3 of the paper for one weight with its sides as a tensor, without a thought for speed."""

    def __init__(self, weight: Tensor, rate: float) -> None:
        self.rate, self.weight, self.steps = rate, weight.detach().double(), 0

    def turned(self, tensor: Tensor, back: bool = False) -> Tensor:
        for side, basis in self.bases.items():
            tensor = torch.tensordot(tensor, basis.T if back else basis, ([side], [0])).movedim(-1, side)
        return tensor

    def step(self, gradient: Tensor) -> None:
        g = gradient.double().flatten(2) if gradient.dim() > 2 else gradient.double()
        covariances = {
            side: torch.tensordot(g, g, 2 * [[other for other in range(g.dim()) if other != side]])
            for side, size in enumerate(g.shape)
            if size > 1
        }
        if self.steps == 0:
            self.factors = covariances
            self.bases = {side: torch.linalg.eigh(factor)[1].flip(1) for side, factor in covariances.items()}
            self.mean, self.variance = torch.zeros_like(g), torch.zeros_like(g)
        else:
            (b1, b2), t = soap.BETAS, self.steps
            self.mean = b1 * self.mean + (1 - b1) * g
            self.variance = b2 * self.variance + (1 - b2) * self.turned(g) ** 2
            direction = self.turned(self.mean) / (1 - b1**t)
            direction /= (self.variance / (1 - b2**t)).sqrt() + soap.EPSILON
            self.weight -= self.rate * self.turned(direction, back=True).view_as(self.weight)
            for side, covariance in covariances.items():
                self.factors[side] = soap.FACTOR_DECAY * self.factors[side] + (1 - soap.FACTOR_DECAY) * covariance
        self.steps += 1
        if self.steps % soap.RENEW_EVERY == 0:
            for side, factor in self.factors.items():
                order = (self.bases[side] * (factor @ self.bases[side])).sum(0).argsort(descending=True)
                self.variance = self.variance.index_select(side, order)
                self.bases[side] = torch.linalg.qr(factor @ self.bases[side][:, order])[0]


def test_weights_move_as_the_paper_says_and_all_else_by_adam() -> None:
    module, rate = network().double(), 1e-2
    optimizer = SOAP([module], torch.tensor(rate))
    layers = [layer for layer in module if isinstance(layer, soap.LAYERS)]
    assert [type(layer).__name__ for layer in layers] == [*["Conv2d"] * 5, "ConvTranspose2d", "Linear"]
    references = [Reference(layer.weight, rate) for layer in layers]
    twin = network().double()
    others = [
        name for name, _ in twin.named_parameters() if not name.endswith("weight") or int(name.split(".")[0]) in (2, 9)
    ]
    adam = torch.optim.Adam([twin.get_parameter(name) for name in others], lr=rate, betas=BETAS)
    for step in range(2 * soap.RENEW_EVERY + 3):
        optimizer.zero_grad()
        backward(module, step)
        for layer, reference in zip(layers, references, strict=True):
            assert layer.weight.grad is not None
            reference.step(layer.weight.grad)
        for name in others:
            twin.get_parameter(name).grad = module.get_parameter(name).grad
        optimizer.step()
        optimizer.after_step()
        adam.step()
    for layer, reference in zip(layers, references, strict=True):
        assert (layer.weight - reference.weight).abs().max() < 1e-3 * rate
    for name in others:
        assert torch.allclose(module.get_parameter(name), twin.get_parameter(name), atol=1e-9)


def test_stacked_or_alone_is_the_same() -> None:
    """Layers of one shape are worked on together, which changes nothing for any of them."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 4, 3) for _ in range(3)]
    alone = [nn.Conv2d(4, 4, 3) for _ in range(3)]
    for one, other in zip(layers, alone, strict=True):
        other.load_state_dict(one.state_dict())
    together, apart = SOAP(layers, torch.tensor(1e-2)), [SOAP([one], torch.tensor(1e-2)) for one in alone]
    for step in range(12):
        for index, pair in enumerate(zip(layers, alone, strict=True)):
            for layer in pair:
                layer.zero_grad()
                x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(10 * step + index))
                torch.autograd.backward(layer(x).square().mean())
        for optimizer in (together, *apart):
            optimizer.step()
            optimizer.after_step()
    for one, other in zip(layers, alone, strict=True):
        assert torch.allclose(one.weight, other.weight, atol=1e-6)


@pytest.mark.parametrize("stop", [1, 10, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (0, 9, 14))])
def test_after_a_stop_it_goes_on_to_the_same_last_bit(stop: int) -> None:
    whole, optimizer = network(), None
    take_steps(whole, SOAP([whole], torch.tensor(4e-3)), 0, 25)
    first = network()
    optimizer = SOAP([first], torch.tensor(4e-3))
    take_steps(first, optimizer, 0, stop)
    file = io.BytesIO()
    torch.save({"network": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
    state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    second = network()
    second.load_state_dict(state["network"])
    other = SOAP([second], torch.tensor(4e-3))
    other.load_state_dict(state["optimizer"])
    take_steps(second, other, stop, 25)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_a_side_that_is_too_long_is_not_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soap, "LARGEST", 8)
    layer = nn.Linear(20, 4)
    optimizer = SOAP([layer], torch.tensor(1e-2))
    take_steps(nn.Sequential(nn.Flatten(2), nn.Linear(16, 20), layer), optimizer, 0, 12)
    (stack,) = optimizer.state_dict()["stacks"]
    assert {name for name in stack if name.startswith("factor")} == {"factor.0"}


def test_an_ill_conditioned_problem_is_solved_sooner_than_by_adam() -> None:
    """Inputs that are nearly the same: Adam must zigzag along each weight, SOAP need not."""
    torch.manual_seed(0)
    mixing = torch.randn(12, 12) @ torch.diag(torch.logspace(0, -2, 12)) @ torch.randn(12, 12)
    x, truth = torch.randn(256, 12) @ mixing, torch.randn(5, 12)
    losses = []
    for name in ("soap", "adam"):
        layer = nn.Linear(12, 5, bias=False)
        nn.init.zeros_(layer.weight)
        rate = torch.tensor(2e-2)
        adam = torch.optim.Adam(layer.parameters(), lr=2e-2)
        optimizer = SOAP([layer], rate)
        for _ in range(300):
            layer.zero_grad()
            loss = (layer(x) - x @ truth.T).square().mean()
            torch.autograd.backward(loss)
            if name == "adam":
                adam.step()
            else:
                optimizer.step()
                optimizer.after_step()
        losses.append(loss.item())
    assert losses[0] < 0.5 * losses[1]
