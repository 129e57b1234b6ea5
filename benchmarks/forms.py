"""Forms of small networks at the same FLOPs: what published ones do with theirs, trained alike from random weights.

    python benchmarks/forms.py --weights DIR --train DIR --valid DIR [--test Set5=DIR ...] --log FILE [--every N]
        [--seeds N] [--budget 3 12] [--form compact attention] [--steps 300 3000]

DIR has SMFANet_plus_DIV2K_100w_x2SR.pth (sunny2109/SMFANet), which teaches all; its code is in tests/helpers. Every
form is `Form` with other arguments, known to the package as one's own code, and trained by the default recipe of a
search. Its width, and one block less or more, are chosen for the FLOPs. `edsr`, `edsr-folded` and `compact` are the
forms of the spaces of these names, and those called `edsr, ...` and `compact, ...` differ in one or two things from
edsr-folded and compact. Prints the mean and half the range over the seeds, and the processor's seconds in training.
"""

from __future__ import annotations

import runpy
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from laboratory import parser
from own_networks import CODE, OwnLaboratory
from torch import Tensor, nn
from typing_extensions import override

from autocompress.compute.flops import count_flops
from autocompress.distill.recipe import Recipe
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.plainusr import _Block as PlainUSRBlock
from autocompress.prune import from_scratch

HELPERS = runpy.run_path(str(CODE))
conv, SMFANetBlock = HELPERS["conv"], HELPERS["FMB"]
SCALE = 2
WIDTHS = range(4, 64)
EDSR: dict[str, Any] = {"block": "residual", "activation": "relu", "tail": 5, "skip": "features"}
FORMS: dict[str, tuple[int, dict[str, Any]]] = {  # blocks at 3G, and arguments of Form
    "edsr": (8, {**EDSR, "tail": "edsr"}),
    "edsr-folded": (8, EDSR),
    "edsr, 3x3 tail": (8, {**EDSR, "tail": 3}),
    "edsr, PReLU": (8, {**EDSR, "activation": "prelu"}),
    "edsr, image skip": (8, {**EDSR, "skip": "image"}),
    "compact": (8, {}),
    "compact, ReLU": (8, {"activation": "relu"}),
    "compact, no skip": (8, {"skip": ""}),
    "compact, 5x5 ends": (8, {"head": 5, "tail": 5}),
    "compact, wide": (4, {}),
    "compact, deep": (16, {}),
    "compact, identity": (8, {"block": "identity"}),
    "compact, residual": (4, {"block": "residual"}),
    "compact, deep residual": (8, {"block": "residual"}),
    "compact, ends of edsr-folded": (8, {"tail": 5, "skip": "features"}),
    "compact, gate": (8, {"block": "gate"}),
    "attention": (4, {"block": "attention"}),
    "partial": (8, {"block": "partial"}),
    "product": (6, {"block": "product"}),
    "smfa": (3, {"block": "smfa"}),
    "smfa, ends of edsr-folded": (3, {"block": "smfa", "tail": 5, "skip": "features"}),
}
DEEPER = {3: 1.0, 12: 1.5}  # as many times the blocks at so many G


def activation_of(width: int, name: str) -> nn.Module:
    return nn.PReLU(width) if name == "prelu" else nn.ReLU()


class Added(nn.Sequential):
    """What its modules make of the features is added to them."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        made = x
        for module in self:
            made = module(made)
        return x + made


class Gate(nn.Module):
    """Multiplies by the sigmoid of the first channel (PlainUSR's gate, which costs nothing that fvcore counts)."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x * x[:, :1].sigmoid()


class Partial(nn.Module):
    """A 3x3 convolution of a quarter of the channels; the others pass by (Chen et al., FasterNet, CVPR 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = max(1, round(width / 4))
        self.conv = conv(self.channels, self.channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x[:, : self.channels]), x[:, self.channels :]], 1)


class Product(nn.Module):
    """Half of the channels times the other half (Chen et al., NAFNet, ECCV 2022)."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return first * second


BLOCKS: dict[str, Callable[[int, str], nn.Module]] = {  # of a width and an activation
    "plain": lambda w, act: nn.Sequential(conv(w, w), activation_of(w, act)),
    "identity": lambda w, act: Added(conv(w, w), activation_of(w, act)),
    "residual": lambda w, act: Added(conv(w, w), activation_of(w, act), conv(w, w)),
    "gate": lambda w, act: nn.Sequential(conv(w, w), activation_of(w, act), Gate()),
    "attention": lambda w, _: PlainUSRBlock(w, max(4, w // 4)),
    "partial": lambda w, act: Added(Partial(w), conv(w, 2 * w, 1), activation_of(2 * w, act), conv(2 * w, w, 1)),
    "product": lambda w, _: Added(conv(w, 2 * w, 1), conv(2 * w, 2 * w, 3, 2 * w), Product(), conv(w, w, 1)),
    "smfa": lambda w, _: SMFANetBlock(w, 2.0),
}


class Form(nn.Module):
    """From (B, 3, H, W) in [0, 1] to (B, 3, 2H, 2W).

    `tail` is the kernel of the one convolution to sub-pixels, or `edsr`: two, with the PixelShuffle between them.
    `skip` is `image`, its pixels repeated; `features`, those of the head, behind one more convolution; or nothing.
    """

    def __init__(
        self, width: int, blocks: int, block: str = "plain", activation: str = "prelu", head: int = 3,
        tail: int | str = 3, skip: str = "image",
    ) -> None:  # fmt: skip
        super().__init__()
        self.skip = skip
        self.head = nn.Sequential(conv(3, width, head))
        if block in ("plain", "gate"):
            self.head.append(activation_of(width, activation))
        self.body = nn.Sequential(*(BLOCKS[block](width, activation) for _ in range(blocks)))
        if skip == "features":
            self.body.append(conv(width, width))
        shuffle, colours = nn.PixelShuffle(SCALE), 3 * SCALE**2
        if isinstance(tail, str):
            self.tail = nn.Sequential(conv(width, width * SCALE**2), shuffle, conv(width, 3))
        else:
            self.tail = nn.Sequential(conv(width, colours, tail), shuffle)

    @override
    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        features = self.body(x)
        sr: Tensor = self.tail(features + x if self.skip == "features" else features)
        return sr + F.interpolate(lr, scale_factor=SCALE, mode="nearest") if self.skip == "image" else sr


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--weights", type=Path, required=True)
    made.add_argument("--budget", nargs="+", type=int, choices=DEEPER, default=[3])
    made.add_argument("--form", nargs="+", choices=FORMS, default=list(FORMS))
    made.add_argument("--steps", nargs="+", type=int, default=[300])
    options = made.parse_args()
    OwnLaboratory.weights = options.weights
    lab = OwnLaboratory(options)
    for budget in options.budget:
        families = {form: family_of(form, budget) for form in options.form}
        for steps in options.steps:
            for seed in range(options.seeds):
                for form, family in families.items():
                    student = from_scratch(family, family.config(), seed)
                    size = "{blocks} of {width}".format(**family.arguments)
                    key = {"form": form, "size": size, "G": billions(student), "steps": steps, "seed": seed}
                    recipe = Recipe(steps=steps, seed=seed)
                    lab.row(key, partial(lab.train, student, recipe, "SMFANet"))
    lab.show(["steps", "form", "size", "G"])


def family_of(form: str, budget: int) -> CustomFamily:
    """That of the network of this form whose FLOPs are nearest to so many G."""
    blocks, arguments = FORMS[form]
    usual, sizes = round(blocks * DEEPER[budget]), []
    for count in range(max(1, usual - 1), usual + 2):
        cost = partial(lambda count, width: billions(Form(width, count, **arguments)), count)
        above = bisect_right(WIDTHS, float(budget), key=cost)
        sizes += [(abs(cost(width) - budget), width, count) for width in WIDTHS[above - 1 : above + 1]]
    _, width, count = min(sizes)
    return CustomFamily(Code.parse(f"{__file__}:Form"), {"width": width, "blocks": count, **arguments})


def billions(network: nn.Module) -> float:
    """Of FLOPs at 1280x720."""
    return round(count_flops(network, SCALE) / 1e9, 2)


if __name__ == "__main__":
    main()
