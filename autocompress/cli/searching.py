"""`autocompress search`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autocompress.cli.options import (
    BUDGET,
    DATA,
    NETWORKS,
    OUTPUT,
    RUNNING,
    SEARCH,
    Quiet,
    complete_backend,
    complete_init,
    complete_objective,
    complete_sampler,
    complete_space,
    complete_teacher,
)
from autocompress.errors import InvalidInput
from autocompress.units import format_count, format_milliseconds

if TYPE_CHECKING:
    from autocompress.api import Result

JOINED = ("join", "workers", "timeout", "storage", "quiet")  # the options of --join


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    context: typer.Context,
    budget_flops: Annotated[
        str | None,
        typer.Option(
            help="Most FLOPs (fused multiply-adds) for a 1280x720 output, such as 20G.",
            show_default=False,
            rich_help_panel=BUDGET,
        ),
    ] = None,
    budget_params: Annotated[
        str | None, typer.Option(help="Most parameters, such as 500K.", show_default=False, rich_help_panel=BUDGET)
    ] = None,
    budget_latency: Annotated[
        str | None,
        typer.Option(
            help="Most time for a 1280x720 output on this machine, such as 30ms; with --objective latency.",
            show_default=False,
            rich_help_panel=BUDGET,
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="Search space: a name (see `spaces list`) or a YAML file. Several make one front.",
            show_default="edsr",
            autocompletion=complete_space,
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Teacher: a name (see `teacher list`) or a file of weights; SPACE=FILE for one of several spaces.",
            show_default="the shipped one of the family",
            autocompletion=complete_teacher,
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Network to learn from: a name or a file of the same scale.",
            show_default="the teacher",
            autocompletion=complete_teacher,
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    res_scale: Annotated[
        float | None,
        typer.Option(
            help="Residual scaling of an EDSR teacher from elsewhere; no file holds it.", rich_help_panel=NETWORKS
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            help="Folder of HR images to train on.", show_default="scikit-image's photographs", rich_help_panel=DATA
        ),
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(help="Folder of HR images to choose by.", show_default="a tenth of --train", rich_help_panel=DATA),
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="Upscaling factor; it must be the teacher's.", rich_help_panel=NETWORKS)
    ] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Go on without images that cannot be used.", rich_help_panel=DATA)
    ] = False,
    init: Annotated[
        str,
        typer.Option(
            help="How students start: projection, density, copy, taylor or scratch.",
            autocompletion=complete_init,
            rich_help_panel=NETWORKS,
        ),
    ] = "projection",
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Prune the teacher first (see `prune`), and try what is next to its suggestion.",
            rich_help_panel=NETWORKS,
        ),
    ] = False,
    objective: Annotated[
        str,
        typer.Option(
            help="What PSNR is weighed against: flops, or latency, measured here, so that no seed gives it twice.",
            autocompletion=complete_objective,
            rich_help_panel=SEARCH,
        ),
    ] = "flops",
    sampler: Annotated[
        str,
        typer.Option(
            help="What proposes students: cost-aware, or Optuna's tpe, nsga2, gp or random.",
            autocompletion=complete_sampler,
            rich_help_panel=SEARCH,
        ),
    ] = "cost-aware",
    trials: Annotated[int, typer.Option(help="Number of students to look at.", rich_help_panel=SEARCH)] = 24,
    steps: Annotated[
        int, typer.Option(help="Training steps of a student that is trained to the end.", rich_help_panel=SEARCH)
    ] = 300,
    timeout: Annotated[
        str | None, typer.Option(help="Stop after this time, such as 10m or 2h.", rich_help_panel=RUNNING)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Trials at the same time, each in a process of its own.",
            show_default="1; on Ray what fits",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    trial_timeout: Annotated[
        str | None,
        typer.Option(
            help="Kill a trial that takes longer, such as 20m, and try it again, twice at most.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            help="Where trials run: local, or ray (see docs/scaling-out.md).",
            autocompletion=complete_backend,
            rich_help_panel=RUNNING,
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to join: auto or HOST:PORT.",
            show_default="a Ray of its own on this machine",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    cpus_per_trial: Annotated[
        int | None,
        typer.Option(help="CPUs, and threads, of a trial on Ray.", show_default="1", rich_help_panel=RUNNING),
    ] = None,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(
            help="GPUs of a trial on Ray, such as 0.5: two share one.", show_default="0", rich_help_panel=RUNNING
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed: the same one gives the same trials.", rich_help_panel=SEARCH)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder.", show_default="runs/SPACES-BUDGET-seedSEED", rich_help_panel=OUTPUT),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Database for the study: sqlite:///FILE, postgresql://..., redis://...",
            show_default="a file of the run",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="Go on in a run folder of another budget.", rich_help_panel=OUTPUT)
    ] = False,
    join: Annotated[
        Path | None,
        typer.Option(
            help="Work on the search in this run folder, beside others.", show_default=False, rich_help_panel=RUNNING
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Search for the best small networks within a budget; the same command again goes on where it stopped.

    Example: autocompress search --budget-flops 20G --trials 24 --out runs/mine
    """
    if join is not None:
        _join(context, join, workers, timeout, storage, quiet)
        return

    from autocompress import api

    result = api.search(
        budget_flops=budget_flops,
        budget_params=budget_params,
        budget_latency=budget_latency,
        objective=objective,
        space=space or ["edsr"],
        teacher=teacher,
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
        timeout=timeout,
        workers=workers,
        trial_timeout=trial_timeout,
        backend=backend,
        address=address,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        seed=seed,
        out=out,
        storage=storage,
        extend=extend,
        progress=not quiet,
    )
    _show(result, quiet)


def _join(
    context: typer.Context, run: Path, workers: int | None, timeout: str | None, storage: str | None, quiet: bool
) -> None:
    from autocompress import api

    for name in context.params:
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE" and name not in JOINED:
            option = "--" + name.replace("_", "-")
            raise InvalidInput(f"--join takes from the run what to search; leave {option} out")
    one_or_more = 1 if workers is None else workers
    _show(api.join(run, workers=one_or_more, timeout=timeout, storage=storage, progress=not quiet), quiet)


def _show(result: Result, quiet: bool) -> None:
    """The front, and where it is."""
    from autocompress.cli.tables import front_table, show, spare_of_front
    from autocompress.search.results.front import budget

    if not quiet:
        typer.echo(f"The search ended: {result.reason}.", err=True)
    students = result.students
    if not students["on_front"].any():
        why = "No student was trained to the end"
        if not students.empty:
            why = f"None of the {len(students)} students is within {budget(result.run)}"
        typer.echo(f"{why}, so there is no front yet. Run folder: {result.path}", err=True)
        sys.exit(130 if result.interrupted else 1)
    show(front_table(result.run, result.front), spare_of_front(result.run))
    best = result.best()
    latency = "" if best.latency_ms is None else f" and {format_milliseconds(best.latency_ms)} ms"
    typer.echo(
        f"\nPick: trial {best.trial}, {best.psnr_y:.2f} dB at {format_count(best.flops)} FLOPs{latency}: {best.file}\n"
        f"The front: {result.path / 'pareto.csv'}, the report: {result.path / 'report.html'}"
    )
    if result.interrupted:
        typer.echo("Interrupted; the same command goes on from here.", err=True)
        sys.exit(130)
