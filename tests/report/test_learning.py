"""The page of a learning curve."""

from pathlib import Path

from autocompress.report.learning import curve_figure, write_curve


def test_the_page_has_every_point_and_needs_no_network(tmp_path: Path) -> None:
    points = [(0, 30.0), (100, 33.25), (200, 34.5)]
    (trace,) = curve_figure(points).data
    assert (list(trace.x), list(trace.y)) == ([0, 100, 200], [30.0, 33.25, 34.5])
    assert trace.hovertext[1] == "33.25 dB after 100 steps"
    page = tmp_path / "student.html"
    write_curve(page, points, "student.safetensors: PSNR-Y on Set5")
    text = page.read_text(encoding="utf-8")
    assert '<meta name="viewport"' in text
    assert "33.25 dB after 100 steps" in text
    assert "student.safetensors: PSNR-Y on Set5" in text
    assert '<script src="' not in text
