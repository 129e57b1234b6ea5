"""`refine`: where it runs, and for how long, are the options of `search` of the same names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from autocompress.api._result import Result
from autocompress.api._search import LOG, check_url, declare, without_none, written
from autocompress.io.arguments import check_arguments
from autocompress.search.options import OnJoin, Panel
from autocompress.search.settings import OPTIONS

OF_REFINE = tuple(
    each
    for each in OPTIONS
    if (each.panel is Panel.RUNNING and each.on_join is not OnJoin.AS_THE_RUN and each.field != "refine") or each is LOG
)


def refine(run: str | Path, steps: int | None = None, *, progress: bool = True, **given: Any) -> Result:
    """Train the students of a run's front on from their weights, most where that is expected to enlarge the front most.

    A student never gets worse: its weights are replaced where the PSNR-Y on the validation images is higher. With
    `steps` each student of the front gets up to so many more, in all calls together; with `timeout` as many as the time
    allows; with neither ten minutes' worth. The same call again goes on where it stopped.

    {options}
    progress: As in `search`.

    `backend` may also be a `Backend` as in `search`. Raises as `search` does, and RunError where there is no front.
    """
    options = inspect.signature(refine)
    options.bind(run, steps, **given)
    backend = None if isinstance(given.get("backend"), str) else given.pop("backend", None)
    check_arguments(options.bind(run, steps, progress=progress, **without_none(given)), {})
    where = {each.field: each.read(given.get(each.keyword)) for each in OF_REFINE}

    from autocompress.search import RunFolder

    log, folder = LOG.checked(where.pop("log")), RunFolder.existing(Path(run)).path
    check_url(where["storage"])

    from autocompress.event_log import logged
    from autocompress.search import refine as run_refine
    from autocompress.search.callbacks import CallbackList
    from autocompress.terminal import make_display

    with make_display(0, 0, quiet=not progress) as display, logged(log, folder) as logs:
        callback = CallbackList((display, *logs))
        return written(*run_refine(folder, callback, steps, where, backend=backend), where["storage"])


declare(refine, OF_REFINE)
