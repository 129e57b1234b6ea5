"""The result of a search: a run folder as it is now, and its students."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress import units
from autocompress.io.arguments import typed_arguments
from autocompress.units import quantity

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from autocompress.networks.base import SRNetwork
    from autocompress.search import Outcome, RunFolder


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

    @typed_arguments
    def best(
        self,
        max_flops: units.Amount | None = None,
        max_params: units.Amount | None = None,
        max_latency: units.Time | None = None,
    ) -> Student:
        """The student of the best PSNR-Y within the run's budget and these limits.

        `max_latency`, such as "30ms", is for PyTorch on the machine where students were measured; those that nobody has
        measured are not within it. Raises RunError where no trial has finished yet, or none within the run's budget,
        and InvalidInput where none of those is so small.
        """
        from autocompress.search.results.rows import pick, rows_within
        from autocompress.search.space.budget import Budget

        limit = Budget(
            None if max_flops is None else units.read_count("max_flops", max_flops),
            None if max_params is None else units.read_count("max_params", max_params),
            None if max_latency is None else units.read_milliseconds("max_latency", max_latency),
        )
        row = pick(rows_within(self.run, limit))
        return Student(
            trial=row["trial"],
            file=Path(row["file"]),
            family=row["family"],
            config=row["config"],
            flops=row["flops"],
            params=row["params"],
            metrics={name: row[name] for name in ("psnr_y", "psnr_y_to_teacher", "ssim_y") if row[name] is not None},
            latency_ms=row["latency_ms"],
        )

    def plot(self) -> go.Figure:
        """PSNR-Y over cost: the front, the other students, bicubic and teacher."""
        from autocompress.report import ReportData, front_figure
        from autocompress.report.figures import LocalFigure

        return LocalFigure(front_figure(ReportData.of(self.run, self._storage)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.path}: {quantity(len(self.run.students()), 'student')}>"

    def _repr_html_(self) -> str | None:
        """The front as a table, which notebooks show; None where there is none yet, and they show the `repr`."""
        import pandas as pd

        from autocompress.errors import RunError
        from autocompress.search.results.columns import NETWORK
        from autocompress.search.results.rows import front_rows, pick

        try:
            front = front_rows(self.run)
        except RunError:
            return None
        best = pick(front)["trial"]
        lines = [
            (f"{row['trial']}{' *' * (row['trial'] == best)}", *(column.text(row) for column in NETWORK))
            for row in front
        ]
        headings = ["trial", *(column.heading for column in NETWORK)]
        html: str = pd.DataFrame(lines, columns=headings).to_html(index=False)
        return html


@typed_arguments
def open_run(path: str | Path, storage: str | None = None) -> Result:
    """The result of a run in a folder, also while the search goes on; RunError where there is none.

    `storage` is the URL of its study's database, needed for the whole picture where that has a password.
    """
    from autocompress.search import RunFolder

    return Result(RunFolder.existing(Path(path)), storage=storage)
