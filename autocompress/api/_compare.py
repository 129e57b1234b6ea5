"""`compare`: several runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autocompress.io.arguments import typed_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autocompress.search.results.compare import Comparison


@typed_arguments
def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> Comparison:
    """Compare two or more runs that were scored on the same validation images.

    `levels` of the result are the runs' best students at equal cost, with differences to the first run and their
    intervals; `hypervolumes` are of their fronts. With `out` a page is written there: the fronts over each other, and
    these tables. InvalidInput where the runs cannot be compared, RunError where one has no front.
    """
    from autocompress.io.outputs import check_file
    from autocompress.search.results.compare import Comparison
    from autocompress.search.run.folder import RunFolder

    if out is not None:
        check_file(Path(out), "--out")
    found = Comparison.of([RunFolder.existing(Path(run)) for run in runs])
    if out is not None:
        from autocompress.report import write_comparison

        write_comparison(found, Path(out))
    return found
