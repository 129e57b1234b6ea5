"""README.md and docs/: the commands in them, and small stand-ins for all that these name."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from autocompress import prune
from autocompress.data import embedded
from autocompress.evaluation import latency, scores
from autocompress.evaluation.latency import timed
from autocompress.io import atomic, checkpoints, package_files
from autocompress.networks import FAMILIES, describe
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.versus_bicubic import VersusBicubic
from autocompress.search import RunFolder
from helpers.exported import write_pt2
from helpers.images import write_waves
from helpers.sr_networks import RLFN
from helpers.swinir_networks import random_swinir

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("autocompress", "optuna-dashboard", "export", "python3", "pip", "pytest", "ray")
NOT_RUN = {  # by how they begin: why no test runs them; CONTRIBUTING.md has the same list
    "pip install": "downloads PyTorch and more; `.ci/run` runs README's test command in a fresh environment",
    "pytest": "is the tests themselves",
}
PROGRAMS_OF_THEIR_OWN = (  # by how they begin: a process, a server or a tool, in tests/test_docs_programs.py
    "python3 -m venv",
    "ray start --head",
    "ray start --address",
    "autocompress dashboard",
    "optuna-dashboard sqlite:",
    "autocompress search --budget-flops 20G --backend ray",
    "autocompress search --budget-flops 20G --storage postgresql:",
    "autocompress search --budget-flops 20G --workers 4",
    "autocompress search --join runs/mine --workers 2",
    "autocompress evaluate runs/edsr-20G-seed0 --latency",
    "autocompress export edsrmini-x2 --out models --format ncnn",
    "autocompress export runs/edsr-20G-seed0 --trial pick --format safetensors",
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

IMAGES = {
    "Set5": (64, 1),
    "Set14": (64, 1),
    "DIV2K_train_HR": (192, 2),
    "DIV2K_train_LR_bicubic/X2": (96, 2),
    "DIV2K_valid_HR": (64, 1),
    "DIV2K/DIV2K_train_HR": (192, 2),
    "frames": (96, 2),
    "photographs": (96, 2),
    "portrait": (96, 1),
}
RUNS = ("runs/mine", "runs/edsr-20G-seed0", "runs/own", "runs/program")
EDSR_FILES = ("net_g.pth", "EDSR_Mx2.pth", "models/2x-edsr-f16b15-19G.pth")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language; of none and `sh`, what a shell runs."""
    return [body for found, body in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def commands(page: Path) -> list[str]:
    """Every command in a page's blocks: lines that begin with a program, taken apart at `&&`, without remarks."""
    found = []
    for line in "".join(blocks(page, "") + blocks(page, "sh")).replace("\\\n", " ").splitlines():
        for part in line.split(" && "):
            words = shlex.split(part, comments=True) if Path(part.strip().partition(" ")[0]).name in PROGRAMS else []
            if words:
                found.append(shlex.join([Path(words[0]).name, *words[1:]]).replace("'>'", ">"))
    return found


class StandIns:
    """A folder to copy to where a command runs, with everything under the names that the pages use."""

    def __init__(self, folder: Path, run: RunFolder) -> None:
        self.folder = folder
        for name, (side, count) in IMAGES.items():
            (folder / name).mkdir(parents=True)
            for index in range(count):
                suffix = "x2" if name.endswith("X2") else ""
                write_waves(folder / name / f"000{index}{suffix}.png", side, side, seed=index)
        for name in RUNS:
            shutil.copytree(run.path, folder / name)
        (folder / "models").mkdir()
        for name in EDSR_FILES:
            torch.save({"params": mini().state_dict()}, folder / name)
        self.save("models/2x-edsr-f16b15-19G.safetensors", mini())
        write_waves(folder / "photo.jpg", 60, 80, seed=0)
        (folder / "search_spaces").mkdir()
        shutil.copy(ROOT / "search_spaces" / "edsr.yaml", folder / "mine.yaml")
        self._write_own_network()
        self._write_rlfn()
        (page,) = blocks(ROOT / "docs" / "adding-a-family.md", "yaml")
        (folder / "search_spaces" / "espcn.yaml").write_text(page)

    def _write_own_network(self) -> None:
        """The code of docs/your-own-network.md, weights with which it is sharper than bicubic, and a run of it."""
        (self.folder / "my_network.py").write_text(_code_of_own_network())
        network = own_network()
        torch.save({"params": network.state_dict()}, self.folder / "my_network.pth")
        write_pt2(network, self.folder / "net.pt2")
        save_file(network.state_dict(), self.folder / "student.safetensors")
        described = {"family": "MyNetwork", "config": {"scale": 2, "arguments": {"scale": 2}, "input_range": 1.0}}
        (self.folder / "student.json").write_text(json.dumps(described))

    def _write_rlfn(self) -> None:
        """The code of docs/gallery.md, small unless told otherwise, and its weights."""
        code = (ROOT / "tests" / "helpers" / "sr_networks.py").read_text()
        small = code.replace("feature_channels: int = 52", "feature_channels: int = 8").replace(
            "mid: int = 6", "mid: int = 2"
        )
        (sharp,) = blocks(ROOT / "docs" / "gallery.md", "python")
        (self.folder / "rlfn.py").write_text(f"{small}\n\n{sharp}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for scale in (2, 4):
                network = RLFN(feature_channels=8, upscale=scale, mid=2)
                torch.save(network.state_dict(), self.folder / f"rlfn_x{scale}.pth")

    def save(self, name: str, network: SRNetwork) -> None:
        """A network in a file with its side file, as ours are."""
        file = self.folder / name
        checkpoints.save_tensors(file, network.state_dict())
        atomic.write_json(file.with_suffix(".json"), {**describe(network), "metrics": {}})


def _code_of_own_network() -> str:
    """The code of docs/your-own-network.md."""
    return next(block for block in blocks(ROOT / "docs" / "your-own-network.md", "python") if "class" in block)


def own_network() -> torch.nn.Module:
    """The network that this builds, with weights with which it is sharper than bicubic."""
    defined: dict[str, Any] = {}
    exec(_code_of_own_network(), defined)
    network: torch.nn.Module = defined["MyNetwork"](scale=2)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    return network


def mini() -> SRNetwork:
    """A random EDSR with the counts of the smallest student that the pages ask for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FAMILIES["edsr"].build(EDSRConfig(2, 16, 8)).eval()


def load_family() -> ModuleType:
    """The module that docs/adding-a-family.md writes down, with its family among those that are known."""
    module = ModuleType("autocompress.networks.espcn")
    source = "\n\n".join(blocks(ROOT / "docs" / "adding-a-family.md", "python"))
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(source, "docs/adding-a-family.md", "exec"), module.__dict__)
    return module


def with_small_teachers(folder: Path) -> Iterator[None]:
    """Within it the shipped teachers are small random ones, and the embedded photographs a few waves, in `folder`."""
    networks = {
        "edsr-baseline-x2": mini(),
        "swinir-s-x2": random_swinir(SwinIRConfig(2, 24, (4, 4, 4), (6, 6, 6))),
    }
    for name, network in networks.items():
        checkpoints.save_tensors(folder / f"{name}.safetensors", network.state_dict())
        (folder / f"{name}.json").write_text(json.dumps({**describe(network), "metrics": {}}))
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        write_waves(folder / name, 160, 160, seed=index)
    settings = prune.default_settings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune, "default_settings", lambda family, seed: settings(family, seed).in_steps(4))
        patch.setattr(prune.shrinking, "NUM_PATCHES", 2)
        patch.setattr(package_files, "teachers", lambda: {name: folder / f"{name}.safetensors" for name in networks})
        patch.setattr(embedded, "NAMES", {"train": ("a.png", "b.png"), "valid": ("c.png",)})
        patch.setattr(embedded, "_folder", lambda: folder)
        patch.setattr(scores, "versus_bicubic", lambda network, pairs: VersusBicubic(1.0, 0.0))  # they are random
        patch.setattr(latency, "measure", lambda network, machine, **_: {"pytorch": timed(network, machine, 0.0)})
        yield
