"""Pages of a report in a browser."""

from collections.abc import Callable

from playwright.sync_api import Page

Open = Callable[..., Page]
FRONT = "document.getElementById('figure-front')"


def column(page: Page, index: int) -> list[str]:
    """What is shown in a column of the table; numbers in full."""
    cells = page.locator(f"#table tbody tr:not([hidden]) > :nth-child({index + 1})")
    found: list[str] = cells.evaluate_all("cells => cells.map((cell) => cell.dataset.value ?? cell.textContent.trim())")
    return found
