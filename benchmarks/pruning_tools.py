"""Torch-Pruning against ours: EDSR students of the same teacher, trained alike on the same images for equal steps.

    pip install torch-pruning
    python benchmarks/pruning_tools.py --train DIR --valid DIR --test Set5=DIR --log FILE [--every 4] [--seeds 2]
        [--steps 0 100 600]

Torch-Pruning (Fang et al., CVPR 2023) removes coupled channels, the same share in each layer, by L2 norms or by
first-order Taylor importance, at once or in five rounds with new gradients; it cannot remove blocks. It fails on a
PixelShuffle whose channels are to go, so it prunes the teacher with its tail folded to one convolution, which computes
the same but for the outermost pixels (see networks/folding.py). All students have folded tails: 12 features and 16
blocks, 10.76 G FLOPs; ours are besides the one of 16 features and 8 blocks, 10.23 G, and one of random weights.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from laboratory import Laboratory, Row, parser

from autocompress.data.patches import PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.networks import find_family
from autocompress.networks.base import Config, SRNetwork
from autocompress.networks.folding import fold

METHODS = {
    "Torch-Pruning, L2": ("l2", 1),
    "Torch-Pruning, Taylor": ("taylor", 1),
    "Torch-Pruning, Taylor in 5 rounds": ("taylor", 5),
}
OURS = {"ours": (12, 16, "projection"), "ours, 16x8": (16, 8, "projection"), "random weights": (12, 16, "scratch")}
FEATURES = 12  # of the 64 that the teacher has
GRADIENT_PATCHES, PATCH_SIZE = 64, 32  # patches, LR pixels a side


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--steps", nargs="+", type=int, default=[0, 100, 600])
    options = made.parse_args()
    laboratory = Laboratory(options)
    laboratory.row({"student": "teacher", "steps": 0, "seed": 0}, lambda: laboratory.teacher("edsr"))
    for steps, student, seed in itertools.product(options.steps, [*METHODS, *OURS], range(options.seeds)):
        key: Row = {"student": student, "steps": steps, "seed": seed}
        laboratory.row(key, partial(trained, laboratory, **key))
    laboratory.show(["student", "steps"])


def trained(laboratory: Laboratory, student: str, steps: int, seed: int) -> SRNetwork:
    """A student after so many steps of the recipe."""
    if student in METHODS:
        network = pruned(laboratory, *METHODS[student], seed)
    else:
        num_feat, num_block, init = OURS[student]
        network = laboratory.shrinker("edsr", init, seed)(student_config(laboratory, num_feat, num_block))
    if steps == 0:
        return network
    recipe = Recipe(steps=steps, seed=seed).of_student(sum(p.numel() for p in network.parameters()))
    return laboratory.train(network, recipe, "edsr")


def student_config(laboratory: Laboratory, num_feat: int, num_block: int) -> Config:
    """An EDSR with a folded tail."""
    counts: dict[str, Any] = {"num_feat": num_feat, "num_block": num_block, "tail": "folded"}
    return find_family("edsr").student_config(laboratory.teacher("edsr").config, counts)


def pruned(laboratory: Laboratory, importance: str, rounds: int, seed: int) -> SRNetwork:
    """The teacher with FEATURES of its channels left in every layer, by Torch-Pruning."""
    import torch_pruning

    network: Any = folded_teacher(laboratory)
    sampler = PatchSampler(laboratory.on_device, patch_size=PATCH_SIZE, batch_size=GRADIENT_PATCHES, seed=seed)
    batch = sampler.sample()
    rule = {
        "l2": torch_pruning.importance.GroupMagnitudeImportance(p=2),
        "taylor": torch_pruning.importance.GroupTaylorImportance(),
    }[importance]
    pruner = torch_pruning.pruner.BasePruner(
        network,
        batch.lr[:1],
        importance=rule,
        iterative_steps=rounds,
        pruning_ratio=1 - FEATURES / network.conv_first.out_channels,
        ignored_layers=[network.upsample[0]],  # the colours of the output's pixels
    )
    for _ in range(rounds):
        network.zero_grad()
        F.l1_loss(network(batch.lr), batch.targets["hr"]).backward()  # type: ignore[no-untyped-call]
        pruner.step()
    student = find_family("edsr").build(student_config(laboratory, FEATURES, len(network.body)))
    student.load_state_dict(network.state_dict())
    return student.eval()


def folded_teacher(laboratory: Laboratory) -> SRNetwork:
    """The teacher with its tail as one convolution."""
    teacher: Any = copy.deepcopy(laboratory.teacher("edsr")).cpu()
    folded = find_family("edsr").build(replace(teacher.config, tail="folded"))
    tail = torch.nn.Sequential(teacher.upsample, teacher.conv_last)
    weight, bias = fold(tail, teacher.config.num_feat, teacher.scale)
    kept = {key: value for key, value in teacher.state_dict().items() if key in folded.state_dict()}
    folded.load_state_dict(kept | {"upsample.0.weight": weight, "upsample.0.bias": bias})
    return folded.eval().to(laboratory.used.device)


if __name__ == "__main__":
    main()
