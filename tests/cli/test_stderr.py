"""Every verb as a program of its own, with all warnings on: none of a library's reaches the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.exported import write_pt2
from helpers.own_network import OwnNetwork, write_own_network
from helpers.small_search import FinishedSearch
from typer.main import get_command

from autocompress.cli import app

INPUTS = "--teacher tiny.pth --train photos --space small.yaml --init scratch --budget-flops 0.4G --steps 4 --trials 2"
SEARCHES = {  # what a search may be asked for besides
    "plain": "",
    "workers": "--workers 2",
    "event files": "--log tensorboard",
    "repeats and refinement": "--repeats 2 --refine 1s",
    "tpe": "--sampler tpe",
    "gp": "--sampler gp",
    "nsga2": "--sampler nsga2",
    "ray": "--backend ray --workers 1",
    "pruning": "--prune",
}
WEAK = "--input-range 1 --allow-weak-teacher"
TRAINED = "--train photos --val photos --steps 4"
VERBS = {
    "refine": "refine run --steps 4",
    "pareto": "pareto run",
    "status": "status run",
    "report": "report run --png front.png",
    "compare": "compare run again --out both.html",
    "evaluate": "evaluate tiny.pth --data photos",
    "evaluate --latency": "evaluate tiny.pth --latency --data photos",
    "export": "export run --out models --format safetensors --format safetensors-fp16 --format pth --format pt2",
    "export onnx": "export run --trial pick --out models --format onnx --format onnx-fp16 --format onnx-int8",
    "export swinir": "export swinirmini-x2 --out models --format onnx --format pt2 --shape 32x32",
    "export ncnn": "export tiny.pth --out models --format ncnn",
    "upscale": "upscale swinirmini-x2 photos/waves0.png large.png",
    "distill": f"distill edsr --set num_feat=4 --teacher tiny.pth {TRAINED} --data photos --out made.safetensors",
    "distill density": f"distill edsr --set num_feat=4 --init density --teacher tiny.pth {TRAINED} --out a.safetensors",
    "distill own code": f"distill own.pth --code own.py:OwnNetwork {WEAK} --set feat=4 {TRAINED} --out a.safetensors",
    "distill program": f"distill own.pt2 {WEAK} --set width_8=4 {TRAINED} --out a.safetensors",
    "prune": f"prune tiny.pth {TRAINED} --out densities",
    "teacher train": f"teacher train edsr --set num_feat=4 {TRAINED} --patch-size 16 --out a.safetensors",
    "teacher list": "teacher list",
    "teacher show": "teacher show tiny.pth",
    "models list": "models list",
    "models show": "models show edsr-x2-1g",
    "spaces list": "spaces list",
    "spaces show": "spaces show edsr",
    "spaces check": "spaces check small.yaml",
    "cache list": "cache list",
    "cache clear": "cache clear",
}
NEEDS = {"ray": "ray", "event files": "tensorboardX", "export ncnn": "pnnx", "export onnx": "onnxruntime"}
ELSEWHERE = {"dashboard"}  # tests/test_dashboard.py holds that it says nothing
QUICK = {"evaluate"}


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, finished: FinishedSearch, teacher_file: Path, photos: Path) -> Path:
    folder = tmp_path_factory.mktemp("stand")
    for name in ("run", "again"):
        shutil.copytree(finished[0].path, folder / name)
    shutil.copy(teacher_file, folder / "tiny.pth")
    shutil.copytree(photos, folder / "photos")
    shutil.copy(finished[0].path.parent / "small.yaml", folder / "small.yaml")
    write_own_network(folder / "own.py")
    torch.save(OwnNetwork().state_dict(), folder / "own.pth")
    write_pt2(OwnNetwork(), folder / "own.pt2")
    return folder


def said(words: str, stand: Path, folder: Path, **environment: str) -> str:
    """What a program says on stderr; it must end well."""
    shutil.copytree(stand, folder)
    command = [sys.executable, "-W", "always", "-m", "autocompress", *words.split()]
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def skip_without(package: str | None) -> None:
    if package is not None and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize(
    "verb", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VERBS]
)
def test_a_verb(verb: str, stand: Path, tmp_path: Path) -> None:
    skip_without(NEEDS.get(verb))
    own = {"AUTOCOMPRESS_CACHE": str(tmp_path / "cache")} if verb.startswith("cache") else {}
    assert "Warning" not in said(VERBS[verb], stand, tmp_path / "here", **own)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEARCHES)
def test_a_search(kind: str, stand: Path, tmp_path: Path) -> None:
    skip_without(NEEDS.get(kind))
    assert "Warning" not in said(f"search {INPUTS} --out made {SEARCHES[kind]}", stand, tmp_path / "here")


def test_every_verb_is_tried() -> None:
    def names(command: Any, *words: str) -> Iterator[str]:
        inner = getattr(command, "commands", None)
        for name in inner or ():
            yield from names(inner[name], *words, name)
        if inner is None:
            yield " ".join(words)

    tried = {name for name in VERBS if " " not in name or name.split()[0] in ("teacher", "models", "spaces", "cache")}
    assert {*names(get_command(app))} == tried | {"search"} | ELSEWHERE
