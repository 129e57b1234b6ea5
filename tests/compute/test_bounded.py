"""Bounds on what is allocated while a network is built."""

import pytest
import torch
from torch import nn

from autocompress.compute.bounded import MOST_OPERATIONS, TooLarge, bounded, worth

MOST = 10_000  # bytes


def test_what_is_within_is_as_without() -> None:
    torch.manual_seed(0)
    with bounded(MOST):
        made = nn.Conv2d(3, 8, 3).state_dict()
    torch.manual_seed(0)
    assert all(torch.equal(made[name], value) for name, value in nn.Conv2d(3, 8, 3).state_dict().items())


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(10**6, 10**6),  # more than there is: told before it is asked for
        lambda: torch.arange(10**15),
        lambda: torch.zeros(50, 1) + torch.zeros(1, 100),
        lambda: torch.cat([torch.zeros(1000), torch.zeros(1000)]),
        lambda: torch.zeros(1).expand(10**12).clone(),
        lambda: torch.zeros(100).repeat(100),
        lambda: torch.meshgrid(torch.arange(100), torch.arange(100), indexing="ij")[0] + 1,
        lambda: [torch.zeros(1000) for _ in range(10)],
        lambda: nn.Linear(10**6, 10**6),
    ],
)
def test_what_is_beyond_is_refused_before_it_is_made(make: object) -> None:
    assert callable(make)
    with pytest.raises(TooLarge, match="the network takes more than 10KB of memory to build"), bounded(MOST):
        make()


def test_what_takes_no_memory_does_not_count() -> None:
    with bounded(MOST):
        torch.zeros(1).expand(10**12)
        some = torch.zeros(1000)
        for _ in range(100):
            some.add_(1)
            some.view(10, 100)[3:].transpose(0, 1)
        with torch.device("meta"):
            nn.Linear(10**6, 10**6)
        assert int(torch.ones(3).sum().item()) == 3


def count_to(most: int) -> None:
    tensor = torch.zeros(1)
    for _ in range(most):
        tensor.add_(1)


def test_many_operations_are_refused() -> None:
    with bounded(MOST):
        count_to(MOST_OPERATIONS // 2)
    with pytest.raises(TooLarge, match=f"more than {MOST_OPERATIONS} operations"), bounded(MOST):
        count_to(MOST_OPERATIONS)


def test_what_weights_are_worth_grows_with_them() -> None:
    assert worth({"a": torch.zeros(10**6)}) - worth({}) == 64 * 10**6
