"""What a SwinIR computes on its way from images to sub-pixels, kept or step by step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from autocompress.networks.swinir.network import ResidualBlock, SwinIR, TransformerLayer
from autocompress.networks.swinir.windows import shift_mask
from autocompress.shrink.least_squares import Pixels


@dataclass(frozen=True)
class Trace:
    """What a SwinIR computes on its way: each (B, H, W, C), or, at chosen pixels, (N, C)."""

    first: list[Tensor]  # one: after conv_first
    stream: list[Tensor]  # after the first norm, and after each attention, MLP and convolution of the body
    mixed: list[Tensor]  # what the projection of each attention reads
    shallow: list[Tensor]  # one: what the upsampling reads
    output: list[Tensor]  # one: what the first convolution behind that makes of it


def trace(network: SwinIR, lr: Tensor) -> Trace:
    """Run `network` on (B, 3, h, w) images in [0, 1], padded to whole windows, keeping what it computes."""
    first = network.conv_first(lr - network.mean).permute(0, 2, 3, 1)
    mask = mask_of(network, first)
    stream, mixed = [network.patch_embed(first)], []
    for block in blocks(network):
        start = stream[-1]
        for layer in layers(block):
            mixed.append(layer.mixed(stream[-1], mask))
            stream.append(stream[-1] + layer.attn.proj(mixed[-1]))
            stream.append(stream[-1] + layer.mlp(layer.norm2(stream[-1])))
        stream.append(start + channels_last(block.conv, stream[-1]))
    shallow = channels_last(network.conv_after_body, network.norm(stream[-1])) + first
    return Trace([first], stream, mixed, [shallow], [channels_last(reader(network), shallow)])


def mask_of(network: SwinIR, x: Tensor) -> Tensor:
    """What keeps apart the pixels of shifted windows of (B, H, W, C) features."""
    side = network.config.window_size
    return shift_mask(network.edges, x.shape[1] // side, x.shape[2] // side)[:, None]


def channels_last(conv: nn.Module, x: Tensor) -> Tensor:
    """A convolution of features whose channels come last, (B, H, W, C), as they do in the body."""
    result: Tensor = conv(x.permute(0, 3, 1, 2))
    return result.permute(0, 2, 3, 1)


def rows_of(at: Pixels, x: Tensor) -> Tensor:
    """Of features (B, H, W, C), those at these pixels, (N, C)."""
    return at.of(x.permute(0, 3, 1, 2))


def blocks(network: SwinIR) -> list[ResidualBlock]:
    """The residual blocks."""
    return [block for block in network.layers if isinstance(block, ResidualBlock)]


def layers(block: ResidualBlock) -> list[TransformerLayer]:
    """The transformer layers of a residual block."""
    return [layer for layer in block.residual_group.blocks if isinstance(layer, TransformerLayer)]


def starts(depths: tuple[int, ...]) -> list[int]:
    """Where in `Trace.stream` each residual block starts, and where the last one ends."""
    indices = [0]
    for depth in depths:
        indices.append(indices[-1] + 2 * depth + 1)
    return indices


def reader(network: SwinIR) -> nn.Conv2d:
    """The convolution that reads what the body and the long skip make."""
    stage = network.upsample[0] if network.config.direct else network.conv_before_upsample[0]
    assert isinstance(stage, nn.Conv2d)
    return stage
