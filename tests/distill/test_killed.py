"""`distill` as a program, killed while its teacher runs on images of 2K, and while it trains."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.images import write_waves

from autocompress import load
from autocompress.io import cache

SIZE = 2040, 1356


@pytest.mark.slow
def test_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    images, out, log = tmp_path / "images", tmp_path / "student.safetensors", tmp_path / "log"
    images.mkdir()
    write_waves(images / "0.png", SIZE[1], SIZE[0], seed=0)
    for index in range(1, 40):
        (images / f"{index}.png").hardlink_to(images / "0.png")
    words = ["distill", "edsr", "--set", "num_feat=4", "--set", "num_block=1", "--train", str(images)]
    words += ["--train-pixels", "12M", "--steps", "4000", "--out", str(out)]

    def run_until(reached: Callable[[], object]) -> str:
        with log.open("w") as stream:
            program = subprocess.Popen([sys.executable, "-m", "autocompress", *words], stdout=stream, stderr=stream)
            while program.poll() is None and not reached():
                time.sleep(0.05)
            program.kill()
            program.wait()
        return log.read_text()

    first = run_until(lambda: "running the target: tile" in log.read_text())
    tile = int(re.findall(r"running the target: tile (\d+) of", first)[0])
    second = run_until(out.with_suffix(".state").exists)
    assert int(re.findall(r"once: tile (\d+) of", second)[0]) >= tile
    third = run_until(lambda: False)
    assert int(re.findall(r"going on after (\d+) of 4000 steps", third)[0]) > 0
    assert "running the target" not in third
    about = json.loads(out.with_suffix(".json").read_text())
    assert [about["curve"][0][0], about["curve"][-1][0]] == [0, 4000]
    assert about["provenance"]["trained_on"].startswith("40 images of images (10.8% of their pixels")
    assert load(out).config.to_dict()["num_feat"] == 4
    assert not out.with_suffix(".state").exists()
