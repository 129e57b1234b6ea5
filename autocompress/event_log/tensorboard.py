"""Event files for TensorBoard, in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from typing_extensions import override

from autocompress.errors import InvalidInput
from autocompress.event_log.search_log import HEADINGS, Sink
from autocompress.names import as_markdown, printable

FOLDER = "tensorboard"  # in the run folder
FLUSH = 5  # seconds until what is written can be seen


def open_tensorboard(run: Path) -> Sink:
    """Event files in a run's folder; InvalidInput where what writes them is not installed, or they have no place."""
    if find_spec("tensorboardX") is None:
        raise InvalidInput(
            "--log tensorboard needs tensorboardX, which is not installed; pip install 'autocompress[tensorboard]'"
        )
    folder = run / FOLDER
    _check(folder)
    return _EventFiles(folder)


def _check(folder: Path) -> None:
    """InvalidInput where something else stands in the place of a folder of event files, or they would go elsewhere."""
    own = sorted(folder.glob("trial-*")) if folder.is_dir() and not folder.is_symlink() else []
    for path in (folder, *own):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            what = "a link" if path.is_symlink() else "no folder"
            raise InvalidInput(
                f"{path}: {what}, where --log tensorboard needs one of its own; move it, or leave out --log"
            )


class _EventFiles(Sink):
    """Each trial is a run of TensorBoard, and the front is one beside them; what was varied is under HPARAMS."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    @override
    def curve(self, trial: int, name: str, step: int, value: float) -> None:
        self._writer(_name(trial)).add_scalar(name, value, step)

    @override
    def student(self, trial: int, values: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        shown = {f"hparam/{name}": value for name, value in metrics.items()}
        self._writer().add_hparams(dict(values), shown, name=_name(trial))

    @override
    def front(self, over: int, scalars: Mapping[str, float], table: Sequence[Sequence[object]]) -> None:
        for name, value in scalars.items():
            self._writer().add_scalar(f"front/{name}", value, over)
        lines = [HEADINGS, ["---"] * len(HEADINGS), *table]
        self._writer().add_text("front", "\n".join(map(_row, lines)), over)

    @override
    def note(self, name: str, text: str, over: int) -> None:
        self._writer().add_text(name, "\n".join(f"    {printable(line)}" for line in text.splitlines()), over)

    @override
    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str = "") -> Any:
        if name not in self._writers:
            from tensorboardX import SummaryWriter

            # files are called by the second: two sessions that begin in the same one must not write into each other's
            suffix = f".{uuid4().hex}"
            self._writers[name] = SummaryWriter(str(self._folder / name), flush_secs=FLUSH, filename_suffix=suffix)
        return self._writers[name]


def _row(cells: Sequence[object]) -> str:
    """A line of a table in Markdown, as which TensorBoard shows texts."""
    return f"| {' | '.join(as_markdown(str(cell)) for cell in cells)} |"


def _name(trial: int) -> str:
    return f"trial-{trial:04d}"
