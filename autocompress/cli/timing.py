"""What `evaluate --latency` does: FLOPs and time side by side, of one network or of a run's front."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from autocompress.evaluation.latency import Latency
    from autocompress.networks.base import SRNetwork
    from autocompress.search.run.folder import RunFolder


def measure_network(
    network: SRNetwork, threads: int | None, device: str | None, as_json: bool, quiet: bool
) -> dict[str, Any]:
    """Cost and latency of a network, shown as a table unless they are for JSON."""
    from autocompress.cli.tables import latency_table, show
    from autocompress.evaluation.latency import Machine, measure
    from autocompress.networks import describe

    machine = Machine.here(threads, device)
    if not quiet:
        typer.echo("measuring...", err=True)
    cost = {key: value for key, value in describe(network).items() if key in ("flops", "params")}
    measured = measure(network, machine, on_failure=_tell)
    _tell_unsteady(measured)
    if not as_json:
        show(latency_table(cost["flops"], cost["params"], list(measured.values())))
    return cost | {"latency": {runtime: latency.to_dict() for runtime, latency in measured.items()}}


def measure_run(path: Path, threads: int | None, device: str | None, as_json: bool, quiet: bool) -> None:
    """Measure each student on a run's front, store the latencies in the trials' folders, and show the front.

    Files of the front that the run has (pareto.csv, pareto.json, report.html) are written again.
    """
    from autocompress.cli.tables import front_table, show, spare_of_front
    from autocompress.evaluation.latency import Machine, measure
    from autocompress.networks import load
    from autocompress.search.results.front import as_json as to_json
    from autocompress.search.results.front import pareto, rows, write_pareto
    from autocompress.search.run.folder import RunFolder

    run = RunFolder.existing(path)
    front, machine = rows(pareto(run)), Machine.here(threads, device)
    run.check_writable(row["trial"] for row in front)
    for place, row in enumerate(front, 1):
        if not quiet:
            typer.echo(f"measuring trial {row['trial']} ({place} of {len(front)})...", err=True)
        network = load(run.trial(row["trial"]) / "student.safetensors")
        measured = measure(network, machine, on_failure=_tell)
        _tell_unsteady(measured)
        run.write_latency(row["trial"], measured)
    table = write_pareto(run)
    _report_anew(run)
    if as_json:
        typer.echo(json.dumps(to_json(run, table), indent=2))
    else:
        show(front_table(run, table), spare_of_front(run))


def _report_anew(run: RunFolder) -> None:
    """Write the report again, unless the study cannot be read (no password is given): then the old one tells more."""
    from autocompress.report import Story, write_report

    story = Story.of(run)
    if story.without_study is None:
        write_report(story)
    else:
        _tell(f"report.html is left as it is: {story.without_study}; `autocompress report` writes it anew")


def _tell_unsteady(measured: dict[str, Latency]) -> None:
    from autocompress.compute.runtimes import RUNTIMES
    from autocompress.units import format_milliseconds

    for runtime, latency in measured.items():
        if not latency.steady:
            times = " to ".join(map(format_milliseconds, latency.quartiles))
            name = RUNTIMES[runtime].name
            _tell(f"half of the times with {name} are {times} ms: measure again when nothing else runs")


def _tell(line: str) -> None:
    typer.echo(line, err=True)
