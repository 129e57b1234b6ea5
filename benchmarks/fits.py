"""What untrained students have by how their layers are fitted: the ridge, and the patches that the teacher is seen on.

    python benchmarks/fits.py --weights DIR --train DIR --valid DIR --test Set5=DIR --log FILE [--every 8] [--seeds 2]

Students of EDSR-baseline and of RLFN (DIR has rlfn_x2.pth of bytedance/RLFN), from projection: with one ridge for all
layers, and with the one that `least_squares` chooses for each, on patches of 32x32 pixels as a search takes them, and
with that on as many of 24x24 and of 48x48. Those with one ridge are the controls; all of a seed and a size keep the
same blocks. Prints the mean and half the range over the seeds; the seconds are the student's, those of `analysis` what
it takes to see the teacher.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from laboratory import Laboratory, parser
from own_networks import STUDENTS as OWN
from own_networks import OwnLaboratory
from starts import STUDENTS
from torch import Tensor
from typing_extensions import override

from autocompress import prune
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.shrink import least_squares

RIDGES: dict[str, tuple[float, ...]] = {
    "1e-4": (1e-4,),
    "1e-2": (1e-2,),
    "1e-1": (1e-1,),
    "chosen": least_squares.RIDGES,
}
CASES = [(32, ridge) for ridge in RIDGES] + [(24, "chosen"), (48, "chosen")]
TRIED: dict[str, dict[str, dict[str, Any]]] = {
    "edsr": {name: STUDENTS[name][1] for name in ("edsr-8x4", "edsr-16x8", "edsr-32x8")},
    "RLFN": {name: OWN[name][1] for name in ("rlfn-17", "rlfn-26x3")},
}


class BothLaboratory(OwnLaboratory):
    """With the shipped EDSR beside published networks."""

    @override
    def _teacher(self, family: str) -> SRNetwork:
        return Laboratory._teacher(self, family) if family == "edsr" else super()._teacher(family)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--weights", type=Path, required=True)
    options = made.parse_args()
    BothLaboratory.weights = options.weights
    laboratory = BothLaboratory(options)
    for seed in range(options.seeds):
        for network in TRIED:
            for size in dict.fromkeys(size for size, _ in CASES):
                tried(laboratory, network, size, seed)
    laboratory.show(["student", "patches", "ridge"])


def tried(laboratory: BothLaboratory, network: str, size: int, seed: int) -> None:
    """The rows of a teacher seen on patches of this size."""
    teacher = laboratory.teacher(network)
    patches = prune.sample_patches(laboratory.on_device, seed, laboratory.used, size)
    start = laboratory.clock()
    analysis = prune.analyse(teacher, patches, seed=seed)
    print(f"{network}, analysis on patches of {size}: {laboratory.clock() - start:.1f} s", flush=True)
    for student, counts in TRIED[network].items():
        for ridge in (ridge for of_size, ridge in CASES if of_size == size):
            key = {"student": student, "patches": size, "ridge": ridge, "seed": seed}
            laboratory.row(key, partial(fitted, teacher, patches, analysis, counts, RIDGES[ridge]))


def fitted(
    teacher: SRNetwork, patches: Tensor, analysis: dict[str, Tensor], counts: dict[str, Any], ridges: tuple[float, ...]
) -> SRNetwork:
    """A student whose layers are fitted by one of these ridges."""
    usual, least_squares.RIDGES = least_squares.RIDGES, ridges
    try:
        family = family_of(teacher)
        config = family.student_config(teacher.config, counts)
        return prune.shrinker_from(teacher, patches, "projection", analysis, family)(config)
    finally:
        least_squares.RIDGES = usual


if __name__ == "__main__":
    main()
