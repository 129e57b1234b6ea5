from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from autocompress.compute.convolution import conv3x3, exempt_from_autocast, speed_up_on_gpu


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


def test_a_transposed_convolution_is_exempt_from_autocast_too() -> None:
    torch.manual_seed(0)
    layer, x = nn.ConvTranspose2d(4, 3, 3, stride=2), torch.rand(1, 4, 5, 5)
    whole, larger = layer(x), layer(x, output_size=[12, 12])
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        exempt_from_autocast([layer])
        torch.testing.assert_close(layer(x), whole, atol=0, rtol=0)
        torch.testing.assert_close(layer(x, output_size=[12, 12]), larger, atol=0, rtol=0)


def test_what_is_exempt_from_autocast_is_computed_in_float32() -> None:
    torch.manual_seed(0)
    first, last, x = conv3x3(3, 8), conv3x3(8, 3), torch.rand(1, 3, 9, 9)
    network = nn.Sequential(first, nn.ReLU(), last, nn.ReLU())
    whole, names = network(x), list(network.state_dict())
    exempt_from_autocast([first, network[1]])
    torch.testing.assert_close(network(x), whole, atol=0, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(first(x.bfloat16()), first(x.bfloat16().float()))
        assert last(first(x)).dtype == torch.bfloat16
        exempt_from_autocast([last])
        torch.testing.assert_close(network(x), whole, atol=0, rtol=0)
    assert list(network.state_dict()) == names
    assert torch.equal(pickle.loads(pickle.dumps(network))(x), whole)
