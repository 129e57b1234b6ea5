from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from autocompress.compute.convolution import conv3x3, speed_up_on_gpu


def test_only_plain_3x3_convolutions_get_another_gradient() -> None:
    plain = conv3x3(3, 8)
    others = [
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding=1, stride=2),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
    ]
    speed_up_on_gpu(nn.Sequential(plain, *others))
    assert type(plain) is not nn.Conv2d
    assert all(type(other) is nn.Conv2d for other in others)


def test_what_is_sped_up_is_the_same_network() -> None:
    torch.manual_seed(0)
    network, x = nn.Sequential(conv3x3(3, 8), nn.ReLU(), conv3x3(8, 3)), torch.rand(1, 3, 9, 9)
    before = network(x)
    speed_up_on_gpu(network)
    for same in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(same(x), before)
        assert list(same.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
