"""Students of published networks that the package has no line about: what each start gives, untrained and trained.

    python benchmarks/own_networks.py --weights DIR --train DIR --valid DIR --test Set5=DIR --log FILE [--every 4]
        [--student rlfn-26] [--start projection copy scratch] [--steps 0 300]

DIR has the published weights (rlfn_x2.pth of bytedance/RLFN, IMDN_x2.pth of Zheng222/IMDN,
SMFANet_plus_DIV2K_100w_x2SR.pth of sunny2109/SMFANet); their code is tests/helpers/sr_networks.py. `copy` keeps the
most important channels without a refit, `scratch` nothing: the controls. Prints the mean and half the range over the
seeds; the seconds are those of start and training, the first of a network with the analysis of its teacher.
"""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

from laboratory import Laboratory, Row, parser

from autocompress.distill.recipe import Recipe
from autocompress.networks import family_of, load
from autocompress.networks.base import SRNetwork
from autocompress.prune import from_scratch

CODE = Path(__file__).parents[1] / "tests" / "helpers" / "sr_networks.py"
NETWORKS = {  # weights, callable, arguments
    "RLFN": ("rlfn_x2.pth", ["upscale=2"]),
    "IMDN": ("IMDN_x2.pth", ["upscale=2"]),
    "SMFANet": ("SMFANet_plus_DIV2K_100w_x2SR.pth", ["dim=48", "n_blocks=12", "upscaling_factor=2"]),
}
STUDENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "rlfn-26": ("RLFN", {"feature_channels": 26, "esa_channels": 8}),
    "rlfn-17": ("RLFN", {"feature_channels": 17, "esa_channels": 5}),
    "rlfn-26x3": ("RLFN", {"feature_channels": 26, "esa_channels": 8, "mid": 3}),
    "imdn-44": ("IMDN", {"nf": 44}),
    "smfanet-32": ("SMFANet", {"dim": 32}),
}


class OwnLaboratory(Laboratory):
    """With published networks as teachers."""

    weights = Path()

    def _teacher(self, family: str) -> SRNetwork:
        file, arguments = NETWORKS[family]
        network = load(self.weights / file, code=f"{CODE}:{family}", set=arguments)
        return network.to(self.used.device).requires_grad_(False)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--weights", type=Path, required=True)
    made.add_argument("--student", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    made.add_argument("--start", nargs="+", default=["projection", "copy", "scratch"])
    made.add_argument("--steps", nargs="+", type=int, default=[0, 300])
    options = made.parse_args()
    OwnLaboratory.weights = options.weights
    laboratory = OwnLaboratory(options)
    for name in dict.fromkeys(STUDENTS[student][0] for student in options.student):
        key: Row = {"student": f"{name} teacher", "G": billions(laboratory.teacher(name)), "start": "", "steps": 0}
        laboratory.row(key | {"seed": 0}, partial(laboratory.teacher, name))
    cases = itertools.product(options.student, options.start, options.steps, range(options.seeds))
    for student, start, steps, seed in cases:
        if (start, steps) == ("scratch", 0):
            continue
        network = shrunk(laboratory, student, "scratch", seed)
        key = {"student": student, "G": billions(network), "start": start, "steps": steps, "seed": seed}
        laboratory.row(key, partial(trained, laboratory, **key))
    laboratory.show(["student", "G", "start", "steps"])


def billions(network: SRNetwork) -> float:
    """Of FLOPs at 1280x720."""
    return round(family_of(network).flops(network.config) / 1e9, 2)


def shrunk(laboratory: Laboratory, student: str, start: str, seed: int) -> SRNetwork:
    """A student before training."""
    name, counts = STUDENTS[student]
    teacher = laboratory.teacher(name)
    family = family_of(teacher)
    config = family.student_config(teacher.config, counts)
    if start == "scratch":
        return from_scratch(family, config, seed)
    return laboratory.shrinker(name, start, seed)(config)


def trained(laboratory: Laboratory, student: str, start: str, steps: int, seed: int, **_: object) -> SRNetwork:
    """A student after so many steps from a start."""
    network = shrunk(laboratory, student, start, seed)
    if steps == 0:
        return network
    return laboratory.train(network, Recipe(steps=steps, seed=seed), STUDENTS[student][0])


if __name__ == "__main__":
    main()
