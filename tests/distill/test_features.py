"""The feature term: fitted at its start, learning along, kept over a stop, and gone from the student."""

from pathlib import Path

import pytest
import torch
from helpers.swinir_networks import random_swinir

from autocompress import prune
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.distill.features import FeatureTerm
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig


@pytest.fixture
def bank(photos: Path) -> PixelBank:
    return PixelBank.open(open_folder(photos, 2, min_size=48))


def training(bank: PixelBank, guide: SRNetwork | None, weight: float, steps: int = 30) -> Training:
    student = prune.from_scratch(EDSRFamily(), EDSRConfig(2, 6, 1), 1)
    recipe = Recipe(
        steps=steps, batch_size=4, patch_size=24, teacher_share=0.0, feature_weight=weight, learning_rate=1e-3
    )
    return Training(student, PatchSampler(bank, patch_size=24, batch_size=4, seed=0), recipe, Precision(), guide)


def test_features_and_upsampling_are_the_network(tiny_teacher: EDSR) -> None:
    for network in (tiny_teacher, random_swinir(SwinIRConfig(3, 12, (2,), (2,), 4, upsampler="pixelshuffle"))):
        lr = torch.rand(2, 3, 10, 13)
        features = network.features(lr)
        assert min(features.shape[-2:]) >= 10
        torch.testing.assert_close(network.upsampled(features, 10, 13), network(lr), rtol=0, atol=0)


def test_the_map_starts_as_the_best_fit(tiny_teacher: EDSR) -> None:
    """Of the teacher's own features it is the identity; of a student's, no other map is nearer in the mean square."""
    lr = torch.rand(2, 3, 24, 24)
    own = FeatureTerm(tiny_teacher, tiny_teacher, lr)
    assert own(tiny_teacher.features(lr), lr).item() < 0.02
    student = prune.from_scratch(EDSRFamily(), EDSRConfig(2, 6, 1), 1)
    term = FeatureTerm(student, tiny_teacher, lr)
    ours, theirs = student.features(lr).detach(), tiny_teacher.features(lr).detach()
    best = (term.map(ours) - theirs).square().mean()
    for seed in range(5):
        torch.manual_seed(seed)
        other = torch.nn.Conv2d(6, 8, 1)
        other.load_state_dict(
            {key: value + 0.05 * torch.randn_like(value) for key, value in term.map.state_dict().items()}
        )
        assert (other(ours) - theirs).square().mean() > best


def test_a_weight_brings_the_features_nearer(bank: PixelBank, tiny_teacher: EDSR) -> None:
    def distance(weight: float) -> float:
        done = training(bank, tiny_teacher, weight)
        done.run_to(30)
        lr = torch.stack([bank.lr_image(index) for index in range(3)]).permute(0, 3, 1, 2).float() / 255
        return float(FeatureTerm(done.student, tiny_teacher, lr)(done.student.features(lr), lr).detach())

    assert distance(10.0) < 0.97 * distance(0.0)


def test_a_stop_in_the_middle_changes_nothing(bank: PixelBank, tiny_teacher: EDSR) -> None:
    whole, first, second = (training(bank, tiny_teacher, 1.0, 6) for _ in range(3))
    whole.run_to(6)
    first.run_to(3)
    second.load_state_dict(first.state_dict())
    second.run_to(6)
    for a, b in zip(whole.student.parameters(), second.student.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.student.state_dict().keys() == EDSR(EDSRConfig(2, 6, 1)).state_dict().keys()


def test_without_a_weight_the_guide_is_not_asked(bank: PixelBank, tiny_teacher: EDSR) -> None:
    with_guide, without = training(bank, tiny_teacher, 0.0, 3), training(bank, None, 0.0, 3)
    with_guide.run_to(3)
    without.run_to(3)
    for a, b in zip(with_guide.student.parameters(), without.student.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_guide_of_another_family(bank: PixelBank) -> None:
    """Its features are padded to windows; what stands for padding is left out."""
    guide = random_swinir(SwinIRConfig(2, 12, (2,), (2,), 5)).requires_grad_(False)
    taught = training(bank, guide, 1.0, 2)
    taught.run_to(2)
    assert all(parameter.isfinite().all() for parameter in taught.student.parameters())
