"""The EDSR family: all that is particular to it stands in this folder, and only `registry` names it.

`EDSRFamily` declares what networks.base.Family asks of a family; `network` is the config and the network, `reading`
knows foreign files. The engine makes students in the teacher's form, `forms` those in forms of our own. It may import
`networks` (base, known_family, known_network, weights, recipes), `shrink` and what is below them, and no other family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from torch import Tensor
from typing_extensions import override

from autocompress.errors import ConfigError
from autocompress.networks.base import Choice, Config, Count, Making, Shrinker, SRNetwork, Weights, narrowed
from autocompress.networks.edsr import forms, reading
from autocompress.networks.edsr.network import EDSR, FOLDED, MAX_LAYERS, OFFICIAL_LAYERS, PLAIN, TAILS, EDSRConfig
from autocompress.networks.known_family import KnownFamily
from autocompress.networks.recipes import FamilyRecipe, PaperNumbers
from autocompress.shrink.init import Init


class EDSRFamily(KnownFamily):
    """Residual blocks of convolutions on one stream that is only added to."""

    name = "edsr"
    config_class = EDSRConfig
    network_class = EDSR
    counts = (
        Count("num_feat", 1, "features"),
        Count("num_block", 1, "blocks"),
        Count("num_layer", 1, "convolutions per block", high=MAX_LAYERS, optional=True),
    )
    choices = (Choice("tail", TAILS),)
    # Pruning diverged at a rate of 2. Its whole pull, 0.03, is the paper's for this family.
    recipe = FamilyRecipe(
        prune_steps=1500,
        paper=PaperNumbers(patch_size=48, halve_at=(200_000,), prune_steps=100_000, prune_halve_at=(20_000,)),
    )

    @override
    def read(self, tensors: Weights) -> tuple[Config, dict[str, Tensor]] | None:
        return reading.read(tensors)

    @override
    def naming(self, tensors: Weights) -> str:
        return "EDSR-PyTorch's names" if reading.is_of_edsr_pytorch(tensors) else "BasicSR's names"

    @override
    def student_config(self, teacher: Config, fields: Mapping[str, Any]) -> Config:
        """A student's residual scaling is 1."""
        return super().student_config(teacher, {"res_scale": 1.0, **fields})

    @override
    def check_init(self, init: str, teacher: SRNetwork) -> None:
        """Only a teacher of two convolutions per block and a plain tail can be shrunk."""
        config, remedy = narrowed(EDSRConfig, teacher.config), "can be shrunk; take another teacher, or --init scratch"
        if init == Init.SCRATCH or config.official:
            return
        if config.num_layer != OFFICIAL_LAYERS:
            only = f"only teachers with {OFFICIAL_LAYERS} convolutions per block {remedy}"
            raise ConfigError(f"this teacher has num_layer {config.num_layer}, but {only}")
        raise ConfigError(f"this teacher has a {config.tail} tail, but only teachers with a plain one {remedy}")

    @override
    def shrinker(self, teacher: SRNetwork, lr: Tensor, init: str, analysis: Weights) -> Shrinker:
        """By the engine, in the teacher's form; then in the student's own.

        One of 3 convolutions per block computes what one of 2 does, with the identity in the middle; one of 1 starts as
        nothing, at zero, and a folded tail computes what the plain one would, unless they are refitted.
        """
        shrink, refit = super().shrinker(teacher, lr, init, analysis), init == Init.PROJECTION
        fit_tail = cache(lambda: forms.tail_fitter(narrowed(EDSR, self.shrinkable(teacher)).to(lr.device), lr))

        def student(config: Config) -> Making:
            edsr = narrowed(EDSRConfig, config)
            official = replace(edsr, num_layer=OFFICIAL_LAYERS, tail=PLAIN)
            made = plain = narrowed(EDSR, (yield from shrink.steps(official)))
            if edsr.num_layer != OFFICIAL_LAYERS:
                made = forms.with_layers(plain, edsr.num_layer).to(lr.device)
            if edsr.num_layer == 1 and refit:
                forms.fit_single_layers(made, plain, lr)
            if edsr.tail == FOLDED:
                made = forms.with_folded_tail(made).to(lr.device)
                if refit:
                    fit_tail()(made)
            return made

        return Shrinker(student)
