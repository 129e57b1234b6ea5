"""Stage one: the densities that OBProx-SG leaves, what they suggest, and the command."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import Result
from helpers.swinir_networks import random_swinir
from typer.testing import CliRunner

from autocompress import load
from autocompress.cli import app
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.errors import ConfigError, InvalidInput, TrainingDiverged
from autocompress.networks import family_of, find_family
from autocompress.networks.base import SRNetwork
from autocompress.networks.compact.network import CompactConfig
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.networks.swinir import SwinIRFamily
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.weights import digest
from autocompress.prune import (
    Pruned,
    SparsifySettings,
    default_settings,
    densities_of,
    paper_settings,
    shrinker,
    sparsify,
)
from autocompress.prune.sparsify import weighted_layers
from autocompress.shrink.density import Densities, Density

SETTINGS = SparsifySettings(steps=10, batch_size=2, patch_size=16, learning_rate=0.01, lambda_=0.03)


@pytest.fixture(scope="module")
def bank(photos: Path) -> PixelBank:
    return PixelBank.open(open_folder(photos, 2, min_size=32))


def density(network: SRNetwork) -> float:
    weights = torch.cat([weight.flatten() for weight in weighted_layers(network).values()])
    return float((weights != 0).float().mean())


def test_sparsity_grows_with_lambda(tiny_teacher: EDSR, bank: PixelBank) -> None:
    before = digest(tiny_teacher)
    left = []
    for lambda_ in (0.0, 0.02, 0.1):
        settings = SparsifySettings(10, 2, 16, learning_rate=0.01, lambda_=lambda_)
        left.append(density(sparsify(tiny_teacher, bank, settings, Precision())))
    assert left[0] == 1 > left[1] > left[2] > 0
    assert digest(tiny_teacher) == before


def test_a_swinir_is_pruned(bank: PixelBank) -> None:
    teacher = random_swinir(SwinIRConfig(2, 12, (2, 1), (2, 2), 4))
    settings = SparsifySettings(3, 1, 16, learning_rate=0.01, lambda_=1.0)
    pruned = sparsify(teacher, bank, settings, Precision(channels_last=True))
    assert 0 < density(pruned) < 1
    table = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
    assert bool((pruned.state_dict()[table] != 0).all())  # tables are trained, but not pulled to zero


def test_a_learning_rate_that_is_too_high(tiny_teacher: EDSR, bank: PixelBank) -> None:
    settings = SparsifySettings(30, 1, 16, learning_rate=1e6, lambda_=0.0)
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        sparsify(tiny_teacher, bank, settings, Precision())


def test_the_papers_settings() -> None:
    edsr, swinir = paper_settings("edsr"), paper_settings("swinir")
    assert [edsr.learning_rate_at(step) for step in (0, 19_999, 20_000)] == [5e-3, 5e-3, 2.5e-3]
    assert (edsr.pull, swinir.pull) == (pytest.approx(0.03), pytest.approx(0.25))
    assert edsr.pull == pytest.approx(edsr.lambda_ * sum(edsr.learning_rate_at(step) for step in range(edsr.steps)))


@pytest.mark.parametrize("family", ["edsr", "swinir"])
@pytest.mark.parametrize("settings", [default_settings, paper_settings])
def test_fewer_steps_pull_as_far(family: str, settings: object) -> None:
    whole = settings(family)  # type: ignore[operator]
    assert whole.in_steps(37).pull == pytest.approx(whole.pull)


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 0), ("patch_size", 0), ("learning_rate", 0.0), ("lambda_", -1.0), ("prox_share", 2)]
)
def test_settings_are_checked(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{field} is {value}, but must be"):
        SparsifySettings(**{**SETTINGS.to_dict(), field: value})


def dense(network: SRNetwork, percent: int) -> dict[str, Density]:
    return {name: Density(w.numel(), w.numel() * percent // 100) for name, w in weighted_layers(network).items()}


def thinned(layers: Densities, part: str, percent: int) -> dict[str, Density]:
    return {
        name: Density(one.weights, one.weights * percent // 100) if name.startswith(part) else one
        for name, one in layers.items()
    }


def test_edsr_counts_from_densities() -> None:
    family, config = EDSRFamily(), EDSRConfig(2, 64, 4, res_scale=0.1)
    layers = dense(EDSR(config), 25)
    assert family.suggest(config, layers) == EDSRConfig(2, 32, 4)  # half the channels keep a quarter of the weights
    assert family.suggest(config, thinned(layers, "body.1.", 7)).to_dict()["num_block"] == 4
    thin = thinned(thinned(layers, "body.1.", 3), "body.2.conv1", 0)
    assert family.suggest(config, thin) == EDSRConfig(2, 29, 3)  # block 1 has less than a quarter of the mean
    assert family.suggest(config, thinned(layers, "conv_", 100)) == EDSRConfig(2, 32, 4)  # the head is not asked
    assert family.suggest(config, dense(EDSR(config), 0)) == EDSRConfig(2, 1, 4)
    assert family.suggest(config, dense(EDSR(config), 100)) == EDSRConfig(2, 64, 4)


def test_swinir_counts_from_densities() -> None:
    family, config = SwinIRFamily(), SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6), 4)
    network = random_swinir(config)
    layers = dense(network, 25)
    assert family.suggest(config, layers) == SwinIRConfig(2, 12, (4, 4, 4), (6, 6, 6), 4)
    assert family.suggest(config, dense(network, 1)) == SwinIRConfig(2, 6, (4, 4, 4), (6, 6, 6), 4)
    assert family.suggest(config, dense(network, 100)) == config
    thin = layers
    for part in ("layers.0.residual_group.blocks.1.", "layers.0.residual_group.blocks.3.", "layers.1.", "layers.2.x"):
        thin = thinned(thin, part, 1)
    # block 1 goes; of the layers of the other two 2 and 4 stay
    assert family.suggest(config, thin) == SwinIRConfig(2, 12, (3, 3), (6, 6), 4)


def test_the_parts_that_layers_are_in() -> None:
    settings, layer = default_settings("edsr"), "layers.0.residual_group.blocks.2"
    swinir = random_swinir(SwinIRConfig(2, 12, (3, 3), (2, 2), 4))
    groups = Pruned(swinir, settings, dict(swinir.state_dict()), 0.0, 0.0).groups_of
    assert groups[f"{layer}.attn.qkv"] == ("layers.0", layer)
    assert groups["layers.1.conv"] == ("layers.1",)
    assert groups["conv_first"] == ()
    compact = find_family("compact").build(CompactConfig(2, num_feat=8, num_conv=3))
    groups = Pruned(compact, settings, dict(compact.state_dict()), 0.0, 0.0).groups_of
    assert groups == {"body.0": (), **{f"body.{i}": (f"body.{i}",) for i in (2, 4, 6)}, "body.8": ()}


def prune(teacher: SRNetwork, bank: PixelBank, photos: Path, steps: list[int]) -> Pruned:
    valid = open_folder(photos, 2, min_size=32)
    return densities_of(teacher, bank, valid, SETTINGS, Precision(), steps.append)


def test_what_is_found_is_kept(tiny_teacher: EDSR, bank: PixelBank, photos: Path) -> None:
    first_steps: list[int] = []
    second_steps: list[int] = []
    first = prune(tiny_teacher, bank, photos, first_steps)
    second = prune(tiny_teacher, bank, photos, second_steps)
    assert (first_steps, second_steps) == (list(range(1, 11)), [])
    assert all(torch.equal(first.weights[key], second.weights[key]) for key in first.weights)
    assert first.to_dict() == second.to_dict()
    assert list(first.layers) == [name for name, _ in tiny_teacher.named_modules() if f"{name}.weight" in first.weights]
    assert list(first.groups) == ["body.0", "body.1"]
    assert first.groups["body.0"].weights == 2 * 9 * 8 * 8
    assert first.total.share == pytest.approx(density(first.network))
    assert 20 < first.psnr_after != first.psnr_before > 30
    family = family_of(tiny_teacher)
    assert first.suggested == family.student_config(tiny_teacher.config, family.counts_of(first.suggested))


def test_what_is_interrupted_is_not_kept(tiny_teacher: EDSR, bank: PixelBank, photos: Path) -> None:
    settings, steps = SparsifySettings(4, 1, 16, learning_rate=0.01, lambda_=0.03), []

    def interrupt(step: int) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    valid = open_folder(photos, 2, min_size=32)
    with pytest.raises(KeyboardInterrupt):
        densities_of(tiny_teacher, bank, valid, settings, Precision(), interrupt)
    densities_of(tiny_teacher, bank, valid, settings, Precision(), interrupt)
    assert steps == [1, 2, 1, 2, 3, 4]


def test_how_far_the_scoring_is(tiny_teacher: EDSR, bank: PixelBank, photos: Path) -> None:
    settings, told = replace(SETTINGS, steps=1, seed=9), list[tuple[int, int]]()
    valid = open_folder(photos, 2, min_size=32)
    densities_of(
        tiny_teacher, bank, valid, settings, Precision(), on_score=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 6) for done in range(1, 7)]  # of three images, before and after


def command(photos: Path, *more: str) -> Result:
    options = ["--train", str(photos), "--val", str(photos), "--steps", "3"]
    return CliRunner().invoke(app, ["prune", *options, *more])


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autocompress.prune.default_settings", lambda _family, seed: SETTINGS)


@pytest.mark.usefixtures("small_steps")
def test_the_command(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "densities"
    result = command(photos, str(teacher_file), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert all(text in result.stdout for text in ("body.1.conv2", "suggested", "edsr num_feat=", "PSNR-Y"))
    assert "pruning" in result.stderr
    files = {"densities.json", "densities.csv", "densities.html", "pruned.safetensors", "pruned.json"}
    assert {path.name for path in out.iterdir()} == files
    about = json.loads((out / "densities.json").read_text())
    rows = list(csv.DictReader((out / "densities.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [layer["name"] for layer in about["layers"]]
    assert rows[1]["groups"] == "body.0"
    weight = load(out / "pruned.safetensors").state_dict()["body.0.conv1.weight"]
    assert about["layers"][1]["nonzero"] == int(weight.count_nonzero())
    html = (out / "densities.html").read_text()
    assert "suggested: num_feat=" in html
    assert 'src="http' not in html


@pytest.mark.usefixtures("small_steps")
def test_json_alone(photos: Path, teacher_file: Path) -> None:
    result = command(photos, str(teacher_file), "--json")
    assert result.exit_code == 0, result.output
    about = json.loads(result.stdout)
    assert about["settings"]["steps"] == 3
    assert about["suggested"]["flops"] <= about["teacher"]["flops"]
    assert set(about["psnr_y"]) == {"before", "after"}


@pytest.mark.usefixtures("small_steps")
def test_a_swinir_is_shown_by_its_parts(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "swinir.pth"
    torch.save(random_swinir(SwinIRConfig(2, 4, (5, 8), (1, 1), 4)).state_dict(), file)
    result = command(photos, str(file), "--allow-weak-teacher")
    assert result.exit_code == 0, result.output
    assert "layers.1.residual_group.blocks.7 " in result.stdout
    assert "qkv" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-teacher"], "no such file"),
        (["edsr-baseline-x2", "--recipe", "theirs"], "--recipe is 'theirs', but must be ours or paper"),
        (["edsr-baseline-x2", "--steps", "0"], "steps is 0, but must be >= 1"),
        (["swinir-s-x2", "--res-scale", "0.1"], "describes"),
        (["edsr-baseline-x2", "--train", "nowhere"], "nowhere"),
        (
            ["edsr-baseline-x2", "--out", "file"],
            r"file: cannot be written to \(Not a directory\); give another folder with --out",
        ),
    ],
)
def test_bad_input(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=message):
        CliRunner().invoke(app, ["prune", *arguments], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("family", ["edsr", pytest.param("swinir", marks=pytest.mark.slow), "compact"])
def test_an_analysis_tells_how_far_it_is(family: str, tiny_teacher: EDSR) -> None:
    teachers: dict[str, SRNetwork] = {
        "edsr": tiny_teacher,
        "swinir": random_swinir(SwinIRConfig(2, 12, (2, 2), (2, 2), 4)),
        "compact": find_family("compact").build(CompactConfig(2, num_feat=8, num_conv=2)),
    }
    teacher, told = teachers[family], list[tuple[int, int]]()
    family_of(teacher).analyse(teacher, torch.rand(9, 3, 24, 24), "projection", 0, lambda *share: told.append(share))
    total = len(told)
    assert total > 2
    assert told == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize("family", ["edsr", pytest.param("swinir", marks=pytest.mark.slow)])
def test_densities_decide_what_a_projection_keeps(family: str, tiny_teacher: EDSR) -> None:
    """Channels that are dense stay as they are, and those that are not go, whatever they do for the output."""
    teacher: SRNetwork = tiny_teacher if family == "edsr" else random_swinir(SwinIRConfig(2, 12, (2, 2), (2, 2), 4))
    lr = torch.rand(4, 3, 24, 24)
    dense = [1, 2, 5, 6]
    importance = {name: torch.zeros_like(weight) for name, weight in teacher.state_dict().items()}
    first = "conv_first.weight"
    importance[first][dense] = 1.0
    analysis = family_of(teacher).analyse(teacher, lr, "projection", 0)
    guided = family_of(teacher).guided(teacher, analysis, importance)
    kept = guided["covariance.0"][0].diagonal().topk(4).indices.sort().values  # of the stream
    assert kept.tolist() == dense
    assert guided.keys() == analysis.keys()
    config = family_of(teacher).student_config(
        teacher.config, {"num_feat": 4} if family == "edsr" else {"embed_dim": 4, "num_block": 2, "depth": 1}
    )
    student = shrinker(teacher, lr, "density", importance=importance)(config)
    assert student.config == config
    assert student(lr).isfinite().all()
    if family == "edsr":
        both = torch.cat([student.conv_first.weight, teacher.conv_first.weight[dense]])
        assert torch.linalg.matrix_rank(both.flatten(1)) == 4  # the same four channels, in some basis


def test_density_needs_an_importance_and_no_other_does(tiny_teacher: EDSR) -> None:
    lr = torch.rand(2, 3, 24, 24)
    with pytest.raises(InvalidInput, match="density with an importance"):
        shrinker(tiny_teacher, lr, "density")
    with pytest.raises(InvalidInput, match="init is 'copy', but an importance goes with density"):
        shrinker(tiny_teacher, lr, "copy", importance={})


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_default_prunes_the_shipped_teacher_on_any_images(seed: int, shared: Path) -> None:
    """Twice its learning rate diverged on these images, and on the default ones by some arithmetics."""
    teacher, settings = load("edsr-baseline-x2"), default_settings("edsr", seed)
    bank = PixelBank.open(open_folder(shared / "data" / "train", 2, min_size=128).subset(range(0, 310, 8)))
    pruned = sparsify(teacher, bank, settings, Precision(channels_last=True))
    assert all(weight.isfinite().all() for weight in pruned.parameters())
