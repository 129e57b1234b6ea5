"""What a process that was killed leaves lying about in a run folder."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from optuna.trial import FrozenTrial

from autocompress.search.run.crops import CROPS
from autocompress.search.run.folder import OLD, TIMES, RunFolder
from autocompress.search.run.study import origin


def sweep(run: RunFolder, trials: Iterable[FrozenTrial]) -> None:
    """Remove what no trial can go on from: half-written files, and states and students of trials that are over.

    To be called while asking: what a trial that is not over needs stays.
    """
    pending = [trial for trial in trials if not trial.state.is_finished()]
    busy = {trial.number for trial in pending} | {origin(trial) for trial in pending}
    for folder in (run.path / "trials").glob("[0-9]*"):
        if int(folder.name) not in busy:
            for left in _left_in(folder):
                left.unlink(missing_ok=True)
    for left in run.path.glob(f".{TIMES}.*.tmp"):
        left.unlink(missing_ok=True)
    for left in [*run.artifacts.glob(".*.tmp"), *(run.path / CROPS).glob(".*.tmp")]:
        with suppress(FileNotFoundError):  # its session writes it now, and has just renamed it
            if time.time() - left.stat().st_mtime > OLD:
                left.unlink()


def _left_in(folder: Path) -> Iterable[Path]:
    yield from folder.glob(".*.tmp")
    yield folder / "state.pt"
    if not (folder / "student.json").exists():  # it is written last
        yield folder / "student.safetensors"
        yield from folder.glob("crop-*.png")
