"""How a task comes to another node, and what that node refuses."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
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
