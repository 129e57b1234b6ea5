"""Architectures of spandrel at small sizes with random weights: what can vary, how exact, and who reads the students.

    python benchmarks/spandrel_networks.py [NAME ...]

For each: the counts with their least and most, or why nothing varies; the largest difference between the teacher and
its student of full size; the FLOPs formula over fvcore's count, for the teacher and a student of half of all counts;
PSNR of that student's output to its teacher's on random smooth images, refitted and with channels copied (the control);
and whether spandrel reads the student's tensors and computes the same. Random weights say nothing of trained ones:
starts of these are tried in benchmarks/own_networks.py. Needs spandrel (`pip install 'autocompress[spandrel]'`).
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autocompress.compute.flops import count_flops
from autocompress.errors import AutocompressError
from autocompress.networks.custom.network import CustomConfig, CustomNetwork
from autocompress.networks.custom.spandrel_networks import spandrel_family
from autocompress.shrink.engine import Projection
from autocompress.shrink.graph import Graph
from autocompress.shrink.observation import Teacher, observe

WINDOWS: dict[str, Any] = {"embed_dim": 24, "upscale": 2, "upsampler": "pixelshuffledirect"}
DEEP: dict[str, Any] = {"depths": (2, 2), "num_heads": (2, 2), "window_size": 8}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {  # by class: package, arguments
    "Compact": ("Compact", {"num_feat": 16, "num_conv": 4, "upscale": 2}),
    "ESRGAN": ("ESRGAN", {"num_filters": 16, "num_blocks": 2, "scale": 4}),
    "SPAN": ("SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 16, "upscale": 2}),
    "SAFMN": ("SAFMN", {"dim": 16, "n_blocks": 2, "upscaling_factor": 2}),
    "PLKSR": ("PLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 2}),
    "RealPLKSR": ("PLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 2}),
    "MoSR": ("MoSR", {"dim": 16, "n_block": 2, "upscale": 2}),
    "RCAN": ("RCAN", {"n_feats": 16, "n_resgroups": 2, "n_resblocks": 2, "reduction": 4, "scale": 2}),
    "OmniSR": ("OmniSR", {"num_feat": 16, "res_num": 2, "up_scale": 2}),
    "SeemoRe": ("SeemoRe", {"embedding_dim": 16, "num_layers": 2, "num_experts": 2, "scale": 2}),
    "DITN": ("DITN", {"dim": 16, "ITL_blocks": 2, "SAL_blocks": 2, "UFONE_blocks": 2, "upscale": 2}),
    "DCTLSA": ("DCTLSA", {"nf": 20, "num_head": 2, "upscale": 2}),
    "SwinIR": ("SwinIR", {**WINDOWS, **DEEP, "mlp_ratio": 2.0}),
    "HAT": (
        "HAT",
        {**WINDOWS, **DEEP, "mlp_ratio": 2.0, "num_feat": 64, "squeeze_factor": 6, "upsampler": "pixelshuffle"},
    ),
    "DAT": (
        "DAT",
        {
            **WINDOWS,
            "embed_dim": 64,
            "depth": [2, 2],
            "num_heads": [2, 2],
            "split_size": [4, 8],
            "expansion_factor": 2.0,
        },
    ),
    "DRCT": ("DRCT", {**WINDOWS, **DEEP, "gc": 8, "upsampler": "pixelshuffle"}),
    "CRAFT": ("CRAFT", {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2], "upscale": 2}),
    "ATD": ("ATD", {**WINDOWS, **DEEP, "category_size": 64, "num_tokens": 16}),
}
SIDE, IMAGES = 48, 6


def main() -> None:
    """Print a line for each network, and what stays."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "helpers"))
    from torchvision_stub import stand_in_for_torchvision

    stand_in_for_torchvision()
    names = sys.argv[1:] or list(NETWORKS)
    print("| network | varies | exact to | formula / fvcore, whole and half | refitted | copied | spandrel | s |")
    print("|---|---|---|---|---|---|---|---|")
    stays = []
    for name in names:
        start = time.monotonic()
        try:
            row, why = _tried(name)
        except (AutocompressError, RuntimeError, LookupError, TypeError, ArithmeticError) as error:
            row, why = f"refused: {type(error).__name__}: {' '.join(str(error).split())[:200]} | | | | | ", ""
        print(f"| {name} | {row} | {time.monotonic() - start:.0f} |", flush=True)
        stays.append(f"- {name}: {why or 'nothing stays'}")
    print("\nWhat stays, and why (parameters):\n", *stays, sep="\n")


def _tried(name: str) -> tuple[str, str]:
    package, arguments = NETWORKS[name]
    torch.manual_seed(0)
    network: nn.Module = getattr(importlib.import_module(f"spandrel.architectures.{package}"), name)(**arguments).eval()
    family = spandrel_family(network.state_dict())
    if family is None:
        return "spandrel does not recognise its tensors | | | | | ", ""
    teacher = family.with_tensors(network.state_dict(), input_range=1.0)
    assert isinstance(teacher, CustomNetwork)
    values = {count.field: numbers for count, numbers in family.values.items()}
    lr = _images()
    captured = Teacher(Graph.capture(teacher.network, lr[:1]))
    analysis = observe(captured, lr, 0)
    config = teacher.config
    assert isinstance(config, CustomConfig)
    whole = family.build(config).eval()
    Projection(captured, lr, analysis)(whole.network)
    halves = {field: min(numbers, key=lambda n: abs(n - max(numbers) / 2)) for field, numbers in values.items()}
    half = family.student_config(config, halves)
    psnr, ratios = {}, [family.flops(config) / count_flops(teacher, teacher.scale)]
    for refit in (True, False):
        student = family.build(half).eval()
        Projection(captured, lr, analysis, refit=refit)(student.network)
        psnr[refit] = _psnr(_each(student, _images(1)), _each(teacher, _images(1)))
        if refit:
            ratios.append(family.flops(half) / count_flops(student, student.scale))
            again = _read_again(student)
    varies = ", ".join(f"{field} {numbers[0]} to {numbers[-1]}" for field, numbers in values.items()) or "nothing"
    made = _each(teacher, lr)
    exact = float((_each(whole, lr) - made).abs().max() / made.abs().max())
    reasons = Counter(family.fixed().values())
    why = "; ".join(f"{number} because of {reason}" for reason, number in reasons.items())
    cells = [varies, f"{exact:.0e}", " ".join(f"{ratio:.4f}" for ratio in ratios)]
    return " | ".join([*cells, f"{psnr[True]:.1f} dB", f"{psnr[False]:.1f} dB", again]), why


def _read_again(student: CustomNetwork) -> str:
    family = spandrel_family(student.state_dict())
    if family is None:
        return "no"
    again = family.with_tensors(student.state_dict(), input_range=1.0)
    lr = _images(1)[:1]
    return "yes" if torch.allclose(again(lr), student(lr), atol=1e-5) else "computes something else"


def _each(network: nn.Module, lr: Tensor) -> Tensor:
    """What it makes of each image by itself: SeemoRe takes no more at once."""
    return torch.cat([network(image[None]) for image in lr])


def _images(seed: int = 0) -> Tensor:
    """Random images (IMAGES, 3, SIDE, SIDE) in [0, 1], smooth, as photographs are."""
    coarse = torch.rand(IMAGES, 3, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, scale_factor=4.0, mode="bicubic").clamp(0, 1)


def _psnr(computed: Tensor, expected: Tensor) -> float:
    power = (expected.amax() - expected.amin()).square()
    return float(10 * torch.log10(power / F.mse_loss(computed, expected)))


if __name__ == "__main__":
    with torch.no_grad():
        main()
