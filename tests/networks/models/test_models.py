"""The students that ship: every name loads, its side file is right, and the wheel has it."""

import importlib.util
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import autocompress
from autocompress import api
from autocompress.errors import InvalidInput
from autocompress.io import package_files
from autocompress.networks import describe, official_class
from autocompress.networks.downloadable import downloadable
from autocompress.networks.models import Shipped, find_model, shipped_models
from autocompress.networks.teachers import default_teacher, shipped
from autocompress.units import decibels, parse_count

NAMES = list(package_files.models())
SETS = ("Set5", "Set14", "McMaster (10 images)", "scikit-image (4 images)")
ROOT = Path(__file__).parents[3]


def test_there_are_some_and_they_are_small() -> None:
    assert {"edsr-x2-1g", "edsr-x2-3g", "edsr-x2-10g", "edsrmini-x2", "swinirmini-x2"} <= set(NAMES)
    assert package_files.DEFAULT_MODEL in NAMES
    assert sum(file.stat().st_size for file in package_files.models().values()) < 4e6
    assert list(shipped()) == [*package_files.teachers(), *NAMES]
    flops = [model.about["flops"] for model in shipped_models().values()]
    assert flops == sorted(flops)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_loads_and_is_as_its_side_file_says(name: str) -> None:
    network, about = autocompress.load(name), find_model(name).about
    described = describe(network)
    assert {key: about[key] for key in described} == described
    assert name.startswith(f"{network.family}-x{network.scale}-") or name.endswith(f"-x{network.scale}")
    if flops := re.search(r"-(\d+)g$", name):
        assert round(described["flops"] / 1e9) == int(flops[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_side_file_says_how_it_was_made(name: str) -> None:
    about = find_model(name).about
    for data in SETS:
        assert 30 < about["metrics"][data]["psnr_y"] < 40
        assert 0.9 < about["metrics"][data]["ssim_y"] < 1
    provenance = about["provenance"]
    assert {"command", "teacher", "target", "data", "stored", "licence", "trained_by"} <= provenance.keys()
    assert {"steps", "seed", "optimizer", "batch_size", "patch_size"} <= provenance["recipe"].keys()
    assert f"--steps {provenance['recipe']['steps']} --seed {provenance['recipe']['seed']}" in provenance["command"]
    assert "/" not in provenance["teacher"] + provenance["target"] + provenance["command"]


def test_the_scores_are_those_of_evaluate() -> None:
    [scores] = api.evaluate("edsr-x2-1g", progress=False).scores.values()
    recorded = find_model("edsr-x2-1g").about["metrics"]["scikit-image (4 images)"]
    assert scores.mean["psnr_y"] == pytest.approx(recorded["psnr_y"], abs=0.002)
    assert scores.mean["ssim_y"] == pytest.approx(recorded["ssim_y"], abs=0.0002)


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_tables_of_the_pages_are_right(page: str) -> None:
    cells = [row.split(" | ") for row in re.sub(r"[*]{2}|^\| ", "", (ROOT / page).read_text(), flags=re.M).splitlines()]
    rows = {row[0].partition(" ")[0]: row[1:5] for row in cells if row[0].partition(" ")[0] in NAMES}
    assert len(rows) >= len(NAMES)
    for name, row in rows.items():
        about = find_model(name).about
        scores = [decibels(about["metrics"][data]["psnr_y"]) for data in SETS[:3]]
        assert [about["flops"], *scores] == [
            pytest.approx(parse_count(row[0]), rel=0.005),
            *row[1:3],
            row[3].rstrip(" |"),
        ]


def test_scores_are_stored_so_that_two_digits_of_them_are_right() -> None:
    """A score that was rounded to three digits, of which the last is 5, may be rounded wrongly to two."""
    stored = {name: scores["psnr_y"] for name in shipped() for scores in shipped()[name].about["metrics"].values()}
    assert [name for name, psnr in stored.items() if re.fullmatch(r"\d+\.\d\d5", str(psnr))] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_scores_on_set5(shared: Path, name: str) -> None:
    scores = api.evaluate(name, [shared / "data" / "benchmark" / "Set5"], progress=False).scores["Set5"]
    assert scores.mean["psnr_y"] == pytest.approx(find_model(name).about["metrics"]["Set5"]["psnr_y"], abs=0.005)


def test_where_they_load() -> None:
    models = shipped_models()
    assert models["edsr-x2-3g"].official_code is None
    assert models["edsrmini-x2"].official_code == "basicsr.archs.edsr_arch.EDSR"
    assert models["swinirmini-x2"].official_code == "models.network_swinir.SwinIR"
    for model in models.values():
        assert model.official_code == official_class(model.about["family"], model.about["config"])


def test_they_are_no_default_teachers() -> None:
    assert default_teacher("edsr") == "edsr-baseline-x2"
    assert default_teacher("swinir") == "swinir-s-x2"
    assert default_teacher("compact") in package_files.teachers()
    assert [teacher.name for teacher in api.teachers()] == list(package_files.teachers())


def test_a_model_more_is_two_files_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "networks" / "models"
    room.mkdir(parents=True)
    source: Shipped = find_model("edsr-x2-1g")
    (room / "own-x2.safetensors").write_bytes(source.file.read_bytes())
    (room / "own-x2.json").write_text(json.dumps(source.about))
    monkeypatch.setattr(package_files, "_PACKAGE", tmp_path)
    assert [model.name for model in api.models()] == ["own-x2"]
    assert autocompress.load("own-x2").config == autocompress.load(source.file).config


def test_a_name_and_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither wins; with a folder before it, and as a Path, it is the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edsr-x2-1g").mkdir()
    assert autocompress.load("edsr-x2-1g").config.to_dict()["num_feat"] == 8  # a folder of exports is no run
    (tmp_path / "edsr-x2-1g").rmdir()
    (tmp_path / "edsr-x2-1g").write_bytes(package_files.models()["edsrmini-x2"].read_bytes())
    with pytest.raises(InvalidInput, match=r"edsr-x2-1g: both a network that ships .* write \./edsr-x2-1g for that"):
        autocompress.load("edsr-x2-1g")
    for file in ("./edsr-x2-1g", Path("edsr-x2-1g")):
        assert autocompress.load(file).config.to_dict()["num_feat"] == 16


def test_an_unknown_name() -> None:
    with pytest.raises(InvalidInput, match=r"nobody is no model that ships with autocompress; these do: edsr-x2-1g, "):
        api.describe_model("nobody")
    with pytest.raises(InvalidInput, match=r"nobody: no such file, and no shipped network .*edsr-x2-3g"):
        autocompress.load("nobody")


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling, which builds it, is not here")
def test_the_wheel_has_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    for room, names in (("models", NAMES), ("teachers", list(package_files.teachers()))):
        for name in names:
            assert {f"autocompress/networks/{room}/{name}{suffix}" for suffix in (".safetensors", ".json")} <= files


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_tables_are_what_the_side_files_say(page: str) -> None:
    expected = {}
    for name, model in shipped_models().items():
        scores = (model.about["metrics"][data]["psnr_y"] for data in SETS[:3])
        expected[name] = [f"{model.about['flops'] / 1e9:.2f}G", *(f"{psnr:.2f}" for psnr in scores)]
    for other in downloadable():
        expected[other.name] = [f"{other.flops / 1e9:.2f}G", *(f"{psnr:.2f}" for psnr in other.psnr_y.values())]
    found = []
    for line in (ROOT / page).read_text(encoding="utf-8").replace("**", "").splitlines():
        cells = [cell.strip().split(" (")[0] for cell in line.split("|")]
        for index, name in enumerate(cells):
            if name in expected and cells[index + 1 : index + 2] == expected[name][:1]:
                assert cells[index + 1 : index + 5] == expected[name]
                found.append(name)
    assert len(set(found) & set(NAMES)) >= 5
    assert len(set(found) - set(NAMES)) >= 3
