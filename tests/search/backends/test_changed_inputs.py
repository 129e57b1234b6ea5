"""Workers that begin while a search runs, on images and teachers that have changed since it began."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.small_search import MakeSettings

from autocompress.compute.precision import Precision
from autocompress.errors import AutocompressError, RunError
from autocompress.search.backends.base import WorkerSetup
from autocompress.search.backends.processes import ProcessBackend, TaskSetup
from autocompress.search.run.crops import Pieces
from autocompress.search.task import open_task
from autocompress.search.trial.messages import Job, Work


@pytest.mark.parametrize("what", ["the training images", "the validation images", "the teacher", "the target"])
def test_a_worker_does_not_begin_with_other_images_or_teachers(settings: MakeSettings, what: str) -> None:
    given = settings()
    digests = {
        name: "of others" if name.startswith(what) else digest for name, digest in open_task(given).digests.items()
    }
    setup = TaskSetup(given, digests, Precision(), Pieces(Path(), (), ()))

    with pytest.raises(RunError, match=f"{what}.* changed while the search ran"):
        setup.open()


@dataclass(frozen=True)
class Changed:
    """A worker whose images have changed."""

    def open(self) -> Work:
        raise RunError("the images changed; put them back")


@pytest.mark.slow
def test_the_search_ends_by_what_its_worker_says() -> None:
    setup: WorkerSetup = Changed()
    with closing(ProcessBackend(setup, 1)) as backend:
        backend.start(Job(0, None, Path(), Path()))  # type: ignore[arg-type]
        with pytest.raises(AutocompressError, match="the images changed; put them back"):
            backend.poll(60)
