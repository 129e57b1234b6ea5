"""`autocompress search`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from autocompress import quantities
from autocompress.errors import InvalidInput

if TYPE_CHECKING:
    from autocompress.search import OnRay, Outcome, RunFolder

Number = TypeVar("Number", int, float)
JOINED = ("join", "workers", "timeout", "storage")  # the options of --join


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    context: typer.Context,
    budget_flops: Annotated[
        str | None,
        typer.Option(help="Most FLOPs (fused multiply-adds) for a 1280x720 output, such as 20G.", show_default=False),
    ] = None,
    budget_params: Annotated[
        str | None, typer.Option(help="Most parameters, such as 500K.", show_default=False)
    ] = None,
    budget_latency: Annotated[
        str | None,
        typer.Option(
            help="Most time for a 1280x720 output on this machine, such as 30ms; with --objective latency.",
            show_default=False,
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="What PSNR is weighed against: flops, or latency, measured here, so that no seed gives it twice."
        ),
    ] = "flops",
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Search space: a name (see `spaces list`) or a YAML file. Several make one front.", show_default="edsr"
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Teacher: a name (see `teacher list`) or a file of weights; SPACE=FILE for one of several spaces.",
            show_default="the shipped one of the family",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Network to learn from: a name or a file of the same scale.", show_default="the teacher"),
    ] = None,
    res_scale: Annotated[
        float | None, typer.Option(help="Residual scaling of an EDSR teacher from elsewhere; no file holds it.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Folder of HR images to train on.", show_default="scikit-image's photographs")
    ] = None,
    val: Annotated[
        Path | None, typer.Option(help="Folder of HR images to choose by.", show_default="a tenth of --train")
    ] = None,
    scale: Annotated[int | None, typer.Option(help="Upscaling factor; it must be the teacher's.")] = None,
    skip_bad_images: Annotated[bool, typer.Option(help="Go on without images that cannot be used.")] = False,
    init: Annotated[
        str, typer.Option(help="How students start: projection, density, copy, taylor or scratch.")
    ] = "projection",
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Prune the teacher first (see `prune`), and try what is next to its suggestion."),
    ] = False,
    sampler: Annotated[
        str, typer.Option(help="What proposes students: cost-aware, or Optuna's tpe, nsga2, gp or random.")
    ] = "cost-aware",
    trials: Annotated[int, typer.Option(help="Number of students to look at.")] = 24,
    steps: Annotated[int, typer.Option(help="Training steps of a student that is trained to the end.")] = 300,
    timeout: Annotated[str | None, typer.Option(help="Stop after this time, such as 10m or 2h.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Trials at the same time, each in a process of its own.", show_default="1; on Ray what fits"),
    ] = None,
    trial_timeout: Annotated[
        str | None, typer.Option(help="Kill a trial that takes longer, such as 20m, and try it again, twice at most.")
    ] = None,
    backend: Annotated[str, typer.Option(help="Where trials run: local, or ray (see docs/scaling-out.md).")] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster to join: auto or HOST:PORT.", show_default="a Ray of its own on this machine"),
    ] = None,
    cpus_per_trial: Annotated[
        int | None, typer.Option(help="CPUs, and threads, of a trial on Ray.", show_default="1")
    ] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(help="GPUs of a trial on Ray, such as 0.5: two share one.", show_default="0")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed: the same one gives the same trials.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder.", show_default="runs/SPACES-BUDGET-seedSEED")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Database for the study: sqlite:///FILE, postgresql://..., redis://...",
            show_default="a file of the run",
        ),
    ] = None,
    extend: Annotated[bool, typer.Option("--extend", help="Go on in a run folder of another budget.")] = False,
    join: Annotated[
        Path | None,
        typer.Option(help="Work on the search in this run folder, beside others.", show_default=False),
    ] = None,
) -> None:
    """Search for the best small networks within a budget; the same command again goes on where it stopped.

    Example: autocompress search --budget-flops 20G --trials 24 --out runs/mine
    """
    if join is None and (budget_flops, budget_params, budget_latency) == (None, None, None):
        raise InvalidInput("no budget is given; add --budget-flops, such as --budget-flops 20G, or --budget-params")
    flops = _parsed("--budget-flops", budget_flops, quantities.parse_count)
    params = _parsed("--budget-params", budget_params, quantities.parse_count)
    latency = _parsed("--budget-latency", budget_latency, quantities.parse_duration)
    seconds = _parsed("--timeout", timeout, quantities.parse_duration)

    from autocompress.cli.display import make_display
    from autocompress.search import Settings
    from autocompress.search import search as run_search
    from autocompress.search.space import Budget

    if join is not None:
        _join(context, join, 1 if workers is None else workers, seconds, storage)
        return
    on_ray = _on_ray(backend, address, workers, cpus_per_trial, gpus_per_trial)
    settings = Settings(
        budget=Budget(flops, params, None if latency is None else 1000 * latency),
        objective=objective,
        spaces=tuple(space or ["edsr"]),
        teachers=tuple(teacher or []),
        target=target,
        res_scale=res_scale,
        train=train,
        val=val,
        scale=scale,
        skip_bad_images=skip_bad_images,
        init=init,
        prune=prune,
        sampler=sampler,
        trials=trials,
        steps=steps,
        timeout=seconds,
        workers=1 if workers is None else workers,
        trial_timeout=_parsed("--trial-timeout", trial_timeout, quantities.parse_duration),
        ray=on_ray,
        seed=seed,
        out=out,
        storage=storage,
        extend=extend,
    )
    with make_display(trials, steps) as display:
        run, outcome = run_search(settings, display)
    _show(run, outcome)


def _join(context: typer.Context, path: Path, workers: int, timeout: float | None, storage: str | None) -> None:
    from autocompress.cli.display import make_display
    from autocompress.search import RunFolder
    from autocompress.search import join as join_search
    from autocompress.search.joining import recorded_settings

    for name in context.params:
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE" and name not in JOINED:
            option = "--" + name.replace("_", "-")
            raise InvalidInput(f"--join takes from the run what to search; leave {option} out")
    settings = recorded_settings(RunFolder.existing(path))
    with make_display(settings.trials, settings.steps) as display:
        run, outcome = join_search(path, display, workers, timeout, storage)
    _show(run, outcome)


def _show(run: RunFolder, outcome: Outcome) -> None:
    """The front, and where it is."""
    from autocompress.cli.tables import front_table, show
    from autocompress.report import write_report
    from autocompress.search.results import pareto, pick, write_pareto

    typer.echo(f"The search ended: {outcome.reason}.", err=True)
    if not run.students():
        typer.echo(f"No student was trained to the end, so there is no front yet. Run folder: {run.path}", err=True)
        sys.exit(1)
    write_pareto(run)
    write_report(run)
    table = pareto(run)
    best = pick(table)
    show(front_table(run, table))
    latency = "" if best["latency_ms"] is None else f" and {best['latency_ms']:.1f} ms"
    typer.echo(
        f"\nPick: trial {best['trial']}, {best['psnr_y']:.2f} dB at {quantities.format_count(best['flops'])} FLOPs"
        f"{latency}: {best['file']}\nThe front: {run.path / 'pareto.csv'}, a picture of it: {run.path / 'report.html'}"
    )
    if outcome.interrupted:
        typer.echo("Interrupted; the same command goes on from here.", err=True)
        sys.exit(130)


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


def _parsed(option: str, text: str | None, parse: Callable[[str], Number]) -> Number | None:
    try:
        return None if text is None else parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"{option}: {error}") from None
