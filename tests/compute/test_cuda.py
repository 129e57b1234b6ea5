"""What a GPU changes, and what it must not. Skipped where there is none."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import sr_networks
from helpers.small_search import SPACE, run_search
from torch import Tensor

from autocompress import prune
from autocompress.compute import precision
from autocompress.compute.convolution import conv3x3
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.embedded import embedded
from autocompress.data.patches import PatchSampler
from autocompress.distill.recipe import Recipe
from autocompress.distill.targets import teacher_targets
from autocompress.distill.training import Training
from autocompress.evaluation.scores import evaluate, network_upscaler
from autocompress.networks import family_of, load
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.teachers import load_teacher
from autocompress.search import RunFolder, Settings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")

EXACT = Precision("cuda", channels_last=True)
RECIPE = Recipe(steps=12, batch_size=4, patch_size=24, learning_rate=1e-4)


@pytest.fixture(scope="module")
def bank() -> PixelBank:
    return PixelBank.open(embedded("train", 2).subset([0, 2]))


@pytest.fixture(scope="module")
def student() -> EDSR:
    torch.manual_seed(0)
    return EDSR(EDSRConfig(2, 8, 2))


def training(student: SRNetwork, bank: PixelBank, used: Precision, **changes: object) -> Training:
    recipe = replace(RECIPE, **changes)  # type: ignore[arg-type]
    sampler = PatchSampler(
        bank.to(used.device),
        patch_size=recipe.patch_size,
        batch_size=recipe.batch_size,
        seed=1,
        targets={"teacher": bank.hr.to(used.device)},
        device=used.device,
        memory_format=used.memory_format,
    )
    return Training(student, sampler, recipe, used)


def far(a: Training, b: Training) -> float:
    """The largest difference of a weight."""
    pairs = zip(a.student.parameters(), b.student.parameters(), strict=True)
    return max((x.cpu() - y.cpu()).abs().max().item() for x, y in pairs)


@pytest.mark.parametrize("teacher_loss", ["l1", "multilap"])
def test_a_captured_step_is_the_step(student: EDSR, bank: PixelBank, teacher_loss: str) -> None:
    changes = {"teacher_loss": teacher_loss}
    with precision.exact():
        runs = [training(student, bank, replace(EXACT, graphs=graphs), **changes) for graphs in (False, True)]
        runs.append(training(student, bank, Precision(), **changes))
        for run in runs:
            run.run_to(10)  # the last step of 12 is taken in float32, and begins anew
        assert runs[1]._captured is not None
        for run in runs:
            run.run_to(12)
    moved = far(runs[0], training(student, bank, EXACT))
    assert moved > 2e-4
    for other in runs[1:]:
        assert far(runs[0], other) < 0.02 * moved


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (16, 16), (64, 64), (24, 96)])
def test_the_gradients_of_a_narrow_convolution(inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    conv, x = conv3x3(inputs, outputs), torch.randn(2, inputs, 20, 20, device="cuda", requires_grad=True)
    Precision("cuda").place(conv)
    assert type(conv) is not torch.nn.Conv2d
    with torch.autocast("cuda", dtype=torch.bfloat16):
        y = conv(x)
    gradient = torch.randn_like(y)
    found = torch.autograd.grad(y, [x, conv.weight, conv.bias], gradient)
    with precision.exact():
        exact = torch.autograd.grad(conv(x), [x, conv.weight, conv.bias], gradient.float())
    for ours, expected in zip(found, exact, strict=True):
        assert (ours - expected).norm() / expected.norm() < 0.01


def test_a_captured_training_goes_on_from_a_state(student: EDSR, bank: PixelBank) -> None:
    used = replace(EXACT, graphs=True)
    whole, stopped = (training(student, bank, used) for _ in range(2))
    whole.run_to(12)
    stopped.run_to(7)
    again = training(student, bank, used)
    again.run_to(5)  # so that it holds a captured step that must be let go
    again.load_state_dict(stopped.state_dict())
    again.run_to(12)
    assert far(whole, again) < 1e-6


def test_pixels_that_stay_in_main_memory_give_the_same_batches(bank: PixelBank) -> None:
    def batch(bank: PixelBank) -> Tensor:
        return PatchSampler(bank, patch_size=16, batch_size=8, seed=3, device="cuda").sample().targets["hr"]

    assert torch.equal(batch(bank), batch(bank.to("cuda")))


def test_scores_and_students_are_those_of_the_cpu() -> None:
    pair = embedded("valid", 2).read(2)
    psnr = []
    for used in (Precision(channels_last=True), EXACT):
        teacher = load_teacher("edsr-baseline-x2").to(used.device)
        patches = prune.sample_patches(PixelBank.open(embedded("train", 2)), 0, Precision())[:16].to(used.device)
        inits = ("projection", "copy", "taylor", "scratch")
        networks = [teacher] + [prune.shrink(teacher, EDSRConfig(2, 16, 8), patches, init) for init in inits]
        for network in networks:
            used.place(network)
            psnr.append(evaluate(network_upscaler(network), [pair], 2, ["psnr_y"]).mean["psnr_y"])
    on_cpu, on_gpu = psnr[: len(psnr) // 2], psnr[len(psnr) // 2 :]
    assert on_gpu[0] == pytest.approx(on_cpu[0], abs=1e-3)
    assert on_gpu[1] == pytest.approx(on_cpu[1], abs=0.03)  # rounding may turn a choice between two channels
    assert on_gpu[2:] == pytest.approx(on_cpu[2:], abs=0.2)  # taylor's gradients decide between near-equal channels


def test_a_swinir_is_shrunk_as_on_the_cpu() -> None:
    pair = embedded("valid", 2).read(2)
    config = SwinIRConfig(2, 24, (2, 2), (6, 6))
    psnr = []
    for used in (Precision(channels_last=True), EXACT):
        teacher = load_teacher("swinir-s-x2").to(used.device)
        patches = prune.sample_patches(PixelBank.open(embedded("train", 2)), 0, Precision())[:16].to(used.device)
        student = prune.shrink(teacher, config, patches)
        used.place(student)
        psnr.append(evaluate(network_upscaler(student), [pair], 2, ["psnr_y"]).mean["psnr_y"])
    assert psnr[1] == pytest.approx(psnr[0], abs=0.05)


@pytest.mark.parametrize(("name", "smaller"), [("RLFN", {"feature_channels": 8}), ("SMFANet", {"dim": 8})])
def test_a_network_of_own_code_is_shrunk_and_trained_as_on_the_cpu(
    name: str, smaller: dict[str, int], bank: PixelBank, tmp_path: Path
) -> None:
    sizes = {
        "RLFN": {"feature_channels": 12, "mid": 2, "upscale": 2},
        "SMFANet": {"dim": 12, "n_blocks": 2, "upscaling_factor": 2},
    }
    torch.manual_seed(0)
    torch.save(getattr(sr_networks, name)(**sizes[name]).state_dict(), tmp_path / "own.pth")
    images = torch.rand(4, 3, 48, 48)
    outputs = []
    for used in (Precision(channels_last=True), EXACT):
        arguments = [f"{key}={value}" for key, value in sizes[name].items()]
        code = f"{sr_networks.__file__}:{name}"
        teacher = load(tmp_path / "own.pth", code=code, set=arguments, input_range=1).to(used.device)
        config = family_of(teacher).student_config(teacher.config, smaller)
        student = prune.shrink(teacher, config, images.to(used.device))
        with torch.no_grad():
            outputs.append(student(images.to(used.device)).cpu())
    assert (outputs[1] - outputs[0]).abs().mean() < 0.05 * outputs[0].std()
    graphs = replace(EXACT, graphs=True)
    trained = training(student, bank, graphs)
    trained.compile(True)
    trained.run_to(8)
    assert trained.step == 8


def test_the_feature_term_in_a_captured_step(student: EDSR, bank: PixelBank) -> None:
    teacher = load_teacher("edsr-baseline-x2").to("cuda").requires_grad_(False)
    recipe = replace(RECIPE, feature_weight=1.0)
    runs = []
    with precision.exact():
        for graphs in (False, True):
            start = training(student, bank, replace(EXACT, graphs=graphs))
            runs.append(Training(student, start._sampler, recipe, replace(EXACT, graphs=graphs), teacher))
            runs[-1].run_to(10)
        assert runs[1]._captured is not None
        for run in runs:
            run.run_to(12)
    assert far(*runs) < 0.02 * far(runs[0], training(student, bank, EXACT))


def test_pruned_weights_are_those_of_the_cpu(tiny_teacher: EDSR, bank: PixelBank) -> None:
    settings = prune.SparsifySettings(20, 2, 16, learning_rate=0.01, lambda_=0.05)
    on_cpu, on_gpu = (
        prune.sparsify(tiny_teacher, bank, settings, used).cpu().state_dict()
        for used in (Precision(channels_last=True), EXACT)
    )
    for key, weight in on_cpu.items():
        torch.testing.assert_close(on_gpu[key], weight, rtol=0, atol=1e-3)
        assert ((on_gpu[key] == 0) == (weight == 0)).float().mean() > 0.98


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_teacher_targets_are_those_of_the_cpu(tiny_teacher: EDSR, bank: PixelBank, dtype: str) -> None:
    on_cpu = teacher_targets(tiny_teacher, bank, Precision())
    on_gpu = teacher_targets(load_like(tiny_teacher).to("cuda"), bank, Precision("cuda", dtype, channels_last=True))
    difference = (on_cpu.int() - on_gpu.int()).abs()
    assert difference.float().mean() < (0.01 if dtype == "float32" else 0.7)


def load_like(network: EDSR) -> EDSR:
    copy = EDSR(network.config)
    copy.load_state_dict(network.state_dict())
    with torch.no_grad():
        copy.conv_last.bias += 1e-9  # another digest, so that the cache has no answer
    return copy.eval()


def test_a_search_runs_and_goes_on(teacher_file: Path, photos: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    settings = Settings(
        budget_params=10**6,
        spaces=(str(space),),
        teachers=(str(teacher_file),),
        train=photos,
        val=photos,
        trials=4,
        steps=30,
        out=tmp_path / "run",
    )
    run, _ = run_search(settings)
    assert run.config.precision.device == "cuda"
    assert run.config.precision.graphs
    before = run.students()
    assert before
    run, _ = run_search(replace(settings, trials=6))
    assert len(RunFolder.existing(run.path).students()) >= len(before)
