"""What the command line does to networks, from Python: what it gives; tests/cli have the rest."""

import json
from pathlib import Path

import pytest

from autocompress import api
from autocompress.errors import ConfigError, InvalidInput, SpaceError
from autocompress.io import cache
from autocompress.search import RunFolder


def test_distill_gives_the_file_and_its_scores(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    made = api.distill(
        "edsr",
        out,
        config={"num_feat": 4, "num_block": 1, "learning_rate": 1e-3},
        teacher=teacher_file,
        train=photos,
        data=[photos],
        init="copy",
        steps=2,
        progress=False,
    )
    assert made.file == out
    assert made.evaluation.scores.keys() == {"photos0"}
    about = json.loads(out.with_suffix(".json").read_text())
    assert (about["config"]["num_feat"], about["provenance"]["recipe"]["learning_rate"]) == (4, 1e-3)
    assert about["provenance"]["teacher"] == str(teacher_file)
    for config, message in (({"width": 4}, "width is nothing that can be set"), ({"num_feat": 4.5}, "whole number")):
        with pytest.raises(ConfigError, match=message):
            api.distill("edsr", out, config=config, teacher=teacher_file, progress=False)
    with pytest.raises(InvalidInput, match="--recipe is 'theirs', but must be ours or paper"):
        api.distill("edsr", out, recipe="theirs")


def test_evaluate_gives_scores_and_json(photos: Path, teacher_file: Path) -> None:
    evaluation = api.evaluate(teacher_file, [photos], progress=False)
    [scores] = evaluation.scores.values()
    assert len(scores.images) == 3
    content = evaluation.to_dict()
    assert content["scale"] == evaluation.scale == 2
    assert json.loads(json.dumps(content))["data"]["photos0"]["mean"] == pytest.approx(scores.mean)
    assert evaluation.cost is None
    assert api.evaluate("bicubic", [photos], scale=3, progress=False).scale == 3
    with pytest.raises(InvalidInput, match="add --latency"):
        api.evaluate(teacher_file, threads=2)


def test_prune_gives_densities_and_writes_them(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    result = api.prune(teacher_file, train=photos, val=photos, steps=2, out=tmp_path / "out", progress=False)
    assert json.loads((tmp_path / "out" / "densities.json").read_text()) == result.to_dict()
    assert result.name == str(teacher_file)
    assert result.pruned.psnr_before > 0


def test_export_of_a_run_and_of_a_file(copied: RunFolder, tmp_path: Path) -> None:
    front = api.export(copied.path, tmp_path / "front", format=["safetensors", "pth"])
    assert {file.suffix for file in front} == {".safetensors", ".pth"}
    [pick] = api.export(copied.path, tmp_path / "pick", trial="pick")
    [again] = api.export(pick, tmp_path / "again", format="pth")
    assert again.is_file()
    with pytest.raises(InvalidInput, match="leave --trial out"):
        api.export(pick, tmp_path / "no", trial=3)


def test_upscale_says_what_it_left(photos: Path, teacher_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for file in photos.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "bad.png").write_text("no image")
    result = api.upscale(teacher_file, folder, tmp_path / "out", skip_bad_images=True, progress=False)
    assert len(result.files) == 3
    assert len(result.left_out) == 1
    assert result.existing == []
    again = api.upscale(teacher_file, folder, tmp_path / "out", skip_bad_images=True, progress=False)
    assert (again.files, len(again.existing)) == ([], 3)


def test_train_teacher_from_scratch_and_on(photos: Path, tmp_path: Path) -> None:
    first = api.train_teacher(
        "edsr",
        tmp_path / "first.safetensors",
        config={"num_feat": 4, "num_block": 1},
        train=photos,
        val=photos,
        steps=2,
        batch_size=2,
        progress=False,
    )
    assert first.file.is_file()
    assert (first.family, first.config["num_feat"]) == ("edsr", 4)
    second = tmp_path / "second.safetensors"
    api.train_teacher("edsr", second, start=first.file, train=photos, steps=2, batch_size=2, progress=False)
    assert json.loads(second.with_suffix(".json").read_text())["provenance"]["start"] == str(first.file)
    with pytest.raises(InvalidInput, match="--set num_feat=8 was given, but"):
        api.train_teacher("edsr", second, start=first.file, config={"num_feat": 8})
    with pytest.raises(InvalidInput, match="leave --scale out"):
        api.train_teacher("edsr", second, start=first.file, scale=3)
    (tmp_path / "own.py").touch()
    with pytest.raises(InvalidInput, match=r"own.py:Net needs the weights of its network; add --target"):
        api.train_teacher("edsr", second, target_code=f"{tmp_path / 'own.py'}:Net")


def test_what_there_is(teacher_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "edsr-baseline-x2" in [teacher.name for teacher in api.teachers()]
    assert api.describe_teacher("edsr-baseline-x2")["metrics"]
    assert "metrics" not in api.describe_teacher(teacher_file)
    assert "edsr" in [space.name for space in api.spaces()]
    assert api.space("edsr").size == {space.name: space.size for space in api.spaces()}["edsr"]
    with pytest.raises(SpaceError, match="no such file"):
        api.space("nowhere.yaml")
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path / "cache"))
    cache.entry("kind", "key", lambda folder: (folder / "file").write_text("x") and None)
    assert [entry.key for entry in api.cache_entries()] == ["key"]
