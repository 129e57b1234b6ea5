"""The search from Python, such as a notebook; the command line stands on it.

    from autocompress.api import search

    result = search(budget_flops="20G")
    student = result.best(max_flops="10G").load()

Keywords are the command line's options, and quantities are numbers or texts as there: 20e9 or "20G", 600 or "10m".
Errors are those of `autocompress.errors`; their messages call a keyword as the command line does (`--budget-flops`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from autocompress import units
from autocompress.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from autocompress.networks import load
    from autocompress.networks.base import SRNetwork
    from autocompress.search import OnRay, Outcome, RunFolder
    from autocompress.terminal import Display

__all__ = ["Result", "Student", "join", "load", "open_run", "search"]

Amount = float | str  # 20e9 or "20G"
Time = float | str  # 600 seconds or "10m"
File = str | Path
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Student:
    """A student that was trained to the end; costs are for an output of 1280x720, scores of the validation images."""

    trial: int
    file: Path
    family: str
    config: dict[str, Any]
    flops: int
    params: int
    metrics: dict[str, float]
    latency_ms: float | None = None  # with PyTorch, where it was measured

    @property
    def psnr_y(self) -> float:
        """In dB."""
        return self.metrics["psnr_y"]

    def load(self) -> SRNetwork:
        """The network: (B, 3, H, W) RGB in [0, 1] to (B, 3, scale*H, scale*W), in eval mode."""
        from autocompress.networks import load

        return load(self.file)


class Result:
    """A run as it is now: its files are read anew each time, so another search may be going on in it."""

    def __init__(self, run: RunFolder, outcome: Outcome | None = None, storage: str | None = None) -> None:
        """`outcome` is how the search ended that this is the result of; `storage` the URL of its study's database."""
        self.run = run
        self._storage = storage
        self.reason = "" if outcome is None else outcome.reason
        self.interrupted = outcome is not None and outcome.interrupted

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.run.path

    @property
    def front(self) -> pd.DataFrame:
        """The Pareto front, a row for each student, by cost.

        RunError where no trial has finished yet, or none within the budget.
        """
        from autocompress.search.results.front import pareto

        return pareto(self.run)

    @property
    def students(self) -> pd.DataFrame:
        """Every student that was trained to the end, by cost; `on_front` says which are on the front."""
        from autocompress.search.results.front import students

        return students(self.run)

    def best(
        self, max_flops: Amount | None = None, max_params: Amount | None = None, max_latency: Time | None = None
    ) -> Student:
        """The student of the best PSNR-Y within the run's budget and these limits.

        `max_latency`, such as "30ms", is for PyTorch on the machine where students were measured; those that nobody has
        measured are not within it. Raises RunError where no trial has finished yet, or none within the run's budget,
        and InvalidInput where none of those is so small.
        """
        from autocompress.search.results.front import pick, within
        from autocompress.search.space.budget import Budget

        flops, params = _count("max_flops", max_flops), _count("max_params", max_params)
        limit = Budget(flops, params, _milliseconds("max_latency", max_latency))
        row = pick(within(self.run, limit))
        return Student(
            trial=row["trial"],
            file=Path(row["file"]),
            family=row["family"],
            config=row["config"],
            flops=row["flops"],
            params=row["params"],
            metrics={name: row[name] for name in ("psnr_y", "ssim_y")},
            latency_ms=row["latency_ms"],
        )

    def plot(self) -> go.Figure:
        """PSNR-Y over cost: the front, the other students, bicubic and teacher."""
        from autocompress.report import Story, front_figure

        return front_figure(Story.of(self.run, self._storage))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.path}: {len(self.run.students())} students>"


def open_run(path: File, storage: str | None = None) -> Result:
    """The result of a run in a folder, also while the search goes on; RunError where there is none.

    `storage` is the URL of its study's database, needed for the whole picture where that has a password.
    """
    from autocompress.search import RunFolder

    return Result(RunFolder.existing(Path(path)), storage=storage)


def search(
    *,
    budget_flops: Amount | None = None,
    budget_params: Amount | None = None,
    budget_latency: Time | None = None,
    space: File | Sequence[File] = "edsr",
    teacher: File | Sequence[File] | None = None,
    target: File | None = None,
    res_scale: float | None = None,
    train: File | None = None,
    val: File | None = None,
    scale: int | None = None,
    skip_bad_images: bool = False,
    init: str = "projection",
    prune: bool = False,
    objective: str = "flops",
    sampler: str = "cost-aware",
    trials: int = 24,
    steps: int = 300,
    timeout: Time | None = None,
    workers: int | None = None,
    trial_timeout: Time | None = None,
    backend: str = "local",
    address: str | None = None,
    cpus_per_trial: int | None = None,
    gpus_per_trial: float | None = None,
    seed: int = 0,
    out: File | None = None,
    storage: str | None = None,
    extend: bool = False,
    progress: bool = True,
) -> Result:
    """Search for the best small networks within a budget; the same call again goes on where it stopped.

    Every keyword is the option of `autocompress search` of the same name; the defaults are the same too.
    A keyboard interrupt once trials have begun ends the search with the result so far, and `interrupted` in it.

    budget_flops: most FLOPs (fused multiply-adds) for a 1280x720 output; this or another budget has to be given.
    budget_params: most parameters.
    budget_latency: most time for a 1280x720 output on this machine, in seconds or as "30ms"; with objective="latency".
    space: shipped spaces or YAML files; several make one front.
    teacher: a shipped teacher or a file of weights; "SPACE=FILE" for one of several spaces. None: the shipped ones.
    target: the network to learn from, where it is not the teacher.
    res_scale: residual scaling of an EDSR teacher from elsewhere, which no file of weights holds.
    train, val: folders of HR images to train on and to choose by. None: scikit-image's photographs, or for `val`
        a tenth of `train`.
    scale: upscaling factor; it must be the teacher's.
    skip_bad_images: go on without images that cannot be used.
    init: how students start: projection, density, copy, taylor or scratch.
    prune: prune the teacher first, and try what is next to its suggestion.
    objective: what PSNR is weighed against: flops, or latency, measured here, so that no seed gives it twice.
    sampler: what proposes students: cost-aware, tpe, nsga2, gp or random.
    trials: number of students to look at.
    steps: training steps of a student that is trained to the end.
    timeout: stop after this time, in seconds or as "10m".
    workers: trials at the same time. None: 1, or on Ray as many as fit.
    trial_timeout: kill a trial that takes longer, and try it again.
    backend: local or ray; `address`, `cpus_per_trial` and `gpus_per_trial` are for Ray.
    seed: the same one gives the same trials.
    out: the run folder. None: one below `runs`, named after spaces, budget and seed.
    storage: URL of a database for the study. None: a file of the run.
    extend: go on in a run folder of another budget.
    progress: tell on stderr how it goes: live on a terminal, in plain lines elsewhere.

    Raises InvalidInput for what cannot be used, before anything is written; StorageError and DiskFull for what failed
    in the middle, after which the same call goes on.
    """
    if (budget_flops, budget_params, budget_latency) == (None, None, None):
        raise InvalidInput("no budget is given; add --budget-flops, such as --budget-flops 20G, or --budget-params")
    flops, params = _count("--budget-flops", budget_flops), _count("--budget-params", budget_params)
    latency = _milliseconds("--budget-latency", budget_latency)
    seconds, trial_seconds = _seconds("--timeout", timeout), _seconds("--trial-timeout", trial_timeout)

    from autocompress.search import Settings
    from autocompress.search import search as run_search
    from autocompress.search.space.budget import Budget

    settings = Settings(
        budget=Budget(flops, params, latency),
        objective=objective,
        spaces=_names(space),
        teachers=() if teacher is None else _names(teacher),
        target=None if target is None else str(target),
        res_scale=res_scale,
        train=_path(train),
        val=_path(val),
        scale=scale,
        skip_bad_images=skip_bad_images,
        init=init,
        prune=prune,
        sampler=sampler,
        trials=trials,
        steps=steps,
        timeout=seconds,
        workers=1 if workers is None else workers,
        trial_timeout=trial_seconds,
        ray=_on_ray(backend, address, workers, cpus_per_trial, gpus_per_trial),
        seed=seed,
        out=_path(out),
        storage=storage,
        extend=extend,
    )
    with _display(progress, trials, steps) as display:
        return _written(*run_search(settings, display), storage)


def join(
    run: File,
    *,
    workers: int = 1,
    timeout: Time | None = None,
    storage: str | None = None,
    progress: bool = True,
) -> Result:
    """Work on the search in a run folder, beside any others; what to search is as the run has it.

    `storage` is needed where its URL has a password. Raises as `search` does.
    """
    seconds = _seconds("--timeout", timeout)

    from autocompress.search import RunFolder
    from autocompress.search import join as join_search
    from autocompress.search.run.joining import recorded_settings

    settings = recorded_settings(RunFolder.existing(Path(run)))
    with _display(progress, settings.trials, settings.steps) as display:
        return _written(*join_search(Path(run), display, workers, seconds, storage), storage)


def __getattr__(name: str) -> Any:
    if name == "load":
        from autocompress.networks import load

        return load
    raise AttributeError(f"module 'autocompress.api' has no attribute {name!r}")


def _written(run: RunFolder, outcome: Outcome, storage: str | None) -> Result:
    """The result, once report.html is written, if there are students, and pareto.csv and .json, if there is a front."""
    from autocompress.report import Story, write_report
    from autocompress.search.results.front import remove_pareto, students, write_pareto

    table = students(run)
    if table["on_front"].any():
        write_pareto(run)
    else:
        remove_pareto(run)
    if not table.empty:
        write_report(Story.of(run, storage))
    return Result(run, outcome, storage)


def _display(progress: bool, trials: int, steps: int) -> AbstractContextManager[Display]:
    from autocompress.terminal import make_display

    return make_display(trials, steps, quiet=not progress)


def _on_ray(
    backend: str, address: str | None, workers: int | None, cpus: int | None, gpus: float | None
) -> OnRay | None:
    from autocompress.search import OnRay

    if backend == "ray":
        return OnRay(address, workers, 1 if cpus is None else cpus, gpus or 0.0)
    if backend != "local":
        raise InvalidInput(f"--backend {backend}: no such backend; give local or ray")
    if (address, cpus, gpus) != (None, None, None):
        raise InvalidInput("--address, --cpus-per-trial and --gpus-per-trial are for Ray; add --backend ray")
    return None


def _names(given: File | Sequence[File]) -> tuple[str, ...]:
    return (str(given),) if isinstance(given, str | Path) else tuple(map(str, given))


def _path(given: File | None) -> Path | None:
    return None if given is None else Path(given)


def _count(name: str, given: Amount | None) -> int | None:
    return _parsed(name, given, units.parse_count)


def _seconds(name: str, given: Time | None) -> float | None:
    return _parsed(name, given, units.parse_duration)


def _milliseconds(name: str, given: Time | None) -> float | None:
    """Without what a float adds to them on the way from seconds; a text must have its unit."""
    if isinstance(given, str) and given.strip()[-1:].isdigit():
        raise InvalidInput(f"{name}: {given!r} has no unit; write {given.strip()}ms or {given.strip()}s")
    seconds = _seconds(name, given)
    return None if seconds is None else round(1000 * seconds, 6)


def _parsed(name: str, given: float | str | None, parse: Callable[[str], Number]) -> Number | None:
    """A number is checked as its text is."""
    text = given if isinstance(given, str | None) else f"{given:f}".rstrip("0").rstrip(".")
    try:
        return None if text is None else parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None
