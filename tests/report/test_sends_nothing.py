"""No page of ours sends anything anywhere, nor offers to."""

from pathlib import Path

import plotly.graph_objects as go
import pytest
from helpers.small_search import FinishedSearch
from playwright.sync_api import Browser

from autocompress.report import ReportData, write_report
from autocompress.report.figure_page import write_figure
from autocompress.report.figures import POLICY, lay_out
from autocompress.report.learning import write_curve

REPORT = Path(__file__).parents[2] / "autocompress/report"


@pytest.fixture(scope="module", params=["report", "curve", "figure"])
def page(request: pytest.FixtureRequest, finished: FinishedSearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "page.html"
    match request.param:
        case "report":
            write_report(ReportData.of(finished[0]), path)
        case "curve":
            write_curve(path, [(1, 20.0), (2, 30.0)], "<b>'mine'")
        case "figure":
            figure = go.Figure(go.Bar(x=[1], y=[2], meta={"colour": "front"}))
            lay_out(figure, "layer", "share")
            write_figure(path, figure, "<i>mine", "<b>mine")
    return path


def test_browsers_are_told_to_send_nothing(page: Path) -> None:
    head = page.read_text().partition("<title>")[0]
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in head


def test_no_button_or_link_leads_elsewhere(page: Path, browser: Browser) -> None:
    shown = browser.new_page()
    requests: list[str] = []
    said: list[str] = []
    shown.on("request", lambda asked: requests.append(asked.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.goto(page.as_uri())
    shown.locator(".js-plotly-plot .modebar-btn").first.wait_for(state="attached")
    titles = shown.locator(".modebar-btn").evaluate_all("all => all.map((one) => one.dataset.title)")
    assert titles
    assert not [title for title in titles if title is None or "hare" in title or "loud" in title]
    links = shown.locator("a[href], form, iframe").evaluate_all("all => all.map((one) => one.outerHTML)")
    assert not [link for link in links if "http" in link or link.startswith(("<form", "<iframe"))]
    assert shown.evaluate("fetch('https://example.org').catch(() => 'refused')") == "refused"
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [page.as_uri()]
    assert all("Content Security Policy" in line for line in said)
    shown.close()


def test_pages_are_written_in_one_place() -> None:
    """Else one of them would lack what the others are told; figures that users write are told by `LocalFigure`."""
    assert [file.name for file in REPORT.glob("*.py") if ".to_html(" in file.read_text()] == ["figures.py"]
    assert "...data.config" in (REPORT / "figures.js").read_text()
