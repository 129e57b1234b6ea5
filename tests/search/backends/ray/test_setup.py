"""How a task comes to another node, and what that node refuses."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.own_network import OwnNetwork, write_own_network
from PIL import Image

from autocompress.errors import AutocompressError
from autocompress.search import OnRay, Settings
from autocompress.search.run.crops import crops_of
from autocompress.search.run.folder import RunFolder
from autocompress.search.task import open_task
from autocompress.search.trial.preparation import prepare

SentTask = pytest.importorskip("autocompress.search.backends.ray.setup", reason="Ray is not installed").SentTask


@pytest.fixture
def sent(settings: Callable[..., Settings], photos: Path, tmp_path: Path) -> bytes:
    """A task on its way, whose images can be changed."""
    own = shutil.copytree(photos, tmp_path / "own")
    wanted = settings(train=own)
    context = prepare(open_task(wanted), crops=crops_of(RunFolder(wanted.folder)))
    return pickle.dumps(SentTask.of(context, OnRay(cpus=1)))


def test_a_task_is_opened_where_its_images_are(sent: bytes) -> None:
    assert callable(pickle.loads(sent).open())


def test_other_images_are_refused(sent: bytes, tmp_path: Path) -> None:
    file = next((tmp_path / "own").glob("*.png"))
    with Image.open(file) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    with pytest.raises(AutocompressError, match="other images here than the search has; copy them anew"):
        pickle.loads(sent).open()


def test_images_that_are_not_there_are_named(sent: bytes, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "own")
    with pytest.raises(AutocompressError, match="own: no such folder here; images must have the same path on every"):
        pickle.loads(sent).open()


@pytest.mark.slow
def test_networks_of_own_code_are_opened_in_another_process(here: Path, photos: Path) -> None:
    write_own_network(here / "own.py")
    torch.save(OwnNetwork(feat=8).state_dict(), "own.pth")
    code = {"code": str(here / "own.py:OwnNetwork"), "input_range": 1.0}
    target = {"target": "own.pth", "target_code": code["code"], "target_input_range": 1.0}
    wanted = Settings(budget_flops=10**9, teachers=("own.pth",), train=photos, steps=2, **code, **target)
    context = prepare(open_task(wanted), crops=crops_of(RunFolder(here / "run")))
    Path("sent").write_bytes(pickle.dumps(SentTask.of(context, OnRay(cpus=1))))
    there = "import pickle, sys; assert callable(pickle.load(open(sys.argv[1], 'rb')).open())"
    subprocess.run([sys.executable, "-c", there, "sent"], check=True)
