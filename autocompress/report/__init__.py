"""Pages and pictures of a run, each in one file that needs no network; of several runs beside each other, of a pruned
teacher's densities, and of a training's learning curve.

`report_data` reads all that is shown of a run once, `page` writes report.html from it by `rendering`, the other modules
draw its figures. This room may import `search` (what a run stores, its results) and all rooms below it; it changes
nothing in a run but the report itself.
"""

from __future__ import annotations

from autocompress.report.compare_page import fronts_figure, write_comparison
from autocompress.report.densities import write_densities
from autocompress.report.front import front_figure
from autocompress.report.learning import write_curve
from autocompress.report.page import write_report
from autocompress.report.picture import front_png, write_png
from autocompress.report.report_data import ReportData

__all__ = [
    "ReportData",
    "front_figure",
    "front_png",
    "fronts_figure",
    "write_comparison",
    "write_curve",
    "write_densities",
    "write_png",
    "write_report",
]
