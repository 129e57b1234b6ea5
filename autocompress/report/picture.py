"""The front as a PNG, for slides."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from autocompress.errors import AutocompressError, InvalidInput
from autocompress.report.front import front_figure
from autocompress.report.rendering import write_output
from autocompress.report.report_data import ReportData

WIDTH, HEIGHT = 1600, 900


def front_png(report: ReportData) -> bytes:
    """The front in WIDTH x HEIGHT pixels; InvalidInput where kaleido or its browser is missing."""
    if find_spec("kaleido") is None:
        raise InvalidInput("--png needs kaleido, which is not installed; pip install 'autocompress[png]'")
    figure = front_figure(report)
    figure.for_each_trace(lambda trace: trace.update(marker_size=1.6 * trace.marker.size))
    figure.for_each_annotation(lambda annotation: annotation.update(font_size=20))
    figure.update_traces(line_width=4, selector={"mode": "lines+markers"})
    hidden = {"visible": "legendonly"}
    figure.update_traces(showlegend=False, selector=hidden)  # in a picture, nobody can click them to be shown
    title = f"Students of {' and '.join(report.teachers)}, x{report.config.scale}"
    figure.update_layout(
        title={"text": title, "x": 0.06, "font": {"size": 32}},
        font={"size": 22},
        margin={"l": 120, "r": 50, "t": 100, "b": 90},
        legend={"y": -0.15},
    )
    try:
        return bytes(figure.to_image("png", width=WIDTH, height=HEIGHT))
    except RuntimeError as error:  # of plotly without a browser, and of a browser that does not run
        if "plotly_get_chrome" in str(error):
            raise InvalidInput(
                "--png needs Chrome or Chromium, which is not installed; install it, or run plotly_get_chrome"
            ) from error
        reason = next(iter(str(error).split("\n")), "")
        raise AutocompressError(
            f"the browser that draws --png failed ({reason}); see that it starts by itself here, or leave --png out"
        ) from error


def write_png(path: Path, picture: bytes) -> Path:
    """Write it, and return the path; InvalidInput where nothing can be written there."""
    return write_output(path, picture, "--png")
