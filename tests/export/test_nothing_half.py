"""What cannot be exported is found out before the first file is written."""

import json
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.edsr_networks import edsr

from autocompress import prune
from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.folders import open_folder
from autocompress.distill.distillation import TrainingTask, open_training_images, train_to_file
from autocompress.distill.recipe import Recipe
from autocompress.errors import TrainingDiverged
from autocompress.io.checkpoints import digest_of, save_tensors
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.prune.sparsify import SparsifySettings
from autocompress.search import RunFolder
from autocompress.search.results.rows import front_rows


def endless() -> EDSR:
    """A network of finite weights whose outputs are not."""
    network = edsr(EDSRConfig(2, 4, 2))
    with torch.no_grad():
        for parameter in network.body.parameters():
            parameter.fill_(1e30)
    return network


def last_of_front(run: RunFolder) -> Path:
    return Path(front_rows(run)[-1]["file"])


def keep_for(file: Path, content: bytes) -> None:
    """Replace weights, and let their side file know them."""
    file.write_bytes(content)
    side = file.with_suffix(".json")
    side.write_text(json.dumps(json.loads(side.read_text()) | {"weights": [digest_of(content)]}))


@pytest.mark.parametrize("format", ["safetensors", "pth", "pt2"])
def test_a_front_with_replaced_weights(call: Call, copied: RunFolder, here: Path, format: str) -> None:
    first, last = Path(front_rows(copied)[0]["file"]), last_of_front(copied)
    last.write_bytes(first.read_bytes())
    ended = call("export", copied.path, "--out", "out", "--format", format)
    assert_refused(ended, f"{last}: replaced or damaged, as its student.json was written for others")
    assert "not the description" not in ended.err
    assert not Path("out").exists()


@pytest.mark.parametrize("of", ["a run", "a trial", "a file"])
def test_a_network_whose_outputs_are_not_finite(call: Call, copied: RunFolder, here: Path, of: str) -> None:
    if of == "a file":
        save_tensors(Path("net.safetensors"), endless().state_dict())
        words: list[object] = ["net.safetensors"]
    else:
        last = last_of_front(copied)
        save_tensors(
            Path("same.safetensors"), {name: torch.full_like(value, 1e30) for name, value in load_weights(last).items()}
        )
        keep_for(last, Path("same.safetensors").read_bytes())
        words = [copied.path, *(["--trial", "pick"] if of == "a trial" else [])]
    ended = call("export", *words, "--out", "out")
    assert_refused(
        ended, "the network makes values that are not finite", "give the file of a trained network's weights"
    )
    assert not Path("out").exists()


def load_weights(file: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(file))


def test_a_weight_that_a_half_cannot_hold(call: Call, copied: RunFolder, here: Path) -> None:
    last = last_of_front(copied)
    weights = load_weights(last)
    weights["conv_last.bias"][0] = 1e5
    save_tensors(Path("same.safetensors"), weights)
    keep_for(last, Path("same.safetensors").read_bytes())
    ended = call("export", copied.path, "--out", "out", "--format", "safetensors", "--format", "safetensors-fp16")
    assert_refused(ended, "conv_last.bias has a weight of 1e+05, too large for float16")
    assert not Path("out").exists()


class Overflowing(EDSR):
    """Its outputs are finite while it is trained, and not after."""

    def upsampled(self, features: torch.Tensor, height: int, width: int) -> torch.Tensor:
        made = super().upsampled(features, height, width)
        return made if self.training or torch.is_grad_enabled() else made * torch.inf


def test_a_training_that_ends_with_such_a_network_writes_nothing(photos: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=2, batch_size=2, patch_size=16, teacher_share=0.0)
    start: SRNetwork = Overflowing(EDSRConfig(2, 4, 1))
    task = TrainingTask(start, open_training_images(photos, 2, recipe), None, recipe)
    with pytest.raises(TrainingDiverged, match=r"after 2 steps at learning rate .*; a lower one may help"):
        train_to_file(task, tmp_path / "net.safetensors", Precision(), lambda _: None, lambda _: None)
    assert not list(tmp_path.glob("net.safetensors"))
    assert not list(tmp_path.glob("net.json"))


def test_a_pruning_that_ends_with_such_a_network(photos: Path) -> None:
    bank = PixelBank.open(open_folder(photos, 2, min_size=32))
    settings = SparsifySettings(2, 1, 16, learning_rate=0.01, lambda_=0.0)
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        prune.sparsify(Overflowing(EDSRConfig(2, 4, 1)), bank, settings, Precision())
