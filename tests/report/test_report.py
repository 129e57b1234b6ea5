"""The report in a browser: every control, both widths, both themes, no network."""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import Literal

import pytest
from helpers.browser import FRONT, OpenPage, column, open_pages
from helpers.small_search import BUDGET, SPACE, run_search
from playwright.sync_api import Browser, Page

from autocompress.report import ReportData, write_report
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import pareto, pick


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory, teacher_file: Path, photos: Path) -> RunFolder:
    """A search whose images, teacher and folder have names that are no HTML; with several crops."""
    folder = tmp_path_factory.mktemp("varied")
    (folder / "small.yaml").write_text(SPACE)
    images = folder / "images"
    images.mkdir()
    for index, file in enumerate(sorted(photos.iterdir())):
        shutil.copy(file, images / f"{index}' \"<b>&amp;.png")
    teacher = folder / "it's <i>mine<i>.pth"
    shutil.copy(teacher_file, teacher)
    wanted = Settings(
        budget_flops=BUDGET,
        spaces=(str(folder / "small.yaml"),),
        teachers=(str(teacher),),
        train=photos,
        val=images,
        trials=8,
        steps=4,
        out=folder / "run 'of' <b>mine",
    )
    run, _ = run_search(wanted)
    write_report(ReportData.of(run))
    return run


@pytest.fixture(scope="module")
def page_of_width(browser: Browser, varied: RunFolder) -> Iterator[Callable[[int], Page]]:
    """The report in a window of a width, opened once: tests must not depend on what others chose or sorted there."""
    with open_pages(browser) as open_page:
        yield cache(lambda width: open_page(varied.path / "report.html", width))


@pytest.fixture
def page(page_of_width: Callable[[int], Page]) -> Page:
    return page_of_width(1280)


def order(text: str) -> list[tuple[float, str]]:
    """How texts such as `num_feat=8 num_block=12` are sorted: the numbers in them as numbers."""
    words = re.split("[ =]", text)
    return [(float(word), "") if re.fullmatch(r"[\d.e-]+", word) else (0.0, word) for word in words]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits(page_of_width: Callable[[int], Page], width: int, scheme: Literal["light", "dark"]) -> None:
    page = page_of_width(width)
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for figure in ("front", "trials", "time"):
        box = page.locator(f"#figure-{figure} .main-svg").first.bounding_box()
        assert box is not None
        assert 200 < box["width"] <= width


def test_it_needs_no_network(varied: RunFolder) -> None:
    html = (varied.path / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html)
    assert len(html) < 12e6


def test_every_column_sorts_both_ways(page: Page, varied: RunFolder) -> None:
    headings = page.locator("#table thead th")
    for index in range(headings.count()):
        heading = headings.nth(index)
        orders = {}
        for _ in range(2):
            heading.locator("button").focus()
            page.keyboard.press("Enter")
            orders[heading.get_attribute("aria-sort")] = column(page, index)
            assert page.locator("#table [aria-sort]").count() == 1
        rising = [order(text) for text in orders["ascending"]]
        assert rising == sorted(rising)
        assert [order(text) for text in orders["descending"]] == sorted(rising, reverse=True)
        assert len(rising) == len(varied.students())


def test_front_only_leaves_the_front(page: Page, varied: RunFolder) -> None:
    trials = [str(trial) for trial in pareto(varied)["trial"]]
    assert len(column(page, 0)) > len(trials)
    page.get_by_label("front only").check()
    assert sorted(column(page, 0)) == sorted(trials)
    assert page.locator("#shown").inner_text().startswith(f"{len(trials)} of {len(varied.students())} students")
    page.get_by_label("front only").uncheck()
    assert len(column(page, 0)) == len(varied.students())


def source(page: Page, name: str) -> str:
    """Of an image that the browser could decode."""
    page.wait_for_function(f"document.getElementById('{name}').naturalWidth > 0")
    return page.locator(f"#{name}").get_attribute("src") or ""


def test_a_student_is_chosen_in_the_list_the_table_and_the_picture(page: Page, varied: RunFolder) -> None:
    front = pareto(varied)["trial"].tolist()
    assert len(front) > 1
    best = json.loads(page.locator("#student").evaluate("select => select.value"))
    assert page.locator("#right-name").inner_text() == f"student, trial {best} →"
    seen = {source(page, "right")}

    page.locator("#student").select_option(str(front[0]))
    assert page.locator(".chosen").get_attribute("data-trial") == str(front[0])
    seen.add(source(page, "right"))
    ring = page.evaluate(f"{FRONT}.data.at(-1).x[0]")
    assert ring == pareto(varied)["flops"].iloc[0]

    page.locator(f"tr[data-trial='{best}'] .link").click()
    assert page.locator("#student").input_value() == str(best)
    page.locator(f"tr[data-trial='{front[0]}'] td").nth(3).click()
    assert page.locator("#student").input_value() == str(front[0])
    page.evaluate(f"{FRONT}.emit('plotly_click', {{points: [{{customdata: {best}}}]}})")
    assert page.locator("#student").input_value() == str(best)
    dominated = page.locator("#table tbody tr:not(.on-front)").first
    dominated.click()
    assert page.locator("#student").input_value() == str(best)
    assert len(seen) == 2


def test_what_it_is_compared_with_and_on_which_image(page: Page) -> None:
    seen = set()
    for group in ("others", "crops"):
        buttons = page.locator(f"#{group} button")
        assert buttons.count() == 3
        for button in buttons.all():
            button.click()
            assert page.locator(f"#{group} [aria-pressed=true]").all_inner_texts() == [button.inner_text()]
            seen.add(source(page, "left"))
            other = page.locator("#others [aria-pressed=true]").inner_text()
            assert page.locator("#left-name").inner_text() == f"← {other}"
    assert "teacher" in page.locator("#others").inner_text()
    assert "it's <i>mine<i>" in page.locator("#others").inner_text()  # as it is, not as HTML
    assert len(seen) == 5  # one was seen in both


def clip(page: Page) -> float:
    text = page.locator("#right").evaluate("image => getComputedStyle(image).clipPath")
    return float(re.findall(r"([\d.]+)%", text)[-1])


@pytest.mark.parametrize("width", [360, 1280])
def test_the_line_moves_by_mouse_and_keys(page_of_width: Callable[[int], Page], width: int) -> None:
    page = page_of_width(width)
    assert clip(page) == 50
    slider = page.locator("#position")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert clip(page) == pytest.approx(25, abs=1.5)
    handle = page.locator(".handle").bounding_box()
    assert handle is not None
    assert handle["x"] == pytest.approx(box["x"] + clip(page) / 100 * box["width"], abs=2)
    before = clip(page)
    slider.press("ArrowRight")
    assert clip(page) == before + 1
    slider.press("Home")
    assert clip(page) == 0


def test_the_theme_follows_the_system(open_page: OpenPage, varied: RunFolder) -> None:
    page = open_page(varied.path / "report.html", scheme="light")
    look = f"""() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
        {FRONT}.layout.font.color, {FRONT}.data.find((trace) => trace.name === 'front').line.color]"""
    light = page.evaluate(look)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{FRONT}.layout.font.color !== '{light[2]}'")
    dark = page.evaluate(look)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{FRONT}.layout.font.color === '{light[2]}'")
    assert page.evaluate(look) == light


def test_commands_are_copied(page: Page) -> None:
    button = page.locator("[data-copy]").first
    button.click()
    page.wait_for_function("document.querySelector('[data-copy]').textContent !== 'Copy'")
    assert page.evaluate("getSelection().toString()").startswith("autocompress export '")


def test_the_commands_are_about_the_run(varied: RunFolder) -> None:
    page = unescape((varied.path / "report.html").read_text(encoding="utf-8"))
    trial, run = pick(pareto(varied))["trial"], shlex.quote(str(varied.path))
    assert f">autocompress export {run} --trial {trial} --out models<" in page
    assert f">autocompress upscale {run} photo.jpg photo-x2.png<" in page


def test_a_page_prints(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    assert page.pdf(print_background=True).startswith(b"%PDF")
