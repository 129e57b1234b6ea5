"""Logs of a search where people look at trainings: TensorBoard and Weights & Biases, written while it runs.

`search_log` says what is logged, as a `SearchCallback` as anybody may write one (docs/python.md has one of a few
lines); `tensorboard` and `wandb` say how it is written. May import `search` and what is below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from autocompress.search.settings import Log

if TYPE_CHECKING:
    from autocompress.event_log.search_log import SearchLog

__all__ = ["logged"]


@contextmanager
def logged(log: Log, folder: Path) -> Iterator[Sequence[SearchLog]]:
    """The callbacks that `--log` asks for, of the run in a folder; InvalidInput where what writes it cannot be used."""
    if log is Log.NONE:
        yield ()
        return
    from autocompress.event_log.search_log import SearchLog
    from autocompress.search.run.folder import RunFolder

    if log is Log.TENSORBOARD:
        from autocompress.event_log.tensorboard import open_tensorboard as open_sink
    else:
        from autocompress.event_log.wandb import open_wandb as open_sink
    with closing(open_sink(folder)) as sink:
        yield (SearchLog(RunFolder(folder), sink),)
