"""The report in a browser: every control, both widths, both themes, no network; and what it goes without."""

import copy
import json
import re
import shlex
import shutil
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState, create_trial
from playwright.sync_api import Browser, Page
from small import BUDGET, SPACE, Silent
from typer.testing import CliRunner

from autocompress import arithmetic
from autocompress.cli import app, main
from autocompress.errors import InvalidInput, RunError
from autocompress.report import Story, front_figure, picture, write_png, write_report
from autocompress.report.course import growth_figures
from autocompress.search import Outcome, RunFolder, Settings, search
from autocompress.search.exporting import export_trial
from autocompress.search.importances import importances
from autocompress.search.results import pareto, pick
from autocompress.search.sessions import lock_of
from autocompress.search.space import Budget
from autocompress.search.status import status
from autocompress.search.storage import find_place

Finished = tuple[RunFolder, Outcome, Silent]
Open = Callable[..., Page]
TROUBLE = """'"><img src=x onerror=alert(1)></script><b>&amp;"""
FRONT = "document.getElementById('figure-front')"


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
        budget=Budget(BUDGET),
        spaces=(str(folder / "small.yaml"),),
        teachers=(str(teacher),),
        train=photos,
        val=images,
        trials=8,
        steps=4,
        out=folder / "run 'of' <b>mine",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "choose", arithmetic.Arithmetic)
        run, _ = search(wanted, Silent())
    write_report(Story.of(run))
    return run


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a page as a file; at the end there must have been no error, no message and no request but for the file."""
    said: list[str] = []
    requests: list[str] = []
    pages: list[Page] = []

    def open_page(path: Path, width: int = 1280, scheme: Any = "light") -> Page:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.absolute().as_uri())
        page.wait_for_function(f"{FRONT}.data !== undefined")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert said == []
    assert len([url for url in requests if not url.startswith(("data:", "blob:"))]) == len(pages)


def column(page: Page, index: int) -> list[str]:
    """What is shown in a column of the table; numbers in full."""
    cells = page.locator(f"#table tbody tr:not([hidden]) > :nth-child({index + 1})")
    found: list[str] = cells.evaluate_all("cells => cells.map((cell) => cell.dataset.value ?? cell.textContent.trim())")
    return found


def order(text: str) -> list[tuple[float, str]]:
    """How texts such as `num_feat=8 num_block=12` are sorted: the numbers in them as numbers."""
    words = re.split("[ =]", text)
    return [(float(word), "") if re.fullmatch(r"[\d.e-]+", word) else (0.0, word) for word in words]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits(opened: Open, varied: RunFolder, width: int, scheme: str) -> None:
    page = opened(varied.path / "report.html", width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for figure in ("front", "trials", "time"):
        box = page.locator(f"#figure-{figure} .main-svg").first.bounding_box()
        assert box is not None
        assert 200 < box["width"] <= width


def test_it_needs_no_network(varied: RunFolder) -> None:
    html = (varied.path / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html)
    assert len(html) < 12e6


def test_every_column_sorts_both_ways(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html")
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


def test_front_only_leaves_the_front(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html")
    trials = [str(trial) for trial in pareto(varied)["trial"]]
    assert len(column(page, 0)) > len(trials)
    page.get_by_label("front only").check()
    assert column(page, 0) == trials
    assert page.locator("#shown").inner_text().startswith(f"{len(trials)} of {len(varied.students())} students")
    page.get_by_label("front only").uncheck()
    assert len(column(page, 0)) == len(varied.students())


def source(page: Page, name: str) -> str:
    """Of an image that the browser could decode."""
    page.wait_for_function(f"document.getElementById('{name}').naturalWidth > 0")
    return page.locator(f"#{name}").get_attribute("src") or ""


def test_a_student_is_chosen_in_the_list_the_table_and_the_picture(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html")
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


def test_what_it_is_compared_with_and_on_which_image(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html")
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
def test_the_line_moves_by_mouse_and_keys(opened: Open, varied: RunFolder, width: int) -> None:
    page = opened(varied.path / "report.html", width)
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


def test_the_theme_follows_the_system(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html")
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


def test_commands_are_copied(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html")
    button = page.locator("[data-copy]").first
    button.click()
    page.wait_for_function("document.querySelector('[data-copy]').textContent !== 'Copy'")
    assert page.evaluate("getSelection().toString()").startswith("autocompress export '")


def test_the_commands_are_about_the_run(varied: RunFolder) -> None:
    page = unescape((varied.path / "report.html").read_text(encoding="utf-8"))
    trial, run = pick(pareto(varied))["trial"], shlex.quote(str(varied.path))
    assert f">autocompress export {run} --trial {trial} --out models<" in page
    assert f">autocompress upscale {run} photo.jpg photo-x2.png<" in page


def test_a_page_prints(opened: Open, varied: RunFolder) -> None:
    page = opened(varied.path / "report.html", scheme="dark")
    assert page.pdf(print_background=True).startswith(b"%PDF")


def test_names_are_text_and_nothing_else(finished: Finished, opened: Open, tmp_path: Path) -> None:
    """Names that no file system has, in every place where a page shows one."""
    run = copied(finished, tmp_path)
    content = (run.path / "config.json").read_text()
    config = json.loads(content)
    config["train"]["name"] = config["valid"]["name"] = TROUBLE
    config["search"]["spaces"] = {TROUBLE: {}}
    for branch in config["branches"].values():
        branch["teacher"]["name"] = TROUBLE
    (run.path / "config.json").write_text(json.dumps(config))
    index = run.path / "crops" / "crops.json"
    crops = json.loads(index.read_text())
    crops["names"][1] = crops["crops"][0]["image"] = TROUBLE
    index.write_text(json.dumps(crops))
    page = opened(write_report(Story.of(run)))
    assert page.locator("#others button").nth(1).inner_text() == f"teacher {TROUBLE}"
    assert page.locator("#crops button").inner_text() == TROUBLE
    assert TROUBLE in page.locator(".lead").inner_text()
    assert page.locator("img[src=x]").count() == 0


# --- what there is to tell ---


def copied(finished: Finished, folder: Path) -> RunFolder:
    shutil.copytree(finished[0].path, folder / "copy")
    return RunFolder(folder / "copy")


def traces(run: RunFolder) -> dict[str, Any]:
    return {trace.name: trace for trace in front_figure(Story.of(run)).data}


def test_the_front_and_what_it_is_seen_against(finished: Finished) -> None:
    run = finished[0]
    drawn, table = traces(run), pareto(run)
    assert list(drawn["front"].x) == table["flops"].tolist()
    assert list(drawn["front"].customdata) == table["trial"].tolist()
    for text, config in zip(drawn["front"].hovertext, table["config"], strict=True):
        assert all(f"{key} {value}" in text for key, value in config.items())
        assert "learning_rate" in text
    (published,) = (trace for name, trace in drawn.items() if name.startswith("published"))
    assert published.visible == "legendonly"
    assert list(published.text) == ["EDSRmini", "SwinIRmini", "SwinIR-S", "EDSR-baseline"]
    assert any(name.startswith("teacher ") for name in drawn)


def test_published_points_are_of_x2_alone(finished: Finished, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    config = run.config | {"scale": 4}
    (run.path / "config.json").write_text(json.dumps(config))
    assert not any(name.startswith("published") for name in traces(run))


def test_the_hypervolume_never_falls(finished: Finished, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    config = run.config
    config["references"]["bicubic"]["psnr_y"] = 1.0  # students of a few steps are worse than the real one
    (run.path / "config.json").write_text(json.dumps(config))
    story = Story.of(run)
    figures = growth_figures(story)
    volumes = list(figures["trials"].data[0].y)
    assert len(volumes) == len(story.over) + 1
    assert volumes == sorted(volumes)
    assert volumes[0] == 0 < volumes[-1]
    times = list(figures["time"].data[0].x)
    assert times == sorted(times)
    assert times[-1] <= finished[0].times[0]["total"] + 1


def test_importances_are_shares_of_each_space(finished: Finished) -> None:
    trials = Story.of(finished[0]).trials
    complete = [trial for trial in trials if trial.values]
    found = importances(complete * 2 if len(complete) < 8 else complete)
    ((names, (count, shares)),) = found.items()
    assert set(names) == {"num_feat", "num_block", "teacher_share", "learning_rate"}
    assert count >= 8
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert importances(complete[:7]) == {}


def test_a_space_whose_students_all_score_the_same_has_no_importances(finished: Finished) -> None:
    trials = [copy.deepcopy(trial) for trial in Story.of(finished[0]).trials if trial.values] * 2
    for trial in trials:
        trial.values = [30.0, trial.values[1]]
    assert importances(trials) == {}


def test_a_run_of_an_older_version_without_its_settings(finished: Finished, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    content = json.loads((run.path / "config.json").read_text())
    del content["settings"]
    (run.path / "config.json").write_text(json.dumps(content))
    assert re.search(r"<d[td]>\s*\d+: \d+ finished", page_of(run))
    assert {"wanted", "waiting"}.isdisjoint(status(run)["trials"])
    said = CliRunner().invoke(app, ["status", str(run.path)])
    assert re.search(r"trials   \d+ finished", said.output)
    (file,) = export_trial(run, "pick", tmp_path / "out", ["pth"])
    assert "Made by" not in file.with_suffix(".md").read_text()


def test_stopped_trials_and_why(finished: Finished, opened: Open, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    place = find_place(None, run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.load_study(study_name=place.study, storage=place.open(run))
        attributes = {"reason": TROUBLE, "flops": 123456, "psnr_y_at_step_0": 20.5, "psnr_y_at_step_2": 21.5}
        now = datetime.now()
        trial = create_trial(state=TrialState.PRUNED, user_attrs=attributes)
        trial.datetime_start = trial.datetime_complete = now
        study.add_trial(trial)
    stopped = traces(run)["stopped: last score"]
    assert (stopped.visible, stopped.x[-1], stopped.y[-1]) == ("legendonly", 123456, 21.5)
    assert "after 2 steps" in stopped.hovertext[-1]
    page = opened(write_report(Story.of(run)))
    page.locator("summary").click()
    assert page.locator("details li").last.inner_text().endswith(f"stopped: {TROUBLE}")
    assert "stopped" in page.locator(".facts").inner_text()


def test_a_run_that_goes_on_says_so(finished: Finished, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    with FileLock(lock_of(run.path, "somebody")):
        assert "still running" in page_of(run)
    assert "still running" not in page_of(run)


# --- what is not there ---


def page_of(run: RunFolder) -> str:
    html = write_report(Story.of(run)).read_text(encoding="utf-8")
    return re.sub(r"<script.*?</script>|<style>.*?</style>", "", html, flags=re.DOTALL)


def test_without_crops(finished: Finished, opened: Open, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    shutil.rmtree(run.path / "crops")
    assert "kept none" in page_of(run)
    page = opened(run.path / "report.html", 360)
    assert page.locator("#comparison").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_a_student_s_crops(finished: Finished, opened: Open, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    first = pareto(run)["trial"].iloc[0]
    for file in run.trial(first).glob("crop-*.png"):
        file.unlink()
    page = opened(write_report(Story.of(run)))
    page.locator("#student").select_option(str(first))
    assert page.locator(".missing").is_visible()
    assert not page.locator("#right").is_visible()


@pytest.mark.parametrize("storage", [None, "sqlite:////not/there/study.db", "postgresql://me:***@nowhere/studies"])
def test_without_the_study(finished: Finished, opened: Open, tmp_path: Path, storage: str | None) -> None:
    run = copied(finished, tmp_path)
    run.database.unlink()
    config = run.config | {"storage": {"url": storage, "study": "autocompress"}}
    (run.path / "config.json").write_text(json.dumps(config))
    assert page_of(run).count("for want of the study: ") == 3
    page = opened(run.path / "report.html")
    assert page.locator("#figure-trials").count() == 0


def test_with_one_student(finished: Finished, opened: Open, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    for folder in sorted((run.path / "trials").glob("*/student.json"))[1:]:
        folder.unlink()
    page = opened(write_report(Story.of(run)))
    assert len(column(page, 0)) == 1
    assert page.locator("#student option").count() == 1


def test_with_all_students_over_the_budget(finished: Finished, opened: Open, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    config = run.config
    config["search"]["budget"] = {"flops": None, "params": 1}
    (run.path / "config.json").write_text(json.dumps(config))
    page = opened(write_report(Story.of(run)))
    assert "No student is within the budget" in page.locator("main").inner_text()


def test_with_no_student_there_is_no_report(finished: Finished, tmp_path: Path) -> None:
    run = copied(finished, tmp_path)
    shutil.rmtree(run.path / "trials")
    with pytest.raises(RunError, match="no trial has finished yet"):
        Story.of(run)


# --- the command ---


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object) -> tuple[Any, str]:
    monkeypatch.setattr(sys, "argv", ["autocompress", "report", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0, capsys.readouterr().err


def test_the_report_goes_where_it_is_wanted(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, err = command(capsys, monkeypatch, finished[0].path, "--out", tmp_path / "there" / "page.html")
    assert (code, err) == (0, "")
    assert (tmp_path / "there" / "page.html").stat().st_size > 1e6
    (tmp_path / "folder").mkdir()
    code, err = command(capsys, monkeypatch, finished[0].path, "--out", tmp_path / "folder")
    assert code == 2
    assert "folder: cannot be written to (Is a directory); give another file with --out" in err
    assert not list((tmp_path / "folder").iterdir())


@pytest.mark.slow
def test_a_png_is_one(finished: Finished, browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    code = (
        "import sys; from pathlib import Path; from autocompress.cli import main\n"
        "sys.argv = ['autocompress', 'report', *sys.argv[1:]]; main()"
    )
    file = tmp_path / "front.png"
    arguments = [str(finished[0].path), "--out", str(tmp_path / "page.html"), "--png", str(file)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'page.html'}\n{file}\n"), done.stderr
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1600, 900)


NO_BROWSER = "\nKaleido requires Google Chrome to be installed.\n\n    $ plotly_get_chrome\n"
BROKEN = "The browser seemed to close immediately after starting.\nYou can set the `logging.Logger` level lower."


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (None, 2, "--png needs kaleido, which is not installed; pip install 'autocompress[png]'"),
        (NO_BROWSER, 2, "--png needs Chrome or Chromium, which is not installed; install it, or run plotly_get_chrome"),
        (BROKEN, 1, "the browser that draws --png failed (The browser seemed to close immediately after starting.)"),
    ],
)
def test_without_what_draws_a_png(
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: str | None,
    code: int,
    message: str,
) -> None:
    def fail(*_: Any, **__: Any) -> bytes:
        raise RuntimeError(error)

    monkeypatch.setattr(picture, "find_spec", lambda name: None if error is None else name)
    monkeypatch.setattr("plotly.graph_objects.Figure.to_image", fail)
    wanted = ["--png", tmp_path / "front.png", "--out", tmp_path / "page.html"]
    found, err = command(capsys, monkeypatch, finished[0].path, *wanted)
    assert found == code
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_picture_of_another_kind_is_refused(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, err = command(capsys, monkeypatch, finished[0].path, "--png", tmp_path / "front.jpg")
    assert code == 2
    assert "front.jpg: must end in .png; give such as front.png" in err
    (tmp_path / "front.png").mkdir()
    with pytest.raises(InvalidInput, match=r"front.png: cannot be written to \(Is a directory\)"):
        write_png(tmp_path / "front.png", b"")
