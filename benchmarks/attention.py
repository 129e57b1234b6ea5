"""Attention in windows, operation by operation and by torch's fused kernel, with either mask, alternating in one run.

    python benchmarks/attention.py [--rounds 9]

The second layer of the shipped SwinIR-S (60 channels, 6 heads, windows of 8x8), on 16 patches of 48x48 and on one image
of 128x128: inference, and forward and backward with the gradient of everything. Windows are plain, or shifted with what
is apart at -1000 (ours) or -100 (the official value). In float32, and on a GPU in bfloat16 too. Prints milliseconds
(the median over rounds), then how many times as long the explicit path takes as the fused one, and what is shifted by
-100 as what is shifted by -1000.

Torch's flex_attention is not among them: compiled, it takes no heads of fewer than 16 channels, and these have 10.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from step_speed import alternate
from torch import Tensor

from autocompress.networks.swinir import windows
from autocompress.networks.teachers import load_teacher

INPUTS = {"patches": (16, 48, 48), "image": (1, 128, 128)}
MASKS = {"plain": None, "shifted": windows.SEPARATED, "shifted-100": windows.OFFICIAL_SEPARATED}
PATHS = {"explicit": windows.explicit, "fused": windows.fused}
WARM_UP = 2

Times = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads", torch.__version__)
    ratios = []
    for dtype in ("float32", "bfloat16") if device == "cuda" else ("float32",):
        for size in INPUTS:
            for mode in ("inference", "training"):
                times = measure(size, mode, device, dtype, rounds)
                name = f"{dtype}-{size}-{mode}"
                print(name, ", ".join(f"{case} {1000 * seconds:.2f} ms" for case, seconds in times.items()), flush=True)
                ratios += [(f"{name}-{what}", ratio) for what, ratio in compared(times).items()]
    for name, ratio in ratios:
        print(f"{name} {ratio:.2f}")


def measure(size: str, mode: str, device: str, dtype: str, rounds: int) -> Times:
    """Median seconds of every path with every mask."""
    steps: dict[str, Callable[[int], None]] = {}
    for path in PATHS:
        for mask in MASKS:
            steps[f"{path} {mask}"] = partial(run, path, *prepared(size, mask, device), mode == "training", dtype)
    return alternate(steps, rounds, 1 if device == "cpu" else 20, device, warm_up=WARM_UP)


def prepared(size: str, mask: str, device: str) -> tuple[windows.WindowAttention, Tensor, Tensor | None]:
    """The attention, an input as a norm leaves it, and the mask."""
    attention = load_teacher("swinir-s-x2").get_submodule("layers.0.residual_group.blocks.1.attn").to(device)
    assert isinstance(attention, windows.WindowAttention)
    batch, height, width = INPUTS[size]
    x = torch.randn(batch, height, width, 60, generator=torch.Generator().manual_seed(0)).to(device)
    separated, side = MASKS[mask], attention.window
    if separated is None:
        return attention, x, None
    edges = windows.edge_masks(side, separated)
    return attention, x, windows.shift_mask(edges, height // side, width // side)[:, None].to(device)


def run(
    path: str,
    attention: windows.WindowAttention,
    x: Tensor,
    mask: Tensor | None,
    training: bool,
    dtype: str,
    steps: int,
) -> None:
    windows.attend = PATHS[path]
    low = torch.autocast(x.device.type, dtype=getattr(torch, dtype), enabled=dtype != "float32")
    for _ in range(steps):
        with torch.inference_mode(not training), low:
            out = attention(x.requires_grad_() if training else x, mask)
        if training:
            out.float().square().mean().backward()


def compared(times: Times) -> Times:
    """explicit / fused for each mask, and -100 / -1000 for each path."""
    faster = {f"{mask}-explicit-over-fused": times[f"explicit {mask}"] / times[f"fused {mask}"] for mask in MASKS}
    slower = {f"{path}-100-over-1000": times[f"{path} shifted-100"] / times[f"{path} shifted"] for path in PATHS}
    return faster | slower


if __name__ == "__main__":
    main()
