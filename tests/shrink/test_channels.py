"""The axes of small networks, read off their graphs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.attention import ChannelAttention, TokenAttention
from helpers.sr_networks import IMDN, RLFN, SMFANet, conv
from torch import Tensor, nn

from autocompress.errors import ConfigError
from autocompress.shrink.channels import ChannelMap
from autocompress.shrink.classes import Freedom
from autocompress.shrink.graph import Graph

FIXED, SELECT, CENTRE, ROTATE, PAIR, MIX = Freedom
IMAGE = torch.zeros(1, 3, 32, 32)


class Between(nn.Module):
    """Something between a layer to 8 channels and one that reads `inputs` and makes the image."""

    def __init__(self, inputs: int = 8, kernel: int = 3) -> None:
        super().__init__()
        self.first, self.last = conv(3, 8), conv(inputs, 12, kernel)
        self.between()

    def between(self) -> None:
        pass

    def apply_between(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.last(self.apply_between(self.first(x))), 2)


def axes(network: nn.Module) -> list[tuple[int, Freedom]]:
    """Size and freedom of each, the largest first."""
    return sorted(((a.size, a.freedom) for a in channel_map(network).axes), reverse=True)


def channel_map(network: nn.Module) -> ChannelMap:
    return ChannelMap.of(Graph.capture(network, IMAGE))


def between(apply: object, inputs: int = 8, **layers: nn.Module) -> nn.Module:
    """A `Between` with these layers; `apply` is called with it and the features."""
    network = Between(inputs)
    for name, layer in layers.items():
        setattr(network, name, layer)
    network.apply_between = lambda x: apply(network, x)  # type: ignore[operator, method-assign]
    return network


@pytest.mark.parametrize(
    ("apply", "expected"),
    [
        (lambda _, x: x, [(8, MIX)]),
        (lambda _, x: x + x, [(8, MIX)]),
        (lambda _, x: 2 * x - x / 3, [(8, MIX)]),
        (lambda _, x: x + 1, [(8, SELECT)]),
        (lambda _, x: x * x, [(8, SELECT)]),
        (lambda _, x: F.relu(x), [(8, SELECT)]),
        (lambda _, x: 1 / (2 + x), [(8, SELECT)]),
        (lambda _, x: F.gelu(x) * torch.sigmoid(x.mean((2, 3), keepdim=True)), [(8, SELECT)]),
        (lambda _, x: F.normalize(x), [(8, ROTATE)]),
        (lambda _, x: x * x.mean(1, keepdim=True), [(8, SELECT)]),
        (lambda _, x: x * x[:, :1], [(7, MIX)]),  # the one that gates stays where it is
        (lambda _, x: F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear"), [(8, MIX)]),
        (lambda _, x: F.max_pool2d(x, 3, 1, 1), [(8, SELECT)]),
        (lambda _, x: x.flip(2).roll(1, 3), [(8, MIX)]),
        (lambda _, x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), [(8, MIX)]),
        (lambda _, x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1), [(8, MIX)]),
        (lambda _, x: sum(x.split([4, 4], dim=1)).repeat(1, 2, 1, 1), [(4, MIX)]),  # type: ignore[attr-defined]
        (lambda _, x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2), [(8, MIX)]),
        (lambda _, x: x.cumsum(1), []),  # an operation that is not known: its channels stay
        (lambda _, x: torch.softmax(x, dim=1), []),
    ],
)
def test_what_operations_do_to_channels(apply: object, expected: list[tuple[int, Freedom]]) -> None:
    assert axes(between(apply)) == expected


def test_concatenated_with_itself_each_channel_is_read_twice() -> None:
    channels = channel_map(between(lambda _, x: torch.cat([x, x], dim=1), inputs=16))
    (use,) = channels.uses["last.weight", 1]
    assert use.rows.tolist() == [[channel, channel + 8] for channel in range(8)]


def test_pixel_shuffle_makes_one_channel_of_four() -> None:
    channels = channel_map(between(lambda n, x: F.avg_pool2d(F.pixel_shuffle(n.wide(x), 2), 2), wide=conv(8, 32)))
    (use,) = channels.uses["wide.weight", 0]
    assert use.rows.tolist() == [[4 * channel + sub for sub in range(4)] for channel in range(8)]
    assert channels.axes[use.axis].freedom is MIX


def test_a_shuffle_of_channels_is_followed() -> None:
    def shuffle(_: object, x: Tensor) -> Tensor:
        return x.view(1, 2, 4, 32, 32).transpose(1, 2).reshape(1, 8, 32, 32)

    channels = channel_map(between(shuffle))
    ((written,), (read,)) = channels.uses["first.weight", 0], channels.uses["last.weight", 1]
    assert written.rows.flatten().tolist() == list(range(8))
    assert read.rows.flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_layers_on_each_channel_alone_keep_its_axis() -> None:
    assert axes(between(lambda n, x: n.depthwise(x), depthwise=conv(8, 8, 3, groups=8))) == [(8, SELECT)]
    doubled = channel_map(between(lambda n, x: n.depthwise(x), inputs=16, depthwise=conv(8, 16, 3, groups=8)))
    (use,) = doubled.uses["depthwise.weight", 0]
    assert use.rows.tolist() == [[2 * channel, 2 * channel + 1] for channel in range(8)]


def test_a_convolution_of_several_groups_keeps_as_many_channels_of_each() -> None:
    channels = channel_map(between(lambda n, x: n.grouped(x), grouped=conv(8, 8, 3, groups=2)))
    assert [(axis.size, axis.freedom) for axis in channels.axes] == [(4, SELECT)] * 2
    (read,) = channels.uses["grouped.weight", 1]
    assert read.rows.tolist() == [[0], [1], [2], [3]]
    (written,) = channels.uses["grouped.weight", 0]
    assert written.rows.tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_a_norm_of_several_groups_keeps_as_many_channels_of_each() -> None:
    channels = channel_map(between(lambda n, x: n.norm(x), norm=nn.GroupNorm(4, 8)))
    assert [(axis.size, axis.freedom) for axis in channels.axes] == [(2, SELECT)]


@pytest.mark.parametrize("mask", [None, "numbers", "yes and no"])
@pytest.mark.parametrize("fused", [False, True])
def test_heads_of_attention_keep_as_many_channels_each(fused: bool, mask: str | None) -> None:
    pixels = IMAGE.shape[2] * IMAGE.shape[3]
    shut = torch.zeros(pixels, pixels, dtype=torch.bool)
    shut[: pixels // 2, pixels // 2 :] = True
    bias = torch.zeros(pixels, pixels).masked_fill(shut, -100)

    def attention(network: nn.Module, x: Tensor) -> Tensor:
        rows = network.qkv(x.flatten(2).transpose(1, 2))  # type: ignore[operator]
        q, k, v = rows.view(1, -1, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        if fused:
            masks = {None: None, "numbers": bias, "yes and no": ~shut}
            made = F.scaled_dot_product_attention(q, k, v, masks[mask])
        else:
            scores = q @ k.transpose(-2, -1)
            made = (scores if mask is None else scores + bias).softmax(-1) @ v
        return made.transpose(1, 2).reshape(1, -1, 8).transpose(1, 2).view(x.shape)

    channels = channel_map(between(attention, qkv=nn.Linear(8, 24)))
    assert sorted((axis.size, axis.freedom) for axis in channels.axes) == [(4, PAIR), (4, MIX), (8, MIX)]
    by_size = {axis: use.rows.tolist() for use in channels.uses["qkv.weight", 0] for axis in [use.rows.shape[1]]}
    assert by_size == {
        4: [[row + head for head in (0, 4, 8, 12)] for row in range(4)],  # of queries and keys
        2: [[row + head for head in (16, 20)] for row in range(4)],
    }


@pytest.mark.parametrize("by_einsum", [False, True])
def test_attention_over_channels(by_einsum: bool) -> None:
    network = ChannelAttention(by_einsum=by_einsum)
    found = channel_map(network)
    uses = found.uses["qkv.weight", 0]
    assert axes(network) == [(12, MIX), (4, SELECT), (4, SELECT)]
    assert sorted(tuple(use.rows.shape) for use in uses) == [(4, 2), (4, 4)]  # q; k with v
    assert not found.uses.get(("temperature", 0))


def test_pixels_that_are_looked_up_keep_their_channels_where_all_are_looked_up_at_the_same_places() -> None:
    assert axes(TokenAttention()) == [(8, MIX), (4, ROTATE)]
    assert axes(TokenAttention(together=False)) == [(4, ROTATE)]


class Unfolded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.mix, self.last = conv(3, 8), nn.Linear(72, 16), conv(16, 12)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.unfold(self.first(x), 3, padding=1).transpose(1, 2)
        return F.pixel_shuffle(self.last(self.mix(patches).transpose(1, 2).unflatten(2, x.shape[-2:])), 2)


def test_patches_have_the_channels_of_their_pixels() -> None:
    assert axes(Unfolded()) == [(16, MIX), (8, MIX)]
    (use,) = channel_map(Unfolded()).uses["mix.weight", 1]
    assert use.rows.tolist() == [list(range(9 * channel, 9 * channel + 9)) for channel in range(8)]


def test_a_transposed_convolution_on_each_channel_alone() -> None:
    network = between(lambda net, x: F.avg_pool2d(net.up(x), 2), up=nn.ConvTranspose2d(8, 8, 2, stride=2, groups=8))
    assert axes(network) == [(8, SELECT)]


def test_what_is_made_of_constants_belongs_to_no_channel() -> None:
    positions = torch.arange(32.0).view(1, 1, 1, 32)
    network = between(lambda _, x: x + positions.to(x).cumsum(-1))
    assert axes(network) == [(8, SELECT)]


@pytest.mark.parametrize(
    ("layer", "freedom"),
    [
        (nn.BatchNorm2d(8), SELECT),
        (nn.InstanceNorm2d(8, affine=True), SELECT),
        (nn.GroupNorm(1, 8), SELECT),
        (nn.PReLU(8), SELECT),
        (nn.PReLU(), SELECT),
    ],
)
def test_norms_and_activations_with_parameters(layer: nn.Module, freedom: Freedom) -> None:
    channels = channel_map(between(lambda n, x: n.layer(x), layer=layer))
    assert [(a.size, a.freedom) for a in channels.axes] == [(8, freedom)]
    along = [len(use.rows) for (name, _), uses in channels.uses.items() if name == "layer.weight" for use in uses]
    assert along == ([8] if layer.state_dict()["weight"].numel() > 1 else [])


def test_parameters_that_are_added_or_multiplied_run_along_the_axis() -> None:
    class Scaled(Between):
        def between(self) -> None:
            self.gain, self.shift = (nn.Parameter(torch.ones(1, 8, 1, 1)) for _ in range(2))

        def apply_between(self, x: Tensor) -> Tensor:
            return self.gain * x + self.shift

    channels = channel_map(Scaled())
    assert [(a.size, a.freedom) for a in channels.axes] == [(8, SELECT)]
    assert {("gain", 1), ("shift", 1)} <= channels.uses.keys()


def test_linear_layers_and_layer_norms_of_a_transformer() -> None:
    class MLP(Between):
        def between(self) -> None:
            self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(24, 8)

        def apply_between(self, x: Tensor) -> Tensor:
            rows = x.flatten(2).transpose(1, 2)
            rows = rows + self.down(F.gelu(self.up(self.norm(rows))))
            return rows.transpose(1, 2).reshape(x.shape)

    assert axes(MLP()) == [(24, SELECT), (8, CENTRE)]


def test_a_transposed_convolution() -> None:
    class Deconvolved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.up, self.last = conv(3, 8), nn.ConvTranspose2d(8, 6, 2, 2), conv(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.up(self.first(x)))

    channels = channel_map(Deconvolved())
    assert sorted((a.size, a.freedom) for a in channels.axes) == [(6, MIX), (8, MIX)]
    assert {("up.weight", 0), ("up.weight", 1), ("up.bias", 0)} <= channels.uses.keys()


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (RLFN(12, 2, 4, mid=2), {(12, SELECT): 7, (4, MIX): 4, (4, SELECT): 2}),
        pytest.param(
            IMDN(16, 2, 2),
            {(4, SELECT): 8, (12, SELECT): 6, (1, SELECT): 2, (16, MIX): 1, (16, SELECT): 1},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            SMFANet(8, 2, 2.0, 2),
            {(16, SELECT): 2, (12, SELECT): 2, (8, SELECT): 4, (4, SELECT): 4, (8, ROTATE): 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_published_networks(network: nn.Module, expected: dict[tuple[int, Freedom], int]) -> None:
    found = axes(network)
    assert {each: found.count(each) for each in found} == expected


def test_a_graph_that_cannot_be_captured_says_where() -> None:
    def branch(_: object, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x

    with pytest.raises(ConfigError, match="the graph of Between cannot be captured"):
        channel_map(between(branch))


@pytest.mark.parametrize(
    ("apply", "operation"),
    [
        (lambda _, x: x - x[x > 0].mean(), "index"),
        pytest.param(
            lambda _, x: x + torch.nonzero(x > 0).float().mean(), "nonzero", marks=pytest.mark.slow, id="nonzero"
        ),
        pytest.param(lambda _, x: x * torch.unique(x).numel(), "_unique2", marks=pytest.mark.slow, id="unique"),
    ],
)
def test_sizes_that_depend_on_values_are_refused(apply: object, operation: str) -> None:
    message = rf"cannot be captured \(test_channels\.py, line \d+: .*\): what {operation} makes has a size that depends"
    with pytest.raises(ConfigError, match=message):
        Graph.capture(between(apply), IMAGE)


@pytest.mark.parametrize(
    "apply",
    [
        lambda _, x: x + x[:, (at := x.argmax().item() % 4) : at + 1],
        lambda _, x: x.roll(x.argmax().item(), 2),
    ],
)
def test_what_a_number_of_values_moves_stays(apply: object) -> None:
    found = channel_map(between(apply))
    assert found.axes == ()
    assert found.reasons.keys() == {"forward"}


def test_a_constant_may_be_empty() -> None:
    class Empty(Between):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + self.nothing.sum())

    network = Empty()
    network.register_buffer("nothing", torch.zeros(0, 3))
    assert channel_map(network).axes == channel_map(Between()).axes


def test_a_network_of_two_images_is_refused() -> None:
    class Pair(Between):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            return super().forward(x), x

    with pytest.raises(ConfigError, match="1 inputs and 2 outputs"):
        channel_map(Pair())


def test_channels_of_heads_are_each_heads_own() -> None:
    """As many in each, but others: what is read of queries and keys is paired, of values mixed."""

    class Heads(Between):
        shift = False

        def between(self) -> None:
            self.qkv, self.proj, self.bias = nn.Linear(8, 24), nn.Linear(8, 8), nn.Parameter(torch.zeros(8))

        def apply_between(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).chunk(3, -1)
            q, k, v = (
                each.unflatten(-1, (2, 4)).transpose(1, 2) for each in (q + self.bias if self.shift else q, k, v)
            )
            mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
            return x + self.proj(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)

    class Shifted(Heads):
        shift = True

    channels = channel_map(Heads())
    found = {channels.axes[use.axis].freedom: use for use in channels.uses["qkv.weight", 0]}
    assert found.keys() == {PAIR, MIX}
    assert found[PAIR].rows.tolist() == [[each + head for head in (0, 4, 8, 12)] for each in range(4)]
    assert found[PAIR].heads.tolist() == [0, 1, 0, 1]
    assert found[PAIR].left.tolist() == [True, True, False, False]
    assert found[MIX].heads.tolist() == [0, 1]
    (read,) = channels.uses["proj.weight", 1]
    assert (read.axis, read.heads.tolist()) == (found[MIX].axis, [0, 1])
    assert channels.axes[read.axis].heads == 2
    shifted = channel_map(Shifted())
    # of a bias that is added later nothing says on which side of the product it is
    assert {shifted.axes[use.axis].freedom for use in shifted.uses["qkv.weight", 0]} == {SELECT, MIX}
