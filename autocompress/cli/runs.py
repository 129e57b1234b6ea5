"""Commands on a run: `pareto`, `report`, `status` and `dashboard`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from autocompress.cli.printing import echo, say, tell
from autocompress.errors import InvalidInput
from autocompress.units import decibels, format_count, format_duration, format_milliseconds, quantity

SEEN = 0.005  # of the time: the least that `status` shows
FEW = 5  # trials of which `status` says why they ended early
Run = Annotated[Path, typer.Argument(help="A run folder, as `search` printed it.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pareto)
    app.command()(report)
    app.command()(status)
    app.command()(dashboard)


def pareto(
    run: Run, as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone, on stdout.")] = False
) -> None:
    """Show the front of a run, also while it is still going on.

    Example: autocompress pareto runs/edsr-20G-seed0
    """
    from autocompress.cli.tables import show_front
    from autocompress.search.results.left_out import gone_students, note_of_latencies, note_of_students
    from autocompress.search.results.rows import as_json as to_json
    from autocompress.search.results.rows import front_rows
    from autocompress.search.run.folder import RunFolder

    folder = RunFolder.existing(run)
    front = front_rows(folder)
    if as_json:
        echo(json.dumps(to_json(folder, front), indent=2))
    else:
        show_front(folder, front)
    tell(note_of_students(folder, gone_students(folder)))
    tell(note_of_latencies(folder))


def report(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file.", show_default="report.html in the run folder")
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            help="Write the front as a PNG for slides, too; needs the package's extra png.", show_default=False
        ),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="The study's database, where its URL has a password.", show_default=False)
    ] = None,
) -> None:
    """Write the report of a run, also while it is still going on: one page with all that it found.

    Example: autocompress report runs/edsr-20G-seed0 --png front.png
    """
    from autocompress.io.outputs import check_file
    from autocompress.search.run.folder import RunFolder

    if png is not None and png.suffix != ".png":
        raise InvalidInput(f"--png {png}: must end in .png; give such as front.png")
    for option, file in {"--out": out, "--png": png}.items():
        if file is not None:
            check_file(file, option)
    folder = RunFolder.existing(run)

    from autocompress.report import ReportData, front_png, write_png, write_report

    data = ReportData.of(folder, storage)
    picture = None if png is None else front_png(data)
    if data.without_study is not None:
        echo(f"The report goes without what is in the study: {data.without_study}", err=True)
    for note in data.left_out.values():
        tell(note)
    echo(write_report(data, out))
    if png is not None and picture is not None:
        echo(write_png(png, picture))


def status(
    run: Run,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone, on stdout.")] = False,
    all: Annotated[
        bool, typer.Option("--all", help="Say of each trial why it ended early, not of the last few only.")
    ] = False,
    storage: Annotated[
        str | None, typer.Option(help="The study's database, where its URL has a password.", show_default=False)
    ] = None,
) -> None:
    """Show how far a run is, also while it is still going on.

    Example: autocompress status runs/edsr-20G-seed0
    """
    from autocompress.search.results.left_out import note_of_students
    from autocompress.search.results.status import status as read_status
    from autocompress.search.run.folder import RunFolder

    folder = RunFolder.existing(run)
    about = read_status(folder, storage)
    if as_json:
        echo(json.dumps(about, indent=2))
        return
    for line in _lines(about, None if all else FEW):
        say(line)
    tell(note_of_students(folder, about["gone"]))


def dashboard(
    run: Run,
    port: Annotated[int, typer.Option(help="Where to listen; 0 is any port that is free.")] = 8080,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 is for all who reach this machine. There is no password: whoever "
            "reaches it can change notes and delete the study."
        ),
    ] = "127.0.0.1",
    storage: Annotated[
        str | None, typer.Option(help="The study's database, where its URL has a password.", show_default=False)
    ] = None,
) -> None:
    """Serve the Optuna dashboard of a run at the address that is printed, also while it goes on; Ctrl-C ends it.

    Example: autocompress dashboard runs/edsr-20G-seed0
    """
    from autocompress.dashboard import serve
    from autocompress.search.run.folder import RunFolder

    with suppress(KeyboardInterrupt):  # the way to end it
        serve(RunFolder.existing(run), host, port, storage, listens=echo, on_changed=tell)


def _lines(about: dict[str, Any], few: int | None) -> Iterator[str]:
    """For people; why trials ended early only of the last `few`."""
    from autocompress.search.results.left_out import note_of_times

    trials, best, times = (about[key] for key in ("trials", "best", "times"))
    yield f"{about['run']}: {_state(about['sessions'], trials)}"
    counts = ", ".join(f"{trials[name]} {name}" for name in trials if name != "wanted")
    yield f"trials   {trials['wanted']}: {counts}" if "wanted" in trials else f"trials   {counts}"
    if best is not None:
        latency = f" and {format_milliseconds(best['latency_ms'])} ms" if "latency_ms" in best else ""
        yield f"best     trial {best['trial']}: {_score(best)} at {format_count(best['flops'])} FLOPs{latency}"
    if times["total"]:
        parts = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in [*times["parts"].items()][:5])
        sessions = f"{times['sessions']} session{'s' * (times['sessions'] != 1)}"
        yield f"time     {format_duration(times['total'])} in {sessions}: {parts}"
    if (note := note_of_times(times["missing_sessions"])) is not None:
        yield f"         {note}"
    if total := sum(times["trials"].values()):
        shares = ((name, seconds / total) for name, seconds in times["trials"].items())
        parts = ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= SEEN)
        yield f"         of the finished trials, {format_duration(total)} in all: {parts}"
    for trial in about["running"]:
        score = "" if trial["step"] is None else f", {_score(trial)} after {quantity(trial['step'], 'step')}"
        yield f"running  trial {trial['trial']}: for {format_duration(trial['seconds'])}{score}"
    early = about["ended_early"]
    shown = early if few is None else early[-few:]
    if len(shown) < len(early):
        yield f"         the last {len(shown)} of {len(early)} trials that ended early; --all shows every one"
    for trial in shown:
        log = f" ({trial['log']} says more)" if "log" in trial else ""
        yield f"{trial['state']:8} trial {trial['trial']}: {trial['reason']}{log}"


def _state(sessions: int, trials: dict[str, int]) -> str:
    """Whether a run is going on, has ended, or was stopped before its end."""
    ended = sum(trials[name] for name in ("finished", "stopped", "failed"))
    of_all = f"{ended} of {quantity(trials['wanted'], 'trial')}" if "wanted" in trials else quantity(ended, "trial")
    if sessions:
        return f"running, {of_all} have ended; {sessions} session{'s' * (sessions > 1)} at work"
    if ended < trials.get("wanted", 0):
        return f"not running, {of_all} have ended; the same command goes on"
    return f"finished, {of_all}"


def _score(about: dict[str, Any]) -> str:
    """What chooses, as a status has it."""
    return (
        f"{decibels(about['psnr_y'])} dB"
        if "psnr_y" in about
        else f"{decibels(about['psnr_y_to_teacher'])} dB to its teacher"
    )
