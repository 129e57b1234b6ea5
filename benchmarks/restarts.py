"""How a student of 300 steps gains most by more: from which learning rate, and in pieces of what length.

    python benchmarks/restarts.py --train DIR --valid DIR --test Set5=DIR --log FILE [--every 4]

A chain such as `300 600x1 1200x0.5` is a training of 300 steps by the recipe, from its weights 600 steps by a schedule
of their own from the recipe's learning rate, and 1,200 from half of it. The last rows are single trainings as long as
all pieces of a chain together.
"""

from __future__ import annotations

from dataclasses import replace

from laboratory import Laboratory, parser
from learners import STUDENTS, start

from autocompress.distill.recipe import Recipe
from autocompress.networks.base import SRNetwork

Chain = tuple[tuple[int, float], ...]  # steps, and what the recipe's learning rate is multiplied by
BASE = (300, 1.0)
CHAINS: list[Chain] = [
    (BASE,),
    *((BASE, (steps, rate)) for steps in (300, 600, 1200) for rate in (1.0, 0.5, 0.25)),
    *(
        chain
        for rate in (1.0, 0.5)
        for chain in (
            (BASE, (300, rate), (600, rate)),
            (BASE, (300, rate), (600, rate), (1200, rate)),
        )
    ),
    (BASE, (600, 1.0), (1200, 1.0)),
    ((900, 1.0),),
    ((2400, 1.0),),
]


def main() -> None:
    options = parser(__doc__).parse_args()
    laboratory = Laboratory(options)
    for student in ("edsr-8x4", "edsr-16x8"):
        for seed in range(options.seeds):
            known: dict[Chain, SRNetwork] = {}
            for chain in CHAINS:
                key = {"student": student, "chain": said(chain), "seed": seed}
                laboratory.row(key, lambda: trained(laboratory, student, seed, chain, known))  # noqa: B023
    laboratory.show(["student", "chain"])


def said(chain: Chain) -> str:
    (steps, _), *pieces = chain
    return " ".join([f"{steps}", *(f"{more}x{rate:g}" for more, rate in pieces)])


def trained(laboratory: Laboratory, student: str, seed: int, chain: Chain, known: dict[Chain, SRNetwork]) -> SRNetwork:
    """The student after all pieces of the chain; `known` are those after some."""
    if chain not in known:
        *before, (steps, rate) = chain
        network = start(laboratory, student, seed)
        if before:
            network = trained(laboratory, student, seed, tuple(before), known)
        recipe = Recipe(steps=steps, seed=seed + 1000 * len(before))
        recipe = recipe.of_student(sum(weights.numel() for weights in network.parameters()))
        assert recipe.learning_rate is not None
        recipe = replace(recipe, learning_rate=rate * recipe.learning_rate)
        known[chain] = laboratory.train(network.requires_grad_(True), recipe, STUDENTS[student][0])
    return known[chain]


if __name__ == "__main__":
    main()
