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
    from autocompress.search import OnRay

Number = TypeVar("Number", int, float)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    budget_flops: Annotated[
        str | None,
        typer.Option(help="Most FLOPs (fused multiply-adds) for a 1280x720 output, such as 20G.", show_default=False),
    ] = None,
    budget_params: Annotated[
        str | None, typer.Option(help="Most parameters, such as 500K.", show_default=False)
    ] = None,
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
) -> None:
    """Search for the best small networks within a budget; the same command again goes on where it stopped.

    Example: autocompress search --budget-flops 20G --trials 24 --out runs/mine
    """
    if budget_flops is None and budget_params is None:
        raise InvalidInput("no budget is given; add --budget-flops, such as --budget-flops 20G, or --budget-params")
    flops = _parsed("--budget-flops", budget_flops, quantities.parse_count)
    params = _parsed("--budget-params", budget_params, quantities.parse_count)
    seconds = _parsed("--timeout", timeout, quantities.parse_duration)

    from autocompress.cli.display import make_display
    from autocompress.cli.tables import front_table, show
    from autocompress.report import write_report
    from autocompress.search import Settings
    from autocompress.search import search as run_search
    from autocompress.search.results import pareto, pick, write_pareto
    from autocompress.search.space import Budget

    on_ray = _on_ray(backend, address, workers, cpus_per_trial, gpus_per_trial)
    settings = Settings(
        budget=Budget(flops, params),
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
    )
    with make_display(trials, steps) as display:
        run, outcome = run_search(settings, display)
    typer.echo(f"The search ended: {outcome.reason}.", err=True)
    if not run.students():
        typer.echo(f"No student was trained to the end, so there is no front yet. Run folder: {run.path}", err=True)
        sys.exit(1)
    write_pareto(run)
    write_report(run)
    table = pareto(run)
    best = pick(table)
    show(front_table(run, table))
    typer.echo(
        f"\nPick: trial {best['trial']}, {best['psnr_y']:.2f} dB at {quantities.format_count(best['flops'])} FLOPs: "
        f"{best['file']}\nThe front: {run.path / 'pareto.csv'}, a picture of it: {run.path / 'report.html'}"
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
