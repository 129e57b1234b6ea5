"""torch.compile in a training: kept where it is faster, and done without where it fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.distill import checkpointed_training
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig


def quiet(_: object) -> None:
    return None


@pytest.mark.parametrize(
    "network",
    [
        EDSR(EDSRConfig(2, 4, 1)),
        pytest.param(SwinIR(SwinIRConfig(2, 4, (1,), (1,), 4)), marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # the compiler's own
@pytest.mark.parametrize("faster", [True, False])
def test_compiling_is_kept_only_where_it_is_faster(network: SRNetwork, faster: bool, photos: Path) -> None:
    training, runs = a_training(network, photos), []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            runs.append(training.step)
            return graph.forward(*inputs)

        return run

    clock = iter([0.0, 2.0, 2.0, 3.0] if faster else [0.0, 1.0, 1.0, 3.0])
    checkpointed_training.compile_if_faster(training, quiet, quiet, backend, lambda: next(clock))
    assert runs
    runs.clear()
    training.run_to(training.step + 2)
    assert bool(runs) == faster


def test_a_compiler_that_fails_is_done_without(photos: Path) -> None:
    training = a_training(EDSR(EDSRConfig(2, 4, 1)), photos)

    def fail(*_: object) -> Callable[..., Any]:
        raise OSError("no compiler")

    said: list[str] = []
    checkpointed_training.compile_if_faster(training, quiet, said.append, fail)
    (line,) = said
    assert line.startswith("torch.compile failed, so the training goes on without it (")
    assert "no compiler" in line
    assert "\n" not in line
    before = training.step
    training.run_to(before + 1)
    assert training.step == before + 1


def a_training(network: SRNetwork, photos: Path) -> Training:
    bank = PixelBank.open(open_folder(photos, 2, min_size=32))
    recipe = Recipe(steps=100, batch_size=1, patch_size=16, teacher_share=0.0)
    return Training(network, PatchSampler(bank, patch_size=16, batch_size=1, seed=0), recipe, Precision())
