"""The report in a browser: every control, both widths, both themes, no network."""

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

from autocompress.cli.tables import front_table
from autocompress.report import ReportData, write_report
from autocompress.report.rendering import with_code
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import pareto, rows
from autocompress.search.results.rows import front_rows, pick


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


@pytest.mark.parametrize("width", [360, pytest.param(768, marks=pytest.mark.slow), 1280])
def test_what_is_below_the_front_does_not_overlap(page_of_width: Callable[[int], Page], width: int) -> None:
    front = page_of_width(width).locator("#figure-front")
    ticks, title, legend = (front.locator(part).bounding_box() for part in (".xaxislayer-above", ".xtitle", ".legend"))
    assert ticks is not None
    assert title is not None
    assert legend is not None
    assert ticks["y"] + ticks["height"] <= title["y"] + 1
    assert title["y"] + title["height"] <= legend["y"] + 1


def test_code_in_a_note_is_set_as_code() -> None:
    assert with_code("<a> `search --repeats 3` b") == "&lt;a&gt; <code>search --repeats 3</code> b"


def test_it_needs_no_network(varied: RunFolder) -> None:
    html = (varied.path / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html)
    assert len(html) < 10e6


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


def source(page: Page, side: str) -> str:
    """Of a picture that the browser could decode."""
    picture = page.locator(f"#{side} .whole")
    page.wait_for_function("one => one.naturalWidth > 0", arg=picture.element_handle())
    return picture.get_attribute("src") or ""


def layer(page: Page, side: str) -> str:
    return page.locator(f"#{side}-layer").input_value()


def test_a_student_is_chosen_in_the_list_the_table_and_the_picture(page: Page, varied: RunFolder) -> None:
    front = pareto(varied)["trial"].tolist()
    assert len(front) > 1
    best, other = pick(front_rows(varied))["trial"], front[0]
    page.locator(f"tr[data-trial='{best}'] .link").click()
    assert layer(page, "right") == f"trial {best}"
    seen = {source(page, "right")}

    page.locator("#right-layer").select_option(f"trial {other}")
    assert page.locator(".chosen").get_attribute("data-trial") == str(other)
    seen.add(source(page, "right"))
    ring = page.evaluate(f"{FRONT}.data.at(-1).x[0]")
    assert ring == pareto(varied)["flops"].iloc[0]

    for figure in ("front", "learning"):
        page.locator(f"tr[data-trial='{other}'] td").nth(3).click()
        assert layer(page, "right") == f"trial {other}"
        page.evaluate(f"find('figure-{figure}').emit('plotly_click', {{points: [{{customdata: {best}}}]}})")
        assert layer(page, "right") == f"trial {best}"
    assert len(seen) == 2


def test_students_off_the_front_have_pictures_too(page: Page) -> None:
    dominated = page.locator("#table tbody tr:not(.on-front)").first
    trial = dominated.get_attribute("data-trial")
    dominated.locator(".link").click()
    assert layer(page, "right") == f"trial {trial}"
    assert page.locator("#right").is_visible()


def test_any_two_are_compared_on_any_image(page: Page, varied: RunFolder) -> None:
    names = page.locator("#left-layer option").evaluate_all("all => all.map((one) => one.value)")
    assert names == page.locator("#right-layer option").evaluate_all("all => all.map((one) => one.value)")
    assert names[:2] == ["ground truth", "bicubic"]
    assert names[2].endswith("it's <i>mine<i>.pth")  # as it is, not as HTML
    assert names[3:] == [f"trial {student}" for student in ReportData.of(varied).students["trial"]]
    seen = set()
    for name in names[:4]:
        page.locator("#left-layer").select_option(name)
        assert page.locator("#left-tag").inner_text().startswith(name)
        seen.add(source(page, "left"))
    images = page.locator("#images-list button")
    assert images.count() == 3
    for image in images.all():
        image.click()
        assert page.locator("#images-list [aria-pressed=true]").count() == 1
        seen.add(source(page, "left"))
    assert len(seen) == 6  # one was seen in both
    left, right = layer(page, "left"), layer(page, "right")
    page.locator("#swap").click()
    assert (layer(page, "left"), layer(page, "right")) == (right, left)


def test_each_image_has_the_psnr_of_both(page: Page, varied: RunFolder) -> None:
    student = varied.students()[0]
    assert student.psnr_y_by_image is not None
    page.locator("#left-layer").select_option("bicubic")
    page.locator("#right-layer").select_option(f"trial {student.trial}")
    bicubic = []
    for button in page.locator("#images-list button").all():
        name = button.locator("b").inner_text()
        left, right = (float(psnr) for psnr in button.locator("small").inner_text().split(" | "))
        assert right == pytest.approx(student.psnr_y_by_image[name], abs=0.006)
        bicubic.append(left)
    assert sum(bicubic) / len(bicubic) == pytest.approx(varied.config.references.bicubic.psnr_y, abs=0.006)


def clip(page: Page) -> float:
    text = page.locator("#right").evaluate("side => getComputedStyle(side).clipPath")
    return float(re.findall(r"([\d.]+)%", text)[-1])


def drag(page: Page, what: str, across: float) -> None:
    """By a share of the stage's width."""
    target, stage = page.locator(what).bounding_box(), page.locator("#stage").bounding_box()
    assert target is not None
    assert stage is not None
    x, y = target["x"] + target["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across * stage["width"], y, steps=2)
    page.mouse.up()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_line_moves_by_mouse_and_keys(page_of_width: Callable[[int], Page], width: int) -> None:
    page = page_of_width(width)
    slider = page.locator("#position")
    slider.fill("50")
    slider.scroll_into_view_if_needed()
    assert clip(page) == 50
    drag(page, "#handle", -0.25)
    assert clip(page) == pytest.approx(25, abs=1.5)
    before = clip(page)
    slider.press("ArrowRight")
    assert clip(page) == before + 1
    slider.press("Home")
    assert clip(page) == 0
    slider.fill("50")


def where(page: Page) -> list[float]:
    """The zoom, and where the image's corner is; the same of both sides."""
    found = [page.locator(f"#{side} .world").evaluate("world => world.style.transform") for side in ("left", "right")]
    assert found[0] == found[1]
    x, y, zoom = re.findall(r"-?[\d.]+(?:e-\d+)?", found[0])
    return [float(zoom), float(x), float(y)]


def test_both_pictures_are_zoomed_and_moved_together(page: Page) -> None:
    page.locator("#zoom-whole").click()
    whole = where(page)
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    page.locator("#zoom-in").click()
    larger = where(page)
    assert larger[0] == pytest.approx(whole[0] * 1.5**3, rel=0.01)
    drag(page, "#left-tag", 0.1)
    assert where(page)[1] > larger[1]
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("0")
    assert where(page) == whole
    page.locator("#stage").dblclick(position={"x": 20, "y": 20})
    assert where(page)[0] == pytest.approx(2 * whole[0], rel=0.01)
    page.locator("#zoom-piece").click()
    assert page.locator("#zoom-piece").get_attribute("aria-pressed") == "true"


def test_the_error_map_is_black_where_pictures_are_equal(page: Page) -> None:
    bright = """async () => {
        const canvas = document.querySelector('#errors .whole');
        await drawErrors();
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value, index) => index % 4 !== 3 && value > 60);
    }"""
    page.locator("#show-errors").click()
    for name, expected in (("ground truth", False), ("bicubic", True)):
        page.locator("#left-layer").select_option("ground truth")
        page.locator("#right-layer").select_option(name)
        assert page.evaluate(bright) is expected
    assert page.locator("#error-scale").is_visible()
    page.locator("#show-errors").click()
    assert page.locator("#handle").is_visible()


def test_without_scripts_there_is_a_picture_and_a_table(browser: Browser, varied: RunFolder) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((varied.path / "report.html").absolute().as_uri())
    drawn = page.locator("#figure-front .still").bounding_box()
    for text in page.locator("#figure-front .still text").all():  # none is cut off
        box = text.bounding_box()
        assert drawn is not None
        assert box is not None
        assert drawn["x"] <= box["x"]
        assert box["x"] + box["width"] <= drawn["x"] + drawn["width"]
    points = page.locator("#figure-front .still circle")
    assert points.count() > len(varied.students())
    assert page.locator(".strip").is_visible()
    assert page.locator("#table tbody tr").count() == len(varied.students())
    assert not page.locator("#viewer").is_visible()
    assert not page.locator("[data-copy]").first.is_visible()
    context.close()


@pytest.mark.parametrize("width", [360, pytest.param(768, marks=pytest.mark.slow), 1280])
def test_the_table_shows_its_last_column(page_of_width: Callable[[int], Page], width: int) -> None:
    page = page_of_width(width)
    for cell in page.locator("#table tbody tr:first-child > *").all():
        box = cell.bounding_box()
        assert box is None or box["x"] + box["width"] <= width
    scrolls = page.locator(".scrolls").evaluate("one => one.scrollWidth - one.clientWidth")
    assert scrolls <= 1


def test_the_front_and_the_pictures_come_first(page: Page) -> None:
    for what in ("#figure-front", "#stage", "#images-list"):
        box = page.locator(what).bounding_box()
        assert box is not None
        top = page.evaluate("scrollY") + box["y"]
        assert top + box["height"] <= 900


def test_columns_and_signs_are_those_of_the_terminal(page: Page, varied: RunFolder) -> None:
    front = pareto(varied)
    table = front_table(varied, rows(front))
    headings = [heading.strip() for heading in page.locator("#table thead th").all_inner_texts()]
    own = [str(column.header) for column in table.columns]
    assert headings[: len(own)] == own
    cells = page.locator(f"tr[data-trial='{front['trial'].iloc[0]}'] td").all_inner_texts()
    expected = [list(column.cells)[1] for column in table.columns[1:]]
    assert cells[: len(expected)] == expected
    assert cells[own.index("under teacher") - 1].startswith("-")


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
    assert re.match(r"autocompress export '.*' --trial \d+ --out models$", page.evaluate("getSelection().toString()"))


def test_the_commands_are_about_the_run(varied: RunFolder) -> None:
    page = (varied.path / "report.html").read_text(encoding="utf-8")
    page = unescape(re.sub(r'<span class="word">(.*?)</span>', r"\1", page))
    trial, run = pick(front_rows(varied))["trial"], shlex.quote(str(varied.path))
    assert f">autocompress export {run} --trial {trial} --out models<" in page
    assert f">autocompress upscale {run} photo.jpg photo-x2.png<" in page


def test_a_page_prints(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    assert page.pdf(print_background=True).startswith(b"%PDF")
