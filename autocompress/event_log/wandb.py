"""Weights & Biases: a run there for each session of a search, in the project autocompress."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from typing_extensions import override

from autocompress.errors import InvalidInput
from autocompress.event_log.search_log import HEADINGS, Sink

PROJECT = "autocompress"
WITHOUT_LOGIN = ("offline", "disabled")  # of WANDB_MODE
FRONT = "front/ended"  # trials and pieces that have ended: what the front's curves are over


def open_wandb(run: Path) -> Sink:
    """A run of Weights & Biases; InvalidInput where it is not installed, or nobody is logged in.

    What it keeps on the disk is in the run's folder. WANDB_MODE, WANDB_PROJECT and its other variables hold.
    """
    if find_spec("wandb") is None:
        raise InvalidInput("--log wandb needs wandb, which is not installed; pip install 'autocompress[wandb]'")
    import wandb

    if os.environ.get("WANDB_MODE") not in WITHOUT_LOGIN and not wandb.login(prompt=False):
        raise InvalidInput(
            "--log wandb: nobody is logged in to Weights & Biases here; run `wandb login`, or set WANDB_MODE=offline "
            "to keep all on this disk"
        )
    return _Wandb(run)


class _Wandb(Sink):
    def __init__(self, run: Path) -> None:
        self._folder = run
        self._opened: Any = None

    @property
    def _run(self) -> Any:
        """Begun when there is something to say: the run's folder must be there."""
        if self._opened is None:
            import wandb

            name = self._folder.absolute().name
            self._opened = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                group=name,
                name=name,
                dir=self._folder,
                mode=os.environ.get("WANDB_MODE"),
                settings=wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True),
            )
            self._opened.define_metric(FRONT)
            self._opened.define_metric("front/*", step_metric=FRONT)
        return self._opened

    @override
    def curve(self, trial: int, name: str, step: int, value: float) -> None:
        own = f"trial-{trial:04d}"
        self._run.define_metric(f"{own}/*", step_metric=f"{own}/step")
        self._run.log({f"{own}/{name}": value, f"{own}/step": step})

    @override
    def student(self, trial: int, values: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        self._run.summary.update({f"trial-{trial:04d}/{name}": value for name, value in {**values, **metrics}.items()})

    @override
    def front(self, over: int, scalars: Mapping[str, float], table: Sequence[Sequence[object]]) -> None:
        import wandb

        rows = [list(map(str, row)) for row in table]
        shown = {f"front/{name}": value for name, value in scalars.items()}
        self._run.log({**shown, FRONT: over, "front/table": wandb.Table(columns=list(HEADINGS), data=rows)})

    @override
    def note(self, name: str, text: str, over: int) -> None:
        self._run.summary.update({f"{name}/{over}": text})

    @override
    def close(self) -> None:
        if self._opened is not None:
            self._opened.finish()
