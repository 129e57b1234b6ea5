"""`search` and `join`: their keywords, and what is said of them, are those of `Settings`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.api._modules import as_files
from autocompress.api._named import check_named
from autocompress.api._result import Result
from autocompress.io.arguments import check_arguments
from autocompress.search.options import OnJoin, Option
from autocompress.search.settings import OPTIONS, Settings

if TYPE_CHECKING:
    from autocompress.search import Outcome, RunFolder
    from autocompress.terminal import Display

OF_A_SESSION = tuple(each for each in OPTIONS if each.on_join is OnJoin.ITS_OWN)
LOG = next(each for each in OPTIONS if each.field == "log")


def search(*, progress: bool = True, callbacks: Sequence[Any] = (), **given: Any) -> Result:
    """Search for the best small networks within a budget; the same call again goes on where it stopped.

    Every keyword is the option of `autocompress search` of the same name; the defaults are the same too.
    A keyboard interrupt once trials have begun ends the search with the result so far, and `interrupted` in it.

    {options}
    teacher and target may also be modules, any torch.nn.Module of (B, 3, H, W) to (B, 3, sH, sW); see docs/python.md.
    backend may also be an `autocompress.search.backends.base.Backend` of your own.
    progress: Tell on stderr how it goes: live on a terminal, in plain lines elsewhere.
    callbacks: Objects of your own, each an `autocompress.search.SearchCallback`, that are told what happens.

    Raises InvalidInput for what cannot be used, before anything is written; StorageError and DiskFull for what failed
    in the middle, after which the same call goes on.
    """
    options = inspect.signature(search)
    options.bind(**given)  # TypeError for a keyword that is no option's
    backend = None if isinstance(given.get("backend"), str) else given.pop("backend", None)
    given = as_files(as_files(given, "teacher"), "target", "target_")
    check_arguments(options.bind(progress=progress, callbacks=callbacks, **without_none(given)), {})
    settings = Settings.read(given)
    _check_named(settings)

    from autocompress.event_log import logged
    from autocompress.search import search as run_search
    from autocompress.search.callbacks import CallbackList

    with _display(progress, settings) as display, logged(settings.log, settings.folder) as logs:
        callback = CallbackList((display, *logs, *callbacks))
        return written(*run_search(settings, callback, backend=backend), settings.storage)


def without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that are given: None is the default of each."""
    return {name: value for name, value in given.items() if value is not None}


def _check_named(settings: Settings) -> None:
    """Raise InvalidInput for a folder, file or space that is not there, before anything that takes long to import."""
    from autocompress.search.space.declared import declared_space

    teachers = []
    for name in settings.teachers:
        key, equals, rest = name.partition("=")
        teachers.append(rest if key and equals and not Path(name).is_file() else name)
    check_named(
        networks=[*teachers, settings.target],
        codes=[settings.code, settings.target_code],
        folders=[settings.train, settings.val],
        lr=settings.lr,
    )
    for space in settings.spaces:
        declared_space(space)
    check_url(settings.storage)


def check_url(storage: str | None) -> None:
    """Raise InvalidInput for a database that cannot be, before PyTorch is imported; None is no other than the run's."""
    if storage is not None:
        from autocompress.search.run.storage import check_storage  # SQLAlchemy comes with it

        check_storage(storage)


def join(run: str | Path, *, progress: bool = True, **given: Any) -> Result:
    """Work on the search in a run folder, beside any others; what to search is as the run has it.

    {options}
    progress: As in `search`.

    `storage` is needed where its URL has a password. Raises as `search` does.
    """
    check_arguments(inspect.signature(join).bind(run, progress=progress, **without_none(given)), {})
    own = {each.field: each.read(given.get(each.keyword)) for each in OF_A_SESSION}

    from autocompress.search import RunFolder

    log, folder = LOG.checked(own.pop("log")), RunFolder.existing(Path(run))
    check_url(own["storage"])

    from autocompress.event_log import logged
    from autocompress.search import join as join_search
    from autocompress.search.callbacks import CallbackList
    from autocompress.search.running import recorded_settings

    recorded = recorded_settings(folder)
    with _display(progress, recorded) as display, logged(log, Path(run)) as logs:
        return written(*join_search(Path(run), CallbackList((display, *logs)), **own), own["storage"])


def declare(call: Callable[..., Result], options: Iterable[Option]) -> None:
    """Say, for `help()` and `inspect.signature`, which keywords there are and what they do."""
    own = inspect.signature(call, eval_str=True)
    fixed = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    keywords = [
        inspect.Parameter(each.keyword, inspect.Parameter.KEYWORD_ONLY, default=each.usual, annotation=each.python)
        for each in options
    ]
    ordered = sorted([*fixed, *keywords], key=lambda each: (each.kind, each.name in ("progress", "callbacks")))
    call.__signature__ = own.replace(parameters=ordered)  # type: ignore[attr-defined]
    lines = [f"    {each.keyword}: {each.help}{(each.unset and f' None: {each.unset}.') or ''}" for each in options]
    call.__doc__ = (call.__doc__ or "").replace("    {options}", "\n".join(lines))


declare(search, OPTIONS)
declare(join, OF_A_SESSION)


def written(run: RunFolder, outcome: Outcome, storage: str | None) -> Result:
    """The result, once report.html is written, if there are students, and pareto.csv and .json, if there is a front."""
    from autocompress.report import ReportData, write_report
    from autocompress.search.results.front import remove_pareto, students, write_pareto

    table = students(run)
    if table["on_front"].any():
        write_pareto(run)
    else:
        remove_pareto(run)
    if not table.empty:
        write_report(ReportData.of(run, storage))
    return Result(run, outcome, storage)


def _display(progress: bool, settings: Settings) -> AbstractContextManager[Display]:
    from autocompress.terminal import make_display

    return make_display(settings.trials, settings.steps, quiet=not progress)
