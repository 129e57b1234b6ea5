"""Pages of a report in a browser, and the fixtures `browser` and `open_page` that show them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

OpenPage = Callable[..., Page]
PATIENCE = 180_000  # milliseconds: a busy machine draws slowly
FRONT = "document.getElementById('figure-front')"


def column(page: Page, index: int) -> list[str]:
    """What is shown in a column of the table; numbers in full."""
    cells = page.locator(f"#table tbody tr:not([hidden]) > :nth-child({index + 1})")
    values: list[str] = cells.evaluate_all(
        "cells => cells.map((cell) => cell.dataset.value ?? cell.textContent.trim())"
    )
    return values


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def open_pages(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages as files; at the end there must have been no error, no message and no request but for the files."""
    said: list[str] = []
    requests: list[str] = []
    pages: list[Page] = []

    def opened(path: Path, width: int = 1280, scheme: Any = "light") -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.absolute().as_uri())
        page.wait_for_function(f"{FRONT}.data !== undefined")
        return page

    yield opened
    for page in pages:
        page.close()
    assert said == [], said
    assert len([url for url in requests if not url.startswith(("data:", "blob:"))]) == len(pages)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages for one test."""
    with open_pages(browser) as opened:
        yield opened
