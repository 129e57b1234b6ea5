"""Side files that tell of a network in another shape: refused in one line, before anything is written."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.edsr_networks import weights
from safetensors.torch import save_file

from autocompress.errors import CheckpointError
from autocompress.export.files import export_file
from autocompress.export.formats import Format, Wanted

TOLD: dict[str, Any] = {
    "metrics": {"psnr_y": 30.0, "ssim_y": 0.9},
    "provenance": {
        "teacher": "edsr",
        "validation": {"bicubic": {"psnr_y": 29.0}, "teacher": {"psnr_y": 31.0}},
        "recipe": {"steps": 4},
    },
}


def export(folder: Path, told: dict[str, Any]) -> list[Path]:
    file = folder / "own.safetensors"
    save_file(weights(), file)
    config = {"scale": 2, "num_feat": 6, "num_block": 2}
    file.with_suffix(".json").write_text(json.dumps({"family": "edsr", "config": config, **told}))
    return export_file(file, "made", folder / "out", Wanted((Format.PTH,)))


def test_what_is_as_we_write_it_is_in_the_card(tmp_path: Path) -> None:
    export(tmp_path, TOLD)
    assert "| teacher edsr | 31.00" in (tmp_path / "out" / "made.md").read_text()


@pytest.mark.parametrize(
    "told",
    [
        {"metrics": [1]},
        {"metrics": 5},
        {"metrics": {"psnr_y": "high"}},
        {"provenance": []},
        {"provenance": "ours"},
        {"provenance": {"validation": {"teacher": 10**30}}},
        {"provenance": {"validation": {"teacher": {"psnr_y": [1]}}}, "metrics": {"psnr_y": 3.0}},
        {"provenance": {"recipe": 7}},
        {"provenance": {"versions": [1, 2]}},
        {"int8": 3},
        {"latency_ms": "fast"},
    ],
    ids=str,
)
def test_another_shape_is_one_line_and_nothing_is_written(tmp_path: Path, told: dict[str, Any]) -> None:
    whole = {**TOLD, **told, "provenance": told.get("provenance", TOLD["provenance"])}
    if isinstance(whole["provenance"], dict):
        whole["provenance"] = {**TOLD["provenance"], **whole["provenance"]}
    with pytest.raises(CheckpointError, match=r"own\.json: what it tells of the network is of another shape") as raised:
        export(tmp_path, whole)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()
